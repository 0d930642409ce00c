"""The cached bare clone of one repository: objects in, objects out. Knows no remote and no edit.

Nothing in it is worth anything but the commit that it followed last: whatever else is wrong with it, it is
thrown away and cloned again. Its folder is this process's own (`clone_folder.py`), so nobody misses it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType, SortMode

from reconciler.git.clone_folder import ClaimedFolder, claimed
from reconciler.git.tree import EMPTY_TREE
from reconciler.model.errors import Unavailable

FETCHED = "refs/reconciler/fetched"
MOST_PACKS = 50
MOST_LOOSE = 50_000
"""Every fetch leaves a pack, every push loose objects, and nobody tidies up: past these, it is made anew. An
open repository holds a descriptor for each pack that it has read from."""
NEWEST_FIRST = SortMode.TOPOLOGICAL | SortMode.TIME
"""How history is walked: whatever clocks it was written by, no commit comes before one that stands on it."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_TYPES = {"blob": ObjectType.BLOB, "tree": ObjectType.TREE}


class Damaged(Unavailable):
    """The clone lacks an object, or has one that cannot be read; it was thrown away."""


class Clone:
    """A bare repository of ours; an `Objects` for drafts to be written to."""

    def __init__(self, parent: Path, address: str) -> None:
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", address.rstrip("/").rpartition("/")[2]).strip(".-")[:100]
        self._first = parent / f"{name}-{hashlib.sha256(address.encode()).hexdigest()[:12]}.git"
        self._folder: ClaimedFolder | None = None
        self._opened: pygit2.Repository | None = None
        self._objects: pygit2.Odb | None = None

    def open(self) -> pygit2.Repository:
        """Return the repository, made if it is not there or is of no more use."""
        if self._opened is None or self._folder is None or not self._folder.is_there():
            self.close()
            folder = self._claimed()
            try:
                self._opened = self._open(folder)
                self._objects = self._opened.odb
            except (OSError, pygit2.GitError) as error:
                remedy = "set work.directory to a folder that can be written"
                raise Unavailable("git", f"cannot make a clone in {folder.path}", remedy=remedy) from error
        return self._opened

    @property
    def directory(self) -> Path:
        """Where it is, from now on: claimed for this process."""
        return self._claimed().path

    def close(self) -> None:
        """Let go of its files; the next `open` opens them again."""
        if self._opened is not None:
            # libgit2 keeps packs in memory by their path: without this, a new pack would be taken for the
            # damaged one that had the same name.
            self._opened.free()
        self._opened = self._objects = self._folder = None

    def discard(self) -> None:
        """Throw the clone away; the next `open` makes a new one."""
        folder = self._claimed()
        self.close()
        # What cannot be removed is told by the next `open`, which looks at what is left.
        with suppress(OSError):
            folder.empty()
        self._folder = folder

    def is_worn(self) -> bool:
        """Tell whether it has grown so much that a new one is better. Looks at two folders."""
        try:
            objects = self._claimed().path / "objects"
            packs = sum(1 for _ in (objects / "pack").glob("*.pack"))
            # Ids are spread evenly, so one of the 256 folders tells about all, as git's own tidying does.
            loose = sum(1 for _ in (objects / "17").glob("*")) * 256
        except (OSError, Unavailable):
            # Not even a folder can be opened: most likely the packs have used up what a process may open.
            return True
        return packs > MOST_PACKS or loose > MOST_LOOSE

    def read(self, object_id: str) -> bytes:
        """Return an object's content; Damaged when it is not there whole."""
        if object_id == EMPTY_TREE:
            return b""
        try:
            return bytes(self._store().read(pygit2.Oid(hex=object_id))[1])
        except (KeyError, pygit2.GitError) as error:
            raise self.damage() from error

    def size(self, object_id: str) -> int:
        """Return the size of an object's content, which is not read for it; Damaged as above."""
        if object_id == EMPTY_TREE:
            return 0
        try:
            return int(self._store().read_header(pygit2.Oid(hex=object_id))[1])
        except (KeyError, pygit2.GitError) as error:
            raise self.damage() from error

    def write(self, kind: str, content: bytes) -> str:
        """Keep an object."""
        try:
            return str(self._store().write(_TYPES[kind], content))
        except (OSError, KeyError, pygit2.GitError) as error:
            raise self._unwritten(error) from error

    def has(self, commit: str) -> bool:
        """Tell whether the clone has that commit."""
        try:
            found = self.open().get(commit)
        except pygit2.GitError as error:
            raise self.damage() from error
        return found is not None and found.type == ObjectType.COMMIT

    def root_of(self, commit: str) -> str:
        """Return the id of a commit's tree; Damaged when commit or tree are not there."""
        try:
            found = self.open()[commit].peel(pygit2.Tree)
        except (KeyError, pygit2.GitError) as error:
            raise self.damage() from error
        return str(found.id)

    def followed(self, branch: str) -> str:
        """Return a branch's commit that was last followed; empty for none, as in a clone made anew."""
        try:
            found = self.open().references.get(_followed(branch))
        except (KeyError, ValueError, pygit2.GitError):
            return ""
        return "" if found is None else str(found.target)

    def follow(self, branch: str, commit: str) -> None:
        """Remember a commit as the one that was last followed."""
        try:
            self.open().references.create(_followed(branch), pygit2.Oid(hex=commit), force=True)
        except (OSError, KeyError, ValueError, pygit2.GitError) as error:
            raise self._unwritten(error) from error

    def history(self, commit: str, most: int) -> Iterator[str]:
        """Yield the commits before that one, the latest first, no more than so many; Damaged as above."""
        try:
            walk = self.open().walk(pygit2.Oid(hex=commit), NEWEST_FIRST)
            for found in islice(walk, 1, most):
                yield str(found.id)
        except (KeyError, pygit2.GitError) as error:
            raise self.damage() from error

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Tell whether `newer` is that commit or follows it. Both must be known."""
        # libgit2's own answer is strict: no commit descends from itself.
        try:
            return older == newer or self.open().descendant_of(newer, older)
        except (KeyError, pygit2.GitError) as error:
            raise self.damage() from error

    def commit(self, root: str, parent: str, author: tuple[str, str], message: str) -> str:
        """Make a commit that no ref names yet. `parent` is empty for the first."""
        signature = pygit2.Signature(*author)
        parents = [pygit2.Oid(hex=parent)] if parent else []
        try:
            tree = pygit2.Oid(hex=root)
            return str(self.open().create_commit(None, signature, signature, message, tree, parents))
        except (OSError, KeyError, pygit2.GitError) as error:
            raise self._unwritten(error) from error

    def _claimed(self) -> ClaimedFolder:
        if self._folder is None or not self._folder.is_there():
            self._folder = claimed(self._first)
        return self._folder

    def _store(self) -> pygit2.Odb:
        if self._objects is None:
            self.open()
        assert self._objects is not None  # noqa: S101 - opened with the repository
        return self._objects

    def _open(self, folder: ClaimedFolder) -> pygit2.Repository:
        path = str(folder.path)
        try:
            if not folder.is_empty():
                return pygit2.Repository(path, pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
        except pygit2.GitError:
            folder.empty()
        return pygit2.init_repository(path, bare=True)

    def _unwritten(self, error: Exception) -> Unavailable:
        if any(os.strerror(number) in str(error) for number in _NO_ROOM):
            return Unavailable("git", "cannot write to the local clone", remedy="is its disk full?")
        return self.damage()

    def damage(self) -> Damaged:
        """Throw the clone away; return the error that says so."""
        self.discard()
        return Damaged("git", "the local clone is damaged and was thrown away", remedy="run again")


def _followed(branch: str) -> str:
    # Not the branch's own name: `a` and `a/b` cannot both be refs.
    return (
        f"refs/reconciler/followed/{hashlib.sha256(branch.encode(errors='surrogateescape')).hexdigest()[:16]}"
    )
