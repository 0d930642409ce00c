"""Git's tree and blob objects, read and written without a work tree.

Knows git's object format (a tree is `mode name NUL id`, sorted, a folder as if its name ended in a slash) and
nothing of repositories, remotes or YAML. Ids are computed here, so that a plan can compare what it would
write without writing it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from reconciler.model.errors import BeyondBounds, Collision

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
FILE_IN_ITS_PLACE = "put an ordinary file in its place, in one commit, with all that it has brought so far"
FOLDER_IN_ITS_PLACE = (
    "put an ordinary folder in its place, in one commit, with all that it has brought so far"
)
LARGEST = 16 * 1024 * 1024
"""Bytes of an object that is read, if nobody says less: its size is asked for first. A folder has 40 to 100
for each of its entries."""
MOST_FILES = 200_000
DEEPEST = 100
"""Of a walk through a tree. A few small objects can name one another often enough for any number of files."""
_FOLDER = b"40000"
_FILE = b"100644"


class EntryKind(StrEnum):
    """What a path of a tree is. A link is never followed; a submodule has no content here."""

    FILE = "file"
    EXECUTABLE = "executable file"
    LINK = "symbolic link"
    SUBMODULE = "submodule"
    FOLDER = "folder"


_LONGEST_LINK = 4096
_KINDS = {
    b"120000": EntryKind.LINK,
    b"160000": EntryKind.SUBMODULE,
    _FOLDER: EntryKind.FOLDER,
    b"100755": EntryKind.EXECUTABLE,
}


@dataclass(frozen=True)
class Entry:
    """One path of a tree. Bytes of a name that are not UTF-8 are kept as surrogates."""

    path: str
    kind: EntryKind
    id: str

    @property
    def regular(self) -> bool:
        """True for a file with content of its own."""
        return self.kind in {EntryKind.FILE, EntryKind.EXECUTABLE}

    @property
    def blob(self) -> str:
        """The id of a file's content."""
        return self.id


class Objects(Protocol):
    """A store of git objects. `kind` is `blob` or `tree`; ids are 40 hexadecimal digits."""

    def read(self, object_id: str) -> bytes:
        """Return an object's content."""

    def size(self, object_id: str) -> int:
        """Return how many bytes that would be, without reading them."""

    def write(self, kind: str, content: bytes) -> str:
        """Keep an object and return its id."""


class Memory:
    """Objects that are only computed; what is not among them is read from below. Writes nothing anywhere."""

    def __init__(self, below: Objects | None = None) -> None:
        self._below = below
        self._kept: dict[str, bytes] = {EMPTY_TREE: b""}

    def read(self, object_id: str) -> bytes:
        """Return an object's content; KeyError when nobody has it."""
        if object_id in self._kept or self._below is None:
            return self._kept[object_id]
        return self._below.read(object_id)

    def size(self, object_id: str) -> int:
        """Return the size of an object's content; KeyError when nobody has it."""
        if object_id in self._kept or self._below is None:
            return len(self._kept[object_id])
        return self._below.size(object_id)

    def write(self, kind: str, content: bytes) -> str:
        """Keep an object in memory and return its id."""
        object_id = object_id_of(kind, content)
        self._kept[object_id] = content
        return object_id


def bounded(objects: Objects, object_id: str, path: str, most: int = LARGEST) -> bytes:
    """Return an object's content, once its size is known to be bearable; BeyondBounds otherwise.

    `path`: what to call it.
    """
    size = objects.size(object_id)
    if size > most:
        raise BeyondBounds(path, f"has {size} bytes; the most is {most}", remedy="make it smaller")
    return objects.read(object_id)


def object_id_of(kind: str, content: bytes) -> str:
    """Return the id that git gives to such an object (SHA-1 repositories)."""
    return hashlib.sha1(b"%s %d\0%s" % (kind.encode(), len(content), content)).hexdigest()  # noqa: S324


def folder_id(files: Mapping[str, bytes]) -> str:
    """Return the id of a folder of exactly these files, by name."""
    return folder_id_of({name: object_id_of("blob", content) for name, content in files.items()})


def folder_id_of(blobs: Mapping[str, str]) -> str:
    """Return the id of a folder of exactly these files, as ids of blobs by name."""
    return object_id_of("tree", _encode({name: _Leaf(_FILE, blob) for name, blob in blobs.items()}))


@dataclass(frozen=True)
class _Leaf:
    mode: bytes
    id: str

    @property
    def kind(self) -> EntryKind:
        return _KINDS.get(
            self.mode, EntryKind.FOLDER if self.mode.lstrip(b"0") == _FOLDER else EntryKind.FILE
        )


_Folder = dict[str, "_Leaf | _Folder"]


