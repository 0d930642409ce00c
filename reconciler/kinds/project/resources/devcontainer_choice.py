"""Which of a repository's dev container files an environment is built from. Reads no file's content itself.

The specification lets several lie in `.devcontainer/<folder>/`, and tools ask a person which they mean. Here
the project file says it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reconciler.clients.github import FileContent
from reconciler.kinds.project.manifests.devcontainer_text import FOLDER, SEARCH_PATHS
from reconciler.model.decision import Failed


@dataclass(frozen=True)
class Choice:
    """The file, if it is there. `others`: the paths of those that are there instead, or to choose from."""

    file: FileContent | None = None
    others: tuple[str, ...] = ()


def choose(
    files: Sequence[FileContent], wanted: str | None, has_feature: Callable[[FileContent], bool]
) -> Choice:
    """Return the file that the project file names, else the only one that tools would take.

    `files`: in the order in which tools look. Of several in folders of their own it is the one that has our
    feature, if just one has: that is where it was put before files could name one.
    """
    named = [file for file in files if file.path == wanted]
    if not files or named:
        return Choice(next(iter(named), None))
    # A folder that is a link, or a submodule, stands for all that is in it.
    if files[0].path == FOLDER and (wanted is None or wanted.startswith(f"{FOLDER}/")):
        return Choice(files[0])
    if wanted is None and (files[0].path in SEARCH_PATHS or len(files) == 1):
        return Choice(files[0])
    ours = [file for file in files if wanted is None and has_feature(file)]
    return Choice(ours[0]) if len(ours) == 1 else Choice(others=tuple(file.path for file in files))


def unchosen(wanted: str | None, others: Sequence[str]) -> Failed:
    """Return what is to be said where nobody can tell which file is meant."""
    if wanted is None:
        return Failed(
            f"the repository has several dev container files: {', '.join(others)}",
            remedy=f"write the one that is meant into the project file, like `devcontainer: {others[0]}`",
        )
    return Failed(
        f"the repository has no {wanted} on the project's branch; it has {', '.join(others)}",
        remedy="add that file, or write one of those after `devcontainer:` in the project file",
    )
