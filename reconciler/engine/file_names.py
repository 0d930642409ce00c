"""Names of files in `projects/`: which can be written down wherever an item's source is, and read back.

git keeps any bytes as a name. A status file says what an item's source is called, and so do tables, logs and
messages; a name that is no plain text comes back from there as another one, or not at all.
"""

from __future__ import annotations

import unicodedata

from reconciler.model.errors import InvalidFile

LONGEST_PATH = 512
"""Bytes, with the folders."""
_ON_NO_DISK = {"", ".", "..", ".git"}


def wrong_name(path: str) -> InvalidFile | None:
    """Return what is wrong with the name of such a file or of a folder above it; None when nothing is."""
    if not path.isprintable():
        wrong = "has a name that is not plain text"
    elif len(path.encode()) > LONGEST_PATH:
        path, wrong = f"{path[:60]}…", f"has a name of more than {LONGEST_PATH} bytes"
    elif _ON_NO_DISK & {name.lower() for name in path.split("/")}:
        wrong = "has a name that no disk can have"
    else:
        return None
    return InvalidFile(path, wrong, remedy="rename it, like acme-widgets.yaml")


def same_name(path: str) -> str:
    """Return what is the same for two paths that some disks keep as one: letter case, composed accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
