"""Checks project files offline, wherever they lie; what CI runs on a pull request."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reconciler.errors import InvalidFile
from reconciler.kinds import KINDS
from reconciler.model.project import Project
from reconciler.project_file import InvalidFiles, parse, refuse_clashes

LARGEST = 256 * 1024
"""Bytes that are read at most; the loader says why more is refused."""


def validate_files(files: Sequence[Path]) -> list[InvalidFile]:
    """Return every fault of every file, and every clash between them."""
    projects: list[Project[Any]] = []
    errors: list[InvalidFile] = []
    for path in dict.fromkeys(files):
        try:
            projects.append(parse(str(path), _read(path), KINDS))
        except InvalidFile as error:
            errors.append(error)
        except InvalidFiles as several:
            errors.extend(several.found)
    return [*errors, *refuse_clashes(projects)[1]]


def _read(path: Path) -> bytes:
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            what = "directory" if stat.S_ISDIR(mode) else "link" if stat.S_ISLNK(mode) else "special file"
            raise InvalidFile(str(path), f"is a {what}", remedy="name a regular file")
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise InvalidFile(str(path), f"cannot be read: {error.strerror}", remedy="check the name") from error
