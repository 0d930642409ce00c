"""References: branches by their full name, `refs/heads/…`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pygit2

from reconciler.sandbox.emulators.github import pulls
from reconciler.sandbox.emulators.github.call import Answer, Call
from reconciler.sandbox.emulators.github.errors import Refusal, not_found, not_supplied
from reconciler.sandbox.emulators.github.identity import READ_CONTENTS, WRITE_CONTENTS
from reconciler.sandbox.emulators.github.repositories import is_protected

EMPTY = "Git Repository is empty."
WELL_FORMED = re.compile(r"refs/[^/\s]+/[^\s~^:?*\[\\]+")


def get_ref(call: Call) -> Answer:
    """GET …/git/ref/{ref}: 404 when absent, 409 in an empty repository."""
    repository = call.repository(READ_CONTENTS)
    if call.world.git.is_empty(repository):
        raise Refusal(409, EMPTY)
    name = f"refs/{call.parameter('ref')}"
    found = call.world.git.open(repository).references.get(name)
    if found is None:
        raise not_found()
    return Answer(_body(call, repository, name, str(found.target)))


def create_ref(call: Call) -> Answer:
    """POST …/git/refs: 422 when it exists."""
    repository = call.repository(WRITE_CONTENTS)
    for field in ("ref", "sha"):
        if not isinstance(call.body.get(field), str):
            raise not_supplied(field)
    if call.world.git.is_empty(repository):
        raise Refusal(409, EMPTY)
    name = call.body["ref"]
    if not WELL_FORMED.fullmatch(name):
        raise Refusal(422, f"{name} is not a valid ref name.")
    git = call.world.git.open(repository)
    if git.references.get(name) is not None:
        raise Refusal(422, "Reference already exists")
    oid = _object(git, call.body["sha"])
    try:
        git.references.create(name, oid)
    except (ValueError, OSError, pygit2.GitError):
        # A name that git refuses, or one below a branch that is there.
        raise Refusal(422, "Reference update failed") from None
    call.wrote()
    return Answer(_body(call, repository, name, str(oid)), status=201)


def update_ref(call: Call) -> Answer:
    """PATCH …/git/refs/{ref}: fast-forward only, unless forced."""
    repository = call.repository(WRITE_CONTENTS)
    if not isinstance(call.body.get("sha"), str):
        raise not_supplied("sha")
    name = f"refs/{call.parameter('ref')}"
    git = call.world.git.open(repository)
    present = git.references.get(name)
    if present is None:
        raise Refusal(422, "Reference does not exist")
    if is_protected(repository, name.removeprefix("refs/heads/")):
        raise Refusal(
            422, "Repository rule violations found\n\nChanges must be made through a pull request.\n\n"
        )
    oid = _object(git, call.body["sha"])
    forward = oid == present.target or git.descendant_of(oid, present.target)
    if not forward and not call.body.get("force"):
        raise Refusal(422, "Update is not a fast forward")
    present.set_target(oid)
    call.wrote()
    return Answer(_body(call, repository, name, str(oid)))


def delete_ref(call: Call) -> Answer:
    """DELETE …/git/refs/{ref}; open pull requests from it are closed."""
    repository = call.repository(WRITE_CONTENTS)
    name = f"refs/{call.parameter('ref')}"
    git = call.world.git.open(repository)
    if git.references.get(name) is None:
        raise Refusal(422, "Reference does not exist")
    if name == f"refs/heads/{repository['defaultBranch']}":
        raise Refusal(422, "Cannot delete this branch")
    pulls.close_those_of_branch(call.world, repository, name.removeprefix("refs/heads/"))
    git.references.delete(name)
    call.wrote()
    return Answer(status=204)


def _object(git: pygit2.Repository, sha: str) -> pygit2.Oid:
    try:
        return git[pygit2.Oid(hex=sha)].id if len(sha) == 40 else _missing()
    except (KeyError, ValueError):
        return _missing()


def _missing() -> pygit2.Oid:
    raise Refusal(422, "Object does not exist")


def _body(call: Call, repository: Mapping[str, Any], name: str, sha: str) -> dict[str, Any]:
    address = f"{call.api}/repos/{repository['owner']}/{repository['name']}/git"
    return {
        "ref": name,
        "node_id": f"REF_{repository['id']}_{name}",
        "url": f"{address}/{name}",
        "object": {"sha": sha, "type": "commit", "url": f"{address}/commits/{sha}"},
    }
