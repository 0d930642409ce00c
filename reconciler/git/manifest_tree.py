"""What resources see of the manifest repository in a pass: one snapshot to read, a list of edits to add to.

The cycle fetches and hands both out; a resource never fetches or pushes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, Self

from reconciler.git.edits import Edit
from reconciler.git.inclusion import Inclusions, Kustomizations, Naming, included
from reconciler.git.kustomize_paths import followed
from reconciler.git.locations import ManifestRepositorySettings
from reconciler.git.snapshot import Snapshot
from reconciler.git.tree import Draft, folder_id, folder_id_of
from reconciler.model.errors import BeyondBounds, Unavailable
from reconciler.model.item import ItemId
from reconciler.settings.giving import Reader, Sections, Settings, Writer

NEW_KUSTOMIZATION = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"


class ManifestTree(Reader):
    """The manifest repository at the commit that the pass started from.

    All paths are from its top; links on them are followed within the repository, as a build follows them.
    """

    system: ClassVar[str] = "git"
    settings: ClassVar[type[Settings]] = ManifestRepositorySettings

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._others: dict[str, Snapshot] = {}
        self._drafts: dict[str, Draft] = {}
        self._reader = Kustomizations()
        self._inclusions: dict[tuple[str, str, Naming | None], Inclusions] = {}

    @classmethod
    def connect(cls, sections: Sections) -> Self:
        """Raise: only the cycle can make one, from what it fetched."""
        raise Unavailable(cls.system, "the manifest repository was not fetched in this pass")

    @property
    def head(self) -> str:
        """The commit; empty for a repository without any."""
        return self._snapshot.commit

    @property
    def branch(self) -> str:
        """The branch that is read and pushed to."""
        return self._snapshot.branch

    def blobs(self, path: str) -> dict[str, str] | None:
        """Return the ids of a folder's files by name; None when there is no folder at the path."""
        found = self._snapshot.entries(self._followed(self._snapshot, path))
        return None if found is None else {name: each.id for name, each in found.items() if each.regular}

    def names(self, path: str) -> frozenset[str]:
        """Return what is directly in a folder, whatever it is; empty when it is no folder."""
        return self._snapshot.names(self._followed(self._snapshot, path))

    def content(self, blob: str) -> bytes:
        """Return a blob's content by its id; nothing of one that is too large to be a manifest of ours."""
        try:
            return self._snapshot.content(blob)
        except BeyondBounds:
            return b""

    def holds_only(self, path: str, blobs: Mapping[str, str]) -> bool:
        """Tell whether a folder is just these ordinary files: no link, folder or executable beside them."""
        return self.folder_id(path) == folder_id_of(blobs)

    def folder_id(self, path: str) -> str | None:
        """Return the folder's tree id, to compare with `id_of`; None when there is no folder."""
        return self._folder_id(self._snapshot, path)

    def behind_link(self, path: str) -> str:
        """Return where a link at the path leads in the repository; empty when it is no link."""
        draft = self._draft(self._snapshot)
        above, _, name = path.rpartition("/")
        there = f"{self._followed(self._snapshot, above)}/{name}"
        return self._followed(self._snapshot, path) if draft.link(there) is not None else ""

    def folder_at(self, revision: str, path: str) -> str | None:
        """Return the folder's tree id at another commit; Missing when nobody knows that commit."""
        return self._folder_id(self._at(revision), path)

    def naming(
        self, root: str, folder: str, *, revision: str | None = None, over_root: Naming | None = None
    ) -> Naming | None:
        """Return how the build of `root` names the objects of a folder; None when it does not include it.

        `revision`: at another commit; Missing when nobody knows it. `over_root`: what whoever builds it sets
        in place of the root's own naming. InvalidFile when a kustomization cannot be read, so that nobody
        can tell.
        """
        snapshot = self._snapshot if revision is None else self._at(revision)
        return self._included(snapshot, root, over_root).naming(self._draft(snapshot), folder)

    def naming_to_be(self, root: str, folder: str) -> Naming:
        """Return how the build of `root` will name the objects of a folder once it includes it."""
        return self._included(self._snapshot, root).naming_to_be(self._draft(self._snapshot), folder)

    def _included(self, snapshot: Snapshot, root: str, over_root: Naming | None = None) -> Inclusions:
        key = (snapshot.root, root, over_root)
        if key not in self._inclusions:
            self._inclusions[key] = included(self._draft(snapshot), root, self._reader, over_root)
        return self._inclusions[key]

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

    def _draft(self, snapshot: Snapshot) -> Draft:
        if snapshot.root not in self._drafts:
            self._drafts[snapshot.root] = snapshot.draft()
        return self._drafts[snapshot.root]

    def _followed(self, snapshot: Snapshot, path: str) -> str:
        return followed(self._draft(snapshot), path) or path

    def _folder_id(self, snapshot: Snapshot, path: str) -> str | None:
        return snapshot.folder_id(self._followed(snapshot, path))


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