class Draft:
    """A tree under edit: reads see the edits, and only folders that are looked into are ever read."""

    def __init__(self, objects: Objects, root: str) -> None:
        self._objects = objects
        self._root: _Folder = _parse(bounded(objects, root, "the top folder"))

    def entry(self, path: str) -> Entry | None:
        """Return what is at the path. A folder that holds edits is written first, to have an id."""
        found = self._find(path)
        if found is None:
            return None
        if isinstance(found, dict):
            return Entry(path, EntryKind.FOLDER, self._write(found))
        return Entry(path, found.kind, found.id)

    def kind(self, path: str) -> EntryKind | None:
        """Return what the path is, without following links; None when there is nothing."""
        found = self._find(path)
        return EntryKind.FOLDER if isinstance(found, dict) else None if found is None else found.kind

    def link(self, path: str) -> str | None:
        """Return where a link points, as it is written; None when the path is no link."""
        found = self._find(path)
        if not isinstance(found, _Leaf) or found.kind is not EntryKind.LINK:
            return None
        return bounded(self._objects, found.id, path, _LONGEST_LINK).decode("utf-8", "surrogateescape")

    def read(self, path: str) -> bytes | None:
        """Return a regular file's content; None when there is none at the path. BeyondBounds as below."""
        found = self.entry(path)
        return self.content(found) if found is not None and found.regular else None

    def content(self, entry: Entry, most: int = LARGEST) -> bytes:
        """Return what an entry holds; for a link, where it points. BeyondBounds when that is too much."""
        return bounded(self._objects, entry.id, entry.path, most)

    def names(self, path: str = "") -> frozenset[str]:
        """Return the names of what a folder holds, whatever it is; empty when it is no folder."""
        return frozenset(self._open(path, create=False) or ())

    def entries(self, path: str) -> dict[str, Entry] | None:
        """Return what is directly in a folder by name, save folders; None when it is no folder."""
        folder = self._open(path, create=False)
        if folder is None:
            return None
        return {
            name: Entry(f"{path}/{name}", found.kind, found.id)
            for name, found in folder.items()
            if isinstance(found, _Leaf) and found.kind is not EntryKind.FOLDER
        }

    def files(self, path: str = "") -> Iterator[Entry]:
        """Yield everything below the folder that is not itself a folder, links and submodules as such.

        BeyondBounds when there are too many, or too deep.
        """
        folder = self._open(path, create=False)
        if folder is None:
            return
        for count, entry in enumerate(self._walk(folder, f"{path}/" if path else "", 0)):
            if count >= MOST_FILES:
                message = f"has more than {MOST_FILES} files"
                raise BeyondBounds(path or "the repository", message, remedy="have them elsewhere")
            yield entry

    def put(self, path: str, content: bytes) -> bool:
        """Make the path a regular file of that content; False when it was one.

        Collision when what people put there is in the way: a link, a submodule, a file for a folder.
        """
        parent, _, name = path.rpartition("/")
        folder = self._open(parent, create=True)
        assert folder is not None  # noqa: S101 - create=True raises instead
        present = folder.get(name)
        if isinstance(present, _Leaf) and present.kind in {EntryKind.FILE, EntryKind.EXECUTABLE}:
            if present.id == object_id_of("blob", content):
                return False
        elif present is not None:
            what = present.kind if isinstance(present, _Leaf) else EntryKind.FOLDER
            # Never "remove it": what is taken out of the tree first is taken out of the cluster.
            raise Collision("git", f"{path} is a {what}, not a file", remedy=FILE_IN_ITS_PLACE)
        folder[name] = _Leaf(_FILE, self._objects.write("blob", content))
        return True

    def remove(self, path: str) -> bool:
        """Take the path away, with all below it; False when it was not there. An empty folder goes too."""
        parent, _, name = path.rpartition("/")
        folder = self._open(parent, create=False)
        return folder is not None and folder.pop(name, None) is not None

    def write(self) -> str:
        """Write every folder that changed and return the id of the whole tree."""
        return self._write(self._root)

    def _walk(self, folder: _Folder, prefix: str, depth: int) -> Iterator[Entry]:
        if depth > DEEPEST:
            raise BeyondBounds(prefix, f"is more than {DEEPEST} folders deep", remedy="have it further up")
        for name, found in folder.items():
            below = None
            if isinstance(found, dict) or found.kind is EntryKind.FOLDER:
                below = self._opened(found, prefix + name)
            if below is not None:
                yield from self._walk(below, f"{prefix}{name}/", depth + 1)
            elif isinstance(found, _Leaf):
                yield Entry(prefix + name, found.kind, found.id)

    def _find(self, path: str) -> _Leaf | _Folder | None:
        parent, _, name = path.rpartition("/")
        folder = self._open(parent, create=False)
        if not path:
            return folder
        return folder.get(name) if folder is not None else None

    def _open(self, path: str, *, create: bool) -> _Folder | None:
        folder = self._root
        for name in path.split("/") if path else ():
            found = folder.get(name)
            if found is None and not create:
                return None
            below = {} if found is None else self._opened(found, path)
            if below is None:
                if not create:
                    return None
                what = found.kind if isinstance(found, _Leaf) else ""
                raise Collision(
                    "git", f"{path}: {name} is a {what}, not a folder", remedy=FOLDER_IN_ITS_PLACE
                )
            folder[name] = below
            folder = below
        return folder

    def _opened(self, found: _Leaf | _Folder, path: str) -> _Folder | None:
        if isinstance(found, dict):
            return found
        return _parse(bounded(self._objects, found.id, path)) if found.kind is EntryKind.FOLDER else None

    def _write(self, folder: _Folder) -> str:
        leaves: dict[str, _Leaf] = {}
        for name, found in folder.items():
            if isinstance(found, _Leaf):
                leaves[name] = found
            elif (written := self._write(found)) != EMPTY_TREE:
                leaves[name] = _Leaf(_FOLDER, written)
        return self._objects.write("tree", _encode(leaves))


def _parse(content: bytes) -> _Folder:
    folder: _Folder = {}
    start = 0
    while start < len(content):
        end = content.index(b"\0", start)
        mode, _, name = content[start:end].partition(b" ")
        start = end + 21
        folder[name.decode("utf-8", "surrogateescape")] = _Leaf(mode, content[end + 1 : start].hex())
    return folder


def _encode(leaves: Mapping[str, _Leaf]) -> bytes:
    rows = [(name.encode("utf-8", "surrogateescape"), leaf) for name, leaf in leaves.items()]
    rows.sort(key=lambda row: row[0] + b"/" if row[1].kind is EntryKind.FOLDER else row[0])
    return b"".join(b"%s %s\0%s" % (leaf.mode, name, bytes.fromhex(leaf.id)) for name, leaf in rows)
