"""Evidence of what is done to the repository itself: nothing but the dev container file."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pygit2

from tests.kinds.project.evidence.item import another, made, number_of, owner_of
from tests.support.evidence import Look, MakesNothing, Neighbour, Shown
from tests.support.systems import Door, Systems

GITHUB = Door("GITHUB_API_URL", "GITHUB_TOKEN")
FILE = ".devcontainer/devcontainer.json"
THEIRS = {"image": "theirs", "features": {"ghcr.io/theirs/feature:1": {}}}


def _repository(name: str) -> str:
    return f"/repos/{owner_of(name)}/{name}"


def _git(systems: Systems, name: str) -> pygit2.Repository:
    path = _folder(systems) / f"{number_of(systems, name)}.git"
    if not path.exists():
        _main(systems, name)
    return pygit2.Repository(str(path))


def _folder(systems: Systems) -> Path:
    return systems.layout["git"] / "github"


def _main(systems: Systems, name: str) -> str:
    """Return the head; asked of GitHub, which makes a repository's content when it is first looked at."""
    found = systems.ask(GITHUB, "GET", f"{_repository(name)}/git/ref/heads/main")
    return str(found["object"]["sha"])


def _change(systems: Systems, name: str, **wish: Any) -> None:
    systems.sandbox.emulator("github", "PATCH", f"/_emulator/repositories/{owner_of(name)}/{name}", wish)


# -- validate-repo ---------------------------------------------------------------------------------


def _branch(systems: Systems, name: str) -> None:
    body = {"ref": f"refs/heads/{another()}", "sha": _main(systems, name)}
    systems.ask(GITHUB, "POST", f"{_repository(name)}/git/refs", body)


def _their_branch(systems: Systems, name: str) -> Look:
    body = {"ref": "refs/heads/theirs", "sha": _main(systems, name)}
    systems.ask(GITHUB, "POST", f"{_repository(name)}/git/refs", body)

    def look() -> str | None:
        found = _git(systems, name).references.get("refs/heads/theirs")
        return found and str(found.target)

    return look


# -- devcontainer ----------------------------------------------------------------------------------


def _branches(systems: Systems, name: str) -> Any:
    git = _git(systems, name)
    return {
        "branches": {
            branch: [commit.message for commit in git.walk(git.references[branch].target)]
            for branch in git.references
        },
        "pull requests": [
            {key: pull.get(key) for key in ("title", "state", "base", "head")}
            for _, pull in systems.store("github").items("github.pulls", f"{number_of(systems, name)}/")
        ],
    }


def _totals(systems: Systems) -> Mapping[str, int]:
    commits = sum(_commits(path, head) for path, head in _heads(_folder(systems)))
    return {"commits": commits, "pulls": sum(1 for _ in systems.store("github").items("github.pulls"))}


def _heads(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield every branch of all repositories by its file: to open them with git takes ten times as long."""
    for path in folder.glob("*.git"):
        for branch in (path / "refs" / "heads").rglob("*"):
            if branch.is_file() and branch.suffix != ".lock":
                yield str(path), branch.read_text().strip()


@cache
def _commits(path: str, head: str) -> int:
    """Count the commits but the first, which every repository has."""
    return sum(1 for commit in pygit2.Repository(path).walk(head) if commit.parents)


def _commit(systems: Systems, name: str) -> None:
    body = {"message": "Extra", "content": base64.b64encode(b"extra").decode()}
    systems.ask(GITHUB, "PUT", f"{_repository(name)}/contents/{another()}.txt", body)


def _their_file(systems: Systems, name: str) -> Look:
    _change(systems, name, files={FILE: json.dumps(THEIRS, indent=2)})

    def look() -> Any:
        found = json.loads(_git(systems, name).revparse_single(f"main:{FILE}").read_raw())
        features = {
            key: value
            for key, value in found.get("features", {}).items()
            if not key.rpartition("/")[2].startswith("mesh-six-tools")
        }
        return {**found, "features": features}

    return look


def _overwrite_file(systems: Systems, name: str) -> None:
    blob = _git(systems, name).revparse_single(f"main:{FILE}")
    content = base64.b64encode(b'{"image": "ours"}').decode()
    body = {"message": "Overwrite", "content": content, "sha": str(blob.id)}
    systems.ask(GITHUB, "PUT", f"{_repository(name)}/contents/{FILE}", body)


SHOWN: Mapping[str, Shown] = {
    "validate-repo": Shown(
        made=MakesNothing("it looks whether the repository is there"),
        foreign=Neighbour(
            no_rival="it makes nothing",
            plant=_their_branch,
            overwrite=lambda systems, name: systems.ask(
                GITHUB, "DELETE", f"{_repository(name)}/git/refs/heads/theirs"
            ),
        ),
        more=_branch,
        take_away=lambda systems, name: _change(systems, name, archived=True),
    ),
    "devcontainer": Shown(
        made=made({"github": _branches}, _totals, {"commits": 1}),
        foreign=Neighbour(
            no_rival="people's file is meant to be there, and only gets one feature inserted",
            plant=_their_file,
            overwrite=_overwrite_file,
        ),
        more=_commit,
        take_away=lambda systems, name: _change(systems, name, files={FILE: None}),
    ),
}
