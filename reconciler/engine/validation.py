"""Checks files for `projects/` offline, wherever they lie; what CI runs on a pull request."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reconciler.engine.item_file import InvalidFiles, parse, refuse_clashes
from reconciler.engine.kind import Kinds
from reconciler.model.errors import InvalidFile
from reconciler.model.item import Item
from reconciler.model.yaml_read import BOUNDS
from reconciler.settings.giving import Sections


def validate_files(files: Sequence[Path], kinds: Kinds, sections: Sections | None) -> list[InvalidFile]:
    """Return every fault of every file, and every clash between them; `sections` tell what is allowed."""
    items: list[Item[Any]] = []
    errors: list[InvalidFile] = []
    # One file may be named in two ways; it would clash with itself.
    for path in {path.parent.resolve() / path.name: path for path in files}.values():
        try:
            items.append(parse(str(path), _read(path), kinds, sections=sections))
        except InvalidFile as error:
            errors.append(error)
        except InvalidFiles as several:
            errors.extend(several.found)
    return [*errors, *refuse_clashes(items)[1]]


def files_below(folder: Path) -> tuple[Path, ...]:
    """Return the paths of a folder that may be such files, in order."""
    return tuple(sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".yaml", ".yml"}))


def as_merged(folder: Path) -> tuple[dict[str, bytes], list[InvalidFile]]:
    """Return what the config repository would hold of a local `projects` folder, by path there.

    And an error for each that is no file, or too large to be looked at: it holds up none of the others.
    """
    files: dict[str, bytes] = {}
    errors: list[InvalidFile] = []
    for path in files_below(folder):
        try:
            files[f"projects/{path.relative_to(folder).as_posix()}"] = _read(path)
        except InvalidFile as error:
            errors.append(error)
    return files, errors


def _read(path: Path) -> bytes:
    try:
        found = path.lstat()
        mode = found.st_mode
        if not stat.S_ISREG(mode):
            what = "directory" if stat.S_ISDIR(mode) else "link" if stat.S_ISLNK(mode) else "special file"
            raise InvalidFile(str(path), f"is a {what}", remedy="name a regular file")
        if found.st_size > BOUNDS.size:
            raise InvalidFile(
                str(path), f"has {found.st_size} bytes; the most is {BOUNDS.size}", remedy="make it smaller"
            )
        with path.open("rb") as file:
            return file.read(BOUNDS.size + 1)
    except OSError as error:
        raise InvalidFile(str(path), f"cannot be read: {error.strerror}", remedy="check the name") from error
