"""A folder for a clone that no other process works in, and that nobody died in.

Several processes may be told to keep their clones in one place: a `plan` beside a service, two jobs
of a scheduler. Each takes the first folder that is free, for as long as it lives. So whoever has a folder may
throw away what is in it, and a lock that it finds there on its way in is a dead one's.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from itertools import islice
from pathlib import Path
from weakref import WeakValueDictionary

from reconciler.git.loose_objects import is_whole, loose_objects
from reconciler.model.errors import Unavailable

MOST_FOLDERS = 16
"""So many are tried, each for one process that is at work at the same time."""
MOST_LOOKED_INTO = 10_000
"""Loose objects, at 30 µs each."""
_LEFT_BEHIND = (".lock", ".temp")
_BEGUN = ("tmp_", ".tmp-", "pack_git2_", "incoming-")
"""How git and libgit2 name what they write before they move it to its place."""
_CANNOT_LOCK = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}


class ClaimedFolder:
    """One folder that is ours while this object is there. It goes with the process, however that ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def __del__(self) -> None:
        os.close(self._descriptor)

    def is_there(self) -> bool:
        """Tell whether the path still is that folder: people may delete it at any time."""
        try:
            found, ours = self.path.stat(), os.fstat(self._descriptor)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)

    def is_empty(self) -> bool:
        """Tell whether nothing is in it."""
        return not any(self.path.iterdir())

    def empty(self) -> None:
        """Remove all that is in it, but not the folder, which is what is claimed. OSError if some stays."""
        for entry in self.path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def was_died_in(self) -> bool:
        """Tell whether there is what only a process leaves behind that was ended in the middle of writing.

        So many objects that looking at them takes long count as that: a new clone is quicker.
        """
        begun = any(
            name.endswith(_LEFT_BEHIND) or name.startswith(_BEGUN)
            for _, folders, files in os.walk(self.path)
            for name in (*folders, *files)
        )
        some = list(islice(loose_objects(self.path), MOST_LOOKED_INTO + 1))
        return begun or len(some) > MOST_LOOKED_INTO or not all(map(is_whole, some))


_CLAIMED: WeakValueDictionary[Path, ClaimedFolder] = WeakValueDictionary()
"""What this process has: its own clones of one repository share a folder."""


def claimed(first: Path) -> ClaimedFolder:
    """Return the folder of that path, or the next one that is free, without what somebody dead left in it.

    Unavailable when there is none to be had.
    """
    error: OSError | None = None
    for number in range(1, MOST_FOLDERS + 1):
        path = first if number == 1 else first.with_name(f"{first.stem}-{number}{first.suffix}")
        try:
            found = _claim(path)
        except OSError as fault:
            error = fault
            continue
        if found is not None:
            return found
    remedy = "set work.directory to a folder that can be written"
    if error is None:
        remedy = f"end some of them, or remove {first.parent} if nothing is at work"
        raise Unavailable("git", f"{MOST_FOLDERS} processes have clones in {first.parent}", remedy=remedy)
    raise Unavailable("git", f"cannot make a clone in {first}", remedy=remedy) from error


def _claim(path: Path) -> ClaimedFolder | None:
    """Return the folder; None while another process has it, OSError when it cannot be used."""
    ours = _CLAIMED.get(path)
    if ours is not None and ours.is_there():
        return ours
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        path.unlink()
    path.mkdir(exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    folder = ClaimedFolder(path, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    except OSError as error:
        # Some network file systems know no locks; there, whoever shares a folder may have to clone once more.
        if error.errno not in _CANNOT_LOCK:
            raise
    if folder.was_died_in():
        folder.empty()
    _CLAIMED[path] = folder
    return folder
