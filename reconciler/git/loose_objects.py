"""Git's loose objects as files: whether one is whole.

libgit2 is not asked: of an object that is cut in the middle it goes on reading for ever (libgit2 1.9), and so
does whoever waits for it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path

PIECE = 1024 * 1024
_HEADER = re.compile(rb"(?:blob|tree|commit|tag) (\d{1,19})\0")


def loose_object(repository: Path, object_id: str) -> Path:
    """Return where a repository has an object if it has it loose."""
    return repository / "objects" / object_id[:2] / object_id[2:]


def loose_objects(repository: Path) -> Iterator[Path]:
    """Yield the files of all loose objects."""
    return (repository / "objects").glob("[0-9a-f][0-9a-f]/*")


def is_whole(file: Path) -> bool:
    """Tell whether a loose object is there to its end; bounded in memory, whatever its size."""
    inflating, total, wanted = zlib.decompressobj(), 0, -1
    try:
        with file.open("rb") as source:
            while not inflating.eof:
                given = inflating.unconsumed_tail or source.read(PIECE)
                content = inflating.decompress(given, PIECE)
                if wanted < 0:
                    if not (header := _HEADER.match(content)):
                        return False
                    wanted = header.end() + int(header[1])
                total += len(content)
                if not given and not content:
                    return False
    except (OSError, zlib.error):
        return False
    return total == wanted
