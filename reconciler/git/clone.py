"""The cached bare clone of one repository: objects in, objects out. Knows no remote and no edit.

Nothing in it is worth anything: whatever is wrong with it, it is thrown away and cloned again.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType

from reconciler.git.tree import EMPTY_TREE
from reconciler.model.errors import Unavailable

FETCHED = "refs/reconciler/fetched"
MOST_PACKS = 50
MOST_LOOSE = 50_000
"""Every fetch leaves a pack, every push loose objects, and nobody tidies up: past these, it is made anew. An
open repository holds a descriptor for each pack that it has read from."""
_TYPES = {"blob": ObjectType.BLOB, "tree": ObjectType.TREE}


class Damaged(Unavailable):
    """The clone lacks an object, or has one that cannot be read; it was thrown away."""


class Clone:
    """A bare repository of ours; an `Objects` for drafts to be written to."""

    def __init__(self, parent: Path, address: str) -> None:
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", address.rstrip("/").rpartition("/")[2]).strip(".-")
        self.directory = parent / f"{name}-{hashlib.sha256(address.encode()).hexdigest()[:12]}.git"
        self._opened: pygit2.Repository | None = None
        self._objects: pygit2.Odb | None = None

    def open(self) -> pygit2.Repository:
        """Return the repository, made if it is not there or is of no more use."""
        if self._opened is None or not self.directory.exists():
            self._opened = self._open()
            self._objects = self._opened.odb
        return self._opened

    def close(self) -> None:
        """Let go of its files; the next `open` opens them again."""
        if self._opened is not None:
            # libgit2 keeps packs in memory by their path: without this, a new pack would be taken for the
            # damaged one that had the same name.
            self._opened.free()
        self._opened = self._objects = None

    def discard(self) -> None:
        """Throw the clone away; the next `open` makes a new one."""
        self.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def is_worn(self) -> bool:
        """Tell whether it has grown so much that a new one is better. Looks at two folders."""
        objects = self.directory / "objects"
        try:
            packs = sum(1 for _ in (objects / "pack").glob("*.pack"))
            # Ids are spread evenly, so one of the 256 folders tells about all, as git's own tidying does.
            loose = sum(1 for _ in (objects / "17").glob("*")) * 256
        except OSError:
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

    def write(self, kind: str, content: bytes) -> str:
        """Keep an object."""
        try:
            return str(self._store().write(_TYPES[kind], content))
        except (OSError, pygit2.GitError) as error:
            raise Unavailable("git", "cannot write to the local clone", remedy="is its disk full?") from error

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
        made = self.open().create_commit(None, signature, signature, message, pygit2.Oid(hex=root), parents)
        return str(made)

    def _store(self) -> pygit2.Odb:
        if self._objects is None:
            self.open()
        assert self._objects is not None  # noqa: S101 - opened with the repository
        return self._objects

    def _open(self) -> pygit2.Repository:
        try:
            if self.directory.exists():
                return pygit2.Repository(str(self.directory), pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
        except pygit2.GitError:
            shutil.rmtree(self.directory, ignore_errors=True)
        try:
            self.directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return pygit2.init_repository(str(self.directory), bare=True)
        except (OSError, pygit2.GitError) as error:
            remedy = "set work.directory to a folder that can be written"
            raise Unavailable("git", f"cannot make a clone in {self.directory}", remedy=remedy) from error

    def damage(self) -> Damaged:
        """Throw the clone away; return the error that says so."""
        self.discard()
        return Damaged("git", "the local clone is damaged and was thrown away", remedy="run again")
