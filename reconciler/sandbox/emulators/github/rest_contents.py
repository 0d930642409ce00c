"""Files, with every answer of the table in docs/systems/github.md, "Files"."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import pygit2
from pygit2.enums import FileMode

from reconciler.sandbox.emulators.github import bodies
from reconciler.sandbox.emulators.github.call import Answer, Call
from reconciler.sandbox.emulators.github.errors import Refusal, not_found, not_supplied
from reconciler.sandbox.emulators.github.git_store import BOT
from reconciler.sandbox.emulators.github.identity import READ_CONTENTS, WRITE_CONTENTS
from reconciler.sandbox.emulators.github.repositories import is_protected

LARGEST_SHOWN = 1024 * 1024
Document = Mapping[str, Any]


def get_contents(call: Call) -> Answer:
    """GET …/contents/{path}?ref=: a file, or a list for a directory."""
    repository = call.repository(READ_CONTENTS)
    path = call.parameter("path")
    if path.endswith("/"):
        raise not_found()
    revision = call.query.get("ref", "")
    if call.world.git.is_empty(repository):
        raise Refusal(404, "This repository is empty.")
    commit = call.world.git.resolve(repository, revision)
    if commit is None:
        raise Refusal(404, f"No commit found for the ref {revision}")
    found = _followed(call, commit, path)
    reference = revision or repository["defaultBranch"]
    if isinstance(found, pygit2.Tree):
        return Answer(
            [_entry(call, repository, f"{path}/{one.name}".lstrip("/"), one, reference) for one in found]
        )
    if not isinstance(found, pygit2.Blob):
        raise not_found()
    if "raw" in call.request.headers.get("accept", ""):
        return Answer(found.data, headers={"Content-Type": "application/vnd.github.raw; charset=utf-8"})
    small = found.size <= LARGEST_SHOWN
    return Answer(
        {
            **_entry(call, repository, path, found, reference),
            "encoding": "base64" if small else "none",
            "content": base64.encodebytes(found.data).decode() if small else "",
        }
    )


def get_readme(call: Call) -> Answer:
    """GET …/readme."""
    call.request.path_params["path"] = "README.md"
    return get_contents(call)


def put_contents(call: Call) -> Answer:
    """PUT …/contents/{path}: 201 created, 200 updated; the branch is checked before the sha."""
    repository = call.repository(WRITE_CONTENTS)
    path = call.parameter("path")
    for field in ("message", "content"):
        if not isinstance(call.body.get(field), str):
            raise not_supplied(field)
    content = _decoded(call.body["content"])
    if {"", ".", "..", ".git"} & set(path.lower().split("/")):
        raise Refusal(422, "path contains a malformed path component")
    branch = _writable_branch(call, repository)
    present = _present(call, repository, branch, path)
    given = call.body.get("sha")
    if present is not None and given is None:
        raise not_supplied("sha")
    if present is not None and given != str(present.id):
        raise Refusal(409, f"{path} does not match {given}")
    _refuse_if_protected(repository, branch, "update" if present else "create")
    commit = call.world.git.commit_files(
        repository, branch, {path: content}, call.body["message"], *_authors(call.body)
    )
    call.world.repositories.touch(repository)
    call.wrote()
    written = call.world.git.entry(commit, path)
    assert written is not None  # noqa: S101 - it was committed two lines above
    return Answer(
        {
            "content": _entry(call, repository, path, written, branch),
            "commit": _commit(call, repository, commit),
        },
        status=200 if present is not None else 201,
    )


def delete_contents(call: Call) -> Answer:
    """DELETE …/contents/{path}."""
    repository = call.repository(WRITE_CONTENTS)
    path = call.parameter("path")
    for field in ("message", "sha"):
        if not isinstance(call.body.get(field), str):
            raise not_supplied(field)
    branch = _writable_branch(call, repository)
    present = _present(call, repository, branch, path)
    if present is None:
        raise not_found()
    if call.body["sha"] != str(present.id):
        raise Refusal(409, f"{path} does not match {call.body['sha']}")
    _refuse_if_protected(repository, branch, "delete")
    commit = call.world.git.commit_files(
        repository, branch, {path: None}, call.body["message"], *_authors(call.body)
    )
    call.world.repositories.touch(repository)
    call.wrote()
    return Answer({"content": None, "commit": _commit(call, repository, commit)})


def _writable_branch(call: Call, repository: Document) -> str:
    branch = call.body.get("branch") or repository["defaultBranch"]
    first = call.world.git.is_empty(repository) and branch == repository["defaultBranch"]
    if not first and call.world.git.branch(repository, branch) is None:
        raise Refusal(404, f"Branch {branch} not found")
    return str(branch)


def _present(call: Call, repository: Document, branch: str, path: str) -> pygit2.Object | None:
    commit = call.world.git.branch(repository, branch)
    if commit is None:
        return None
    parts = path.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts))]
    found = call.world.git.entry(commit, path)
    if isinstance(found, pygit2.Tree) or any(
        isinstance(call.world.git.entry(commit, folder), pygit2.Blob) for folder in above
    ):
        raise Refusal(422, f"{path} is a directory, or below a file")
    return found


def _refuse_if_protected(repository: Document, branch: str, verb: str) -> None:
    if not is_protected(repository, branch):
        return
    if repository["protection"] == "ruleset":
        raise Refusal(
            409, "Repository rule violations found\n\nChanges must be made through a pull request.\n\n"
        )
    raise Refusal(
        403 if repository["protection"] == "classic-403" else 409,
        f"Could not {verb} file: protected branch update failed for refs/heads/{branch}. "
        "Changes must be made through a pull request.",
    )


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(422, "content is not valid Base64") from None


def _authors(body: Document) -> tuple[tuple[str, str], tuple[str, str]]:
    def who(field: str, default: tuple[str, str]) -> tuple[str, str]:
        given = body.get(field)
        if given is None:
            return default
        if not isinstance(given, dict) or not given.get("name") or not given.get("email"):
            raise not_supplied(f"{field}.name")
        return given["name"], given["email"]

    committer = who("committer", BOT)
    return who("author", committer), committer


def _followed(call: Call, commit: pygit2.Commit, path: str) -> pygit2.Object | None:
    """Return what is at the path; a link to a file is shown as that file."""
    found = call.world.git.entry(commit, path)
    if found is not None and found.filemode == FileMode.LINK and isinstance(found, pygit2.Blob):
        folder = path.rpartition("/")[0]
        target = call.world.git.entry(commit, f"{folder}/{found.data.decode()}".lstrip("/"))
        return target if isinstance(target, pygit2.Blob) else found
    return found


def _entry(
    call: Call, repository: Document, path: str, found: pygit2.Object, reference: str
) -> dict[str, Any]:
    full_name = f"{repository['owner']}/{repository['name']}"
    folder = isinstance(found, pygit2.Tree)
    address = f"{call.api}/repos/{full_name}/contents/{path}?ref={reference}"
    git = f"{call.api}/repos/{full_name}/git/{'trees' if folder else 'blobs'}/{found.id}"
    page = f"{call.site}/{full_name}/{'tree' if folder else 'blob'}/{reference}/{path}"
    return {
        "type": "dir" if folder else "file",
        "name": path.rpartition("/")[2],
        "path": path,
        "sha": str(found.id),
        "size": found.size if isinstance(found, pygit2.Blob) else 0,
        "url": address,
        "html_url": page,
        "git_url": git,
        "download_url": None if folder else f"{call.site}/raw/{full_name}/{reference}/{path}",
        "_links": {"self": address, "git": git, "html": page},
    }


def _commit(call: Call, repository: Document, commit: pygit2.Commit) -> dict[str, Any]:
    whole = bodies.commit(call, repository, commit)
    return {
        **bodies.git_commit(call, repository, commit),
        **{key: whole[key] for key in ("sha", "node_id", "html_url", "parents")},
    }
