"""Objects from our clone into a repository on this disk, which other processes use, and may die in, too."""

from __future__ import annotations

import os
import tempfile
import zlib
from pathlib import Path

import pygit2
from pygit2.enums import FileMode, ObjectType

from reconciler.git.loose_objects import is_whole, loose_object

LARGEST_LOOKED_INTO = 1024 * 1024
"""Bytes of an object that is read to see whether it is whole. Whatever we write is far below."""
_NAMES = {ObjectType.BLOB: b"blob", ObjectType.TREE: b"tree", ObjectType.COMMIT: b"commit"}


def copy_objects(source: pygit2.Repository, object_id: pygit2.Oid, target: pygit2.Repository) -> None:
    """Copy an object after all that it refers to: what is there, is there whole, wherever this was killed.

    What lies there in halves (a disk that was full, a machine that lost its power) is written anew.
    """
    into = target.odb
    there = object_id in into
    if there and _can_be_read(target, object_id):
        return
    kind, content = source.odb.read(object_id)
    if kind == ObjectType.COMMIT:
        copy_objects(source, source[object_id].peel(pygit2.Tree).id, target)
    elif kind == ObjectType.TREE:
        for entry in source[object_id].peel(pygit2.Tree):
            if entry.filemode != FileMode.COMMIT:
                copy_objects(source, entry.id, target)
    if there:
        _replace(Path(target.path), object_id, _NAMES[ObjectType(kind)], content)
    else:
        into.write(kind, content)


def _can_be_read(repository: pygit2.Repository, object_id: pygit2.Oid) -> bool:
    """Tell whether an object is whole, and is what it is called after, which libgit2 compares."""
    file, objects = loose_object(Path(repository.path), str(object_id)), repository.odb
    if file.exists() and not is_whole(file):
        return False
    try:
        _, size = objects.read_header(object_id)
        if size <= LARGEST_LOOKED_INTO:
            objects.read(object_id)
    except (KeyError, pygit2.GitError):
        return False
    return True


def _replace(repository: Path, object_id: pygit2.Oid, kind: bytes, content: bytes) -> None:
    """Put a whole loose object in the place of a broken one, which libgit2 would leave as it is."""
    name = str(object_id)
    file = loose_object(repository, name)
    file.parent.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix="tmp_obj_", delete=False) as written:
        written.write(zlib.compress(b"%s %d\0%s" % (kind, len(content), content)))
        written.flush()
        os.fsync(written.fileno())
    temporary = Path(written.name)
    temporary.chmod(0o444)
    temporary.replace(file)
