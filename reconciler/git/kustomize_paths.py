"""Where kustomize finds things in a git tree: links followed, kustomizations by their three names.

Knows paths only, and not what a kustomization says. Rules and their source: docs/systems/kubernetes.md.
"""

from __future__ import annotations

import posixpath

from reconciler.git.tree import FILE_IN_ITS_PLACE, Draft, EntryKind
from reconciler.model.errors import InvalidFile

KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
"""The names that kustomize looks for, in its order."""
MOST_LINKS = 40
"""On the way to one path: as many as Linux follows before it calls them a loop."""


def followed(draft: Draft, path: str) -> str | None:
    """Return where a path comes to once every link on it is followed; what is not there stays as it is.

    None where links go round in a circle, or out of the repository.
    """
    if draft.kind(path) not in {None, EntryKind.LINK}:
        return path
    done: list[str] = []
    ahead = path.split("/")[::-1]
    links = 0
    while ahead:
        name = ahead.pop()
        if name == "..":
            if not done:
                return None
            done.pop()
        elif name not in {"", "."}:
            pointed = draft.link("/".join([*done, name]))
            links += pointed is not None
            if links > MOST_LINKS or (pointed or "").startswith("/"):
                return None
            if pointed is None:
                done.append(name)
            else:
                ahead += pointed.split("/")[::-1]
    return "/".join(done)


def joined(folder: str, entry: str) -> str | None:
    """Return the path that an entry of a kustomization in that folder names; None out of the repository."""
    path = posixpath.normpath(posixpath.join(folder, entry))
    return None if path.split("/")[0] in {"", ".."} else "" if path == "." else path


def kustomization_of(draft: Draft, folder: str) -> str | None:
    """Return the path of the file that is a folder's kustomization, behind links; None for a folder without.

    InvalidFile for several, and for a link to nowhere. Links are followed wherever they lead in the
    repository; whether kustomize would is for `is_within` to tell.
    """
    named = [name for name in KUSTOMIZATIONS if name in draft.names(folder)]
    ways = {name: followed(draft, _below(folder, name)) for name in named}
    found = {name: real for name, real in ways.items() if real is not None and _is_file(draft, real)}
    if not found and (links := [name for name in named if draft.link(_below(folder, name)) is not None]):
        path = _below(folder, links[0])
        raise InvalidFile(path, "is a link to no file of the repository", remedy=FILE_IN_ITS_PLACE)
    if len(found) > 1:
        remedy = f"list in {next(iter(found))} what all of them list, then remove the others"
        raise InvalidFile(folder, f"has {' and '.join(found)}", remedy=remedy)
    return next(iter(found.values()), None)


def is_within(path: str, folder: str) -> bool:
    """Tell whether a file is in the folder or below; kustomize reads no file from elsewhere."""
    return not folder or path.startswith(f"{folder}/")


def new_kustomization(folder: str) -> str:
    """Return the path of the kustomization to make in a folder."""
    return _below(folder, KUSTOMIZATIONS[0])


def _is_file(draft: Draft, path: str) -> bool:
    return draft.kind(path) in {EntryKind.FILE, EntryKind.EXECUTABLE}


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
