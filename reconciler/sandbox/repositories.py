"""The sandbox's two bare git repositories, and what stands in for merging a pull request."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Collection, Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from reconciler.model.errors import UsageError
from reconciler.model.yaml_read import BOUNDS

BRANCH = "main"
_REFERENCE = f"refs/heads/{BRANCH}"
_FIXTURES = files("reconciler.sandbox") / "fixtures"
# A fixed time makes the first commit the same in every sandbox.
_SEEDED_AT = 1_767_225_600
_SUFFIXES = (".yaml", ".yml")


def seed(path: Path, fixture: str) -> None:
    """Make the bare repository anew with the fixture's files in one commit; what was there is gone."""
    part = path.with_name(f"{path.name}.part")
    for old in (part, path):
        if old.exists():
            shutil.rmtree(old)
    repository = pygit2.init_repository(str(part), bare=True, initial_head=BRANCH)
    index = pygit2.Index()
    for name, content in _walk(_FIXTURES / fixture):
        index.add(pygit2.IndexEntry(name, repository.create_blob(content), FileMode.BLOB))
    author = pygit2.Signature("mesh-six", "platform@mesh-six.example", _SEEDED_AT, 0)
    tree = index.write_tree(repository)
    repository.create_commit(_REFERENCE, author, author, "What mesh-six runs today\n", tree, [])
    repository.free()
    part.rename(path)


def _walk(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry.read_bytes()


def merge_projects(repository_path: Path, directory: Path) -> str | None:
    """Commit what is new, changed or gone in a `projects` folder, as if its pull request was merged.

    Deleted is only what came from that folder, and is still as it came. Links are committed as links, never
    followed. Hidden files are left out. Returns the commit's id; None when there was nothing to do.
    """
    repository = pygit2.Repository(str(repository_path))
    parent = repository.references[_REFERENCE].peel(pygit2.Commit)
    index = pygit2.Index()
    index.read_tree(parent.tree)
    names = []
    came = _came_from(repository_path, directory)
    here: dict[str, str] = {}
    for path in project_files(directory):
        name = f"projects/{path.relative_to(directory).as_posix()}"
        mode, content = _content(path)
        entry = pygit2.IndexEntry(name, repository.create_blob(content), mode)
        here[name] = str(entry.id)
        if name not in index or (index[name].id, index[name].mode) != (entry.id, entry.mode):
            index.add(entry)
            names.append(name.removeprefix("projects/"))
    for name in _gone(came, here, index):
        index.remove(name)
        names.append(name.removeprefix("projects/"))
    _merged_from(repository_path, directory).write_text(json.dumps(here), encoding="utf-8")
    if not names:
        return None
    author = pygit2.Signature("sandbox", "sandbox@mesh-six.example")
    message = f"Merge {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "") + "\n"
    tree = index.write_tree(repository)
    return str(repository.create_commit(_REFERENCE, author, author, message, tree, [parent.id]))


def _merged_from(repository_path: Path, directory: Path) -> Path:
    """Return the file that says what a folder had when it was last merged; git does not look at it."""
    name = hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()[:16]
    return repository_path / f"merged-{name}.json"


def _came_from(repository_path: Path, directory: Path) -> dict[str, str]:
    """Return the blobs by path that the folder had when it was last merged."""
    file = _merged_from(repository_path, directory)
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


def _gone(came: Mapping[str, str], here: Collection[str], index: pygit2.Index) -> list[str]:
    """Return the files that the folder has no more, and that nobody has changed since they were merged."""
    return [
        name
        for name, blob in came.items()
        if name not in here and name in index and str(index[name].id) == blob
    ]


def unmerged_projects(repository_path: Path, directory: Path) -> list[str]:
    """Return the paths that the next pass will merge, or delete; empty where there is no such folder."""
    if not directory.is_dir():
        return []
    repository = pygit2.Repository(str(repository_path))
    index = pygit2.Index()
    index.read_tree(repository.references[_REFERENCE].peel(pygit2.Commit).tree)
    paths = {f"projects/{path.relative_to(directory).as_posix()}": path for path in project_files(directory)}
    changed = [
        name
        for name, path in paths.items()
        if name not in index or index[name].id != pygit2.hash(_content(path)[1])
    ]
    return [*changed, *_gone(_came_from(repository_path, directory), paths, index)]


def project_files(directory: Path) -> list[Path]:
    """Return the files and links under the folder in order; UsageError when it is not a real folder."""
    if directory.is_symlink() or not directory.is_dir():
        raise UsageError(
            f"{directory} is not a folder", remedy="make it, or name the folder of project files"
        )
    found = []
    for folder, folders, names in os.walk(directory, followlinks=False):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        folders[:] = [name for name in folders if not name.startswith(".") and name not in links]
        found += [Path(folder, name) for name in (*names, *links) if not name.startswith(".")]
    regular = (path for path in found if stat.S_IFMT(path.lstat().st_mode) in {stat.S_IFREG, stat.S_IFLNK})
    return sorted(regular)


def _content(path: Path) -> tuple[FileMode, bytes]:
    if path.is_symlink():
        return FileMode.LINK, os.fsencode(path.readlink())
    return FileMode.BLOB, path.read_bytes()


def local_files(directory: Path) -> list[bytes]:
    """Return the content of each YAML file of a folder, links left out, as far as a pass would read it."""
    found = []
    for path in project_files(directory):
        if not path.is_symlink() and path.suffix in _SUFFIXES:
            with path.open("rb") as file:
                found.append(file.read(BOUNDS.size + 1))
    return found


def merged_files(repository_path: Path) -> list[bytes]:
    """Return the same of the files that are merged already, by whoever."""
    repository = pygit2.Repository(str(repository_path))
    index = pygit2.Index()
    index.read_tree(repository.references[_REFERENCE].peel(pygit2.Commit).tree)
    blobs = (
        repository[entry.id]
        for entry in index
        if entry.path.startswith("projects/") and entry.path.endswith(_SUFFIXES)
    )
    return [blob.data for blob in blobs if isinstance(blob, pygit2.Blob)]
