"""What resources see of the manifest repository in a pass: one snapshot to read, a list of edits to add to.

The cycle fetches and hands both out; a resource never fetches or pushes.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import ClassVar, Self

from reconciler.git.build_check import kustomization_path
from reconciler.git.edits import Edit
from reconciler.git.locations import ManifestRepositorySettings
from reconciler.git.snapshot import Snapshot
from reconciler.git.tree import folder_id, folder_id_of
from reconciler.git.yaml_edit import entries
from reconciler.model.errors import Unavailable
from reconciler.model.item import ItemId
from reconciler.settings.giving import Reader, Sections, Settings, Writer

NEW_KUSTOMIZATION = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"


class ManifestTree(Reader):
    """The manifest repository at the commit that the pass started from. All paths are from its top."""

    system: ClassVar[str] = "git"
    settings: ClassVar[type[Settings]] = ManifestRepositorySettings

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._others: dict[str, Snapshot] = {}
        self._lines: dict[tuple[str, str], frozenset[str]] = {}

    @classmethod
    def connect(cls, sections: Sections) -> Self:
        """Raise: only the cycle can make one, from what it fetched."""
        raise Unavailable(cls.system, "the manifest repository was not fetched in this pass")

    @property
    def head(self) -> str:
        """The commit; empty for a repository without any."""
        return self._snapshot.commit

    def blobs(self, path: str) -> dict[str, str] | None:
        """Return the ids of a folder's files by name; None when there is no folder at the path."""
        found = self._snapshot.entries(path)
        return None if found is None else {name: each.id for name, each in found.items() if each.regular}

    def content(self, blob: str) -> bytes:
        """Return a blob's content by its id."""
        return self._snapshot.content(blob)

    def holds_only(self, path: str, blobs: Mapping[str, str]) -> bool:
        """Tell whether a folder is just these ordinary files: no link, folder or executable beside them."""
        return self._snapshot.folder_id(path) == folder_id_of(blobs)

    def folder_id(self, path: str) -> str | None:
        """Return the folder's tree id, to compare with `id_of`; None when there is no folder."""
        return self._snapshot.folder_id(path)

    def folder_at(self, revision: str, path: str) -> str | None:
        """Return the folder's tree id at another commit; Missing when nobody knows that commit."""
        return self._at(revision).folder_id(path)

    def has_line(self, base: str, entry: str) -> bool:
        """Tell whether the kustomization in the folder `base` lists the entry, like `envs/acme-widgets`."""
        return self._has_line(self._snapshot, base, entry)

    def has_line_at(self, revision: str, base: str, entry: str) -> bool:
        """Tell the same of another commit; Missing when nobody knows that commit."""
        return self._has_line(self._at(revision), base, entry)

    def kustomization(self, base: str) -> str:
        """Return the path of the folder's kustomization: the one it has, or the one to make."""
        return kustomization_path(self._snapshot.names(base), base)

    def contains(self, revision: str) -> bool:
        """Tell whether that commit is the head or came before it."""
        return self._snapshot.contains(revision)

    @staticmethod
    def id_of(files: Mapping[str, bytes]) -> str:
        """Return the tree id that a folder of exactly these files would have."""
        return folder_id(files)

    def _at(self, revision: str) -> Snapshot:
        if revision not in self._others:
            self._others[revision] = self._snapshot.at(revision)
        return self._others[revision]

    def _has_line(self, snapshot: Snapshot, base: str, entry: str) -> bool:
        path = kustomization_path(snapshot.names(base), base)
        found = snapshot.entry(path)
        if found is None or not found.regular:
            return False
        if (path, found.id) not in self._lines:
            self._lines[path, found.id] = entries(path, snapshot.content(found.id), "resources")
        return posixpath.normpath(entry) in self._lines[path, found.id]


class ManifestEdits(Writer):
    """Collects what the pass wants in the manifest repository; the publish stage pushes it."""

    system: ClassVar[str] = "git"
    settings: ClassVar[type[Settings]] = ManifestRepositorySettings

    def __init__(self) -> None:
        self._edits: dict[ItemId, dict[str, tuple[Edit, ...]]] = {}

    @classmethod
    def connect(cls, sections: Sections) -> Self:
        """Raise: edits that nobody publishes would be lost."""
        raise Unavailable(cls.system, "the manifest repository was not fetched in this pass")

    def record(self, item: ItemId, resource: str, edits: Iterable[Edit]) -> None:
        """Keep what one resource wants for an item, in place of what that resource recorded before."""
        self._edits.setdefault(item, {})[resource] = tuple(edits)

    @property
    def by_item(self) -> Mapping[ItemId, tuple[Edit, ...]]:
        """The edits of every item that has some, whichever of its resources they are for."""
        return {
            item: tuple(edit for edits in by_resource.values() for edit in edits)
            for item, by_resource in self._edits.items()
        }
