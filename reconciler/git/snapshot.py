"""One commit of a repository, to read from. Writes nothing, not even objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from reconciler.git import past
from reconciler.git.clone import Clone, Damaged
from reconciler.git.past import Removal
from reconciler.git.tree import EMPTY_TREE, LARGEST, Draft, Entry, EntryKind, Memory, Objects, bounded
from reconciler.model.errors import Missing

MOST_COMMITS = 20_000
"""That are looked back for something that is gone."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Snapshot:
    """A repository at one commit. `commit` is empty for a repository without any.

    `before`: the commit that our clone had followed until then; empty where it has just been made.
    """

    def __init__(
        self, clone: Clone, commit: str, branch: str, fetch: Callable[[], object], before: str = ""
    ) -> None:
        self._clone = clone
        self.before = before
        self._fetch = fetch
        self.commit = commit
        self.branch = branch
        self.root = clone.root_of(commit) if commit else EMPTY_TREE
        self._objects = _Mended(clone, fetch)
        self._tree = Draft(Memory(self._objects), self.root)

    def entry(self, path: str) -> Entry | None:
        """Return what is at the path, without following links."""
        return self._tree.entry(path)

    def read(self, path: str) -> bytes | None:
        """Return a regular file's content; None when there is none at the path."""
        return self._tree.read(path)

    def content(self, blob: str, path: str = "", most: int = LARGEST) -> bytes:
        """Return a blob's content by its id. BeyondBounds, for the path, when that is too much."""
        return bounded(self._objects, blob, path or blob, most)

    def folder(self, path: str) -> dict[str, bytes] | None:
        """Return the regular files directly in a folder, by name; None when it is no folder."""
        if self.folder_id(path) is None:
            return None
        found = {name: self.read(f"{path}/{name}") for name in sorted(self.names(path))}
        return {name: content for name, content in found.items() if content is not None}

    def entries(self, path: str) -> dict[str, Entry] | None:
        """Return what is directly in a folder by name, save folders; None when it is no folder."""
        return self._tree.entries(path)

    def folder_id(self, path: str) -> str | None:
        """Return the tree id of a folder; None when it is no folder."""
        entry = self._tree.entry(path)
        return entry.id if entry is not None and entry.kind is EntryKind.FOLDER else None

    def names(self, path: str) -> frozenset[str]:
        """Return what is directly in a folder, whatever it is; empty when it is no folder."""
        return self._tree.names(path)

    def files(self, path: str = "") -> Iterator[Entry]:
        """Yield everything below a folder that is no folder itself: files, links and submodules as such."""
        return self._tree.files(path)

    def draft(self, objects: Objects | None = None) -> Draft:
        """Return the tree to be edited; what it writes stays in memory unless objects are given."""
        return Draft(Memory(self._objects) if objects is None else objects, self.root)

    def contains(self, commit: str) -> bool:
        """Tell whether that commit is this one or came before it; False for one that nobody knows."""
        known = bool(self.commit and _COMMIT.fullmatch(commit)) and self._clone.has(commit)
        return known and self._clone.is_ancestor(commit, self.commit)

    def removals(self, paths: Iterable[str]) -> dict[str, Removal]:
        """Return, by path, the newest commit that took it away; nothing for what none has."""
        return past.removals(self._clone, self.commit, paths) if self.commit else {}

    def messages_since(self, commit: str) -> Iterator[str]:
        """Yield the messages of the commits up to this one that a known commit does not have."""
        return past.messages(self._clone, self.commit, commit)

    def follows(self, older: str, newer: str) -> bool:
        """Tell whether `newer` is the commit `older` or follows it; False where one is not known."""
        known = all(_COMMIT.fullmatch(each) and self._clone.has(each) for each in (older, newer))
        return known and self._clone.is_ancestor(older, newer)

    @property
    def rewritten(self) -> bool:
        """Whether history was rewritten since our clone last followed it; False where nobody can tell.

        What is missing then was not taken away by anybody: it may never have been there.
        """
        return bool(self.before) and not self.contains(self.before)

    def earlier(self) -> Iterator[Snapshot]:
        """Yield the repository at the commits before this one, the latest first; not without end.

        Where history was rewritten, what our clone had followed until then comes in front.
        """
        if self.rewritten and self._clone.has(self.before):
            yield Snapshot(self._clone, self.before, self.branch, self._fetch)
        for commit in self._clone.history(self.commit, MOST_COMMITS) if self.commit else ():
            yield Snapshot(self._clone, commit, self.branch, self._fetch)

    def at(self, revision: str) -> Snapshot:
        """Return the repository at another commit; one that is unknown after another fetch is Missing."""
        if revision == self.commit:
            return self
        known = _COMMIT.fullmatch(revision) is not None
        if known and not self._clone.has(revision):
            self._fetch()
        if not known or not self._clone.has(revision):
            raise Missing("git", f"commit {revision[:40]!r} is not on branch {self.branch}")
        return Snapshot(self._clone, revision, self.branch, self._fetch)


class _Mended:
    """The objects of a clone; one that turns out not to be there is fetched again, with all others."""

    def __init__(self, clone: Clone, fetch: Callable[[], object]) -> None:
        self._clone = clone
        self._fetch = fetch

    def read(self, object_id: str) -> bytes:
        """Return an object's content; Damaged when the server has it no longer, either."""
        try:
            return self._clone.read(object_id)
        except Damaged:
            self._fetch()
            return self._clone.read(object_id)

    def size(self, object_id: str) -> int:
        """Return the size of an object's content; Damaged as above."""
        try:
            return self._clone.size(object_id)
        except Damaged:
            self._fetch()
            return self._clone.size(object_id)

    def write(self, kind: str, content: bytes) -> str:
        """Keep an object."""
        return self._clone.write(kind, content)
