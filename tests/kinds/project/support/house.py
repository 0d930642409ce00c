"""A manifest repository on this disk, and the resource `manifests` over it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconciler.engine.contract import Target
from reconciler.engine.repositories import Repositories
from reconciler.engine.stages.publish import Published, Refused, manifests
from reconciler.git.applied_edits import Fate
from reconciler.git.build_gate import Gate
from reconciler.git.manifest_tree import ManifestEdits, ManifestTree
from reconciler.git.snapshot import Snapshot
from reconciler.git.tree import EntryKind
from reconciler.kinds.project.resources.manifests import Manifests as ManifestsResource
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.model.decision import Decision, Needed, Settled
from reconciler.model.item import Item, Source
from reconciler.model.json import Object
from reconciler.model.loaded import Loaded
from reconciler.model.observation import Absent, Known
from reconciler.settings.giving import Reading, Sections, Writing
from tests.support.argocd import Manifests

FOLDER = "k8s/base/envs/acme-widgets"
OUTPUTS: Mapping[str, Object] = {
    "validate-repo": {"fullName": "acme/widgets", "defaultBranch": "main"},
    "devcontainer": {"path": ".devcontainer/devcontainer.json"},
    "webhook-secret": {"version": "1 of 2026"},
    "git-access": {"publicKey": "ssh-ed25519 AAAA"},
    "llm-key": {"version": "1 of 2026"},
}


class House:
    """A bare repository, and the resource over it; each pass fetches afresh."""

    def __init__(self, tmp: Path) -> None:
        self.git = Manifests(tmp / "manifests.git")
        self._work = tmp
        self.pods: dict[str, Any] = {}
        self.name = "widgets"
        """The repository of the project that is asked about."""
        self.kustomize = "builtin"

    def sections(self) -> Sections:
        return Sections(
            {
                "config": {"repository": str(self.git.path)},
                "manifests": {"repository": str(self.git.path), "kustomize": self.kustomize},
                "work": {"directory": str(self._work / "work")},
                "pods": self.pods,
            },
            {},
        )

    def plan(self, outputs: Mapping[str, Object] = OUTPUTS, **fields: Any) -> Decision:
        return self._pass(fields, outputs)[0]

    def apply(self, outputs: Mapping[str, Object] = OUTPUTS, *, push: bool = True, **fields: Any) -> Decision:
        """Plan, apply, build and push; return the decision that was applied."""
        decision, published, repositories = self._publish(fields, outputs)
        assert not published.refused, published.refused
        if push:
            outcomes = repositories.manifests.push(published.together, "environments").outcomes
            assert all(outcome.fate is not Fate.REFUSED for outcome in outcomes), outcomes
        return decision

    def refusal(self, **fields: Any) -> Refused:
        """Plan, apply and build; return why nothing is to be pushed."""
        _, published, _ = self._publish(fields, OUTPUTS)
        (refused,) = published.refused.values()
        assert not published.together
        return refused

    def files(self) -> dict[str, bytes]:
        return Repositories(self.sections()).manifests.fetch().folder(FOLDER) or {}

    def read(self, path: str) -> bytes | None:
        return Repositories(self.sections()).manifests.fetch().read(path)

    def put(self, **files: str) -> None:
        self.change({f"{FOLDER}/{name}": text for name, text in files.items()})

    def change(
        self, files: dict[str, str], links: dict[str, str] | None = None, gone: Iterable[str] = ()
    ) -> None:
        """Commit what people do, on top of what was pushed."""
        self.git.head = Repositories(self.sections()).manifests.fetch().commit
        self.git.commit(files, links, gone)

    def snapshot(self) -> Snapshot:
        return Repositories(self.sections()).manifests.fetch()

    def tree(self) -> ManifestTree:
        return ManifestTree(Repositories(self.sections()).manifests.fetch())

    def checkout(self, there: Path, folder: str = "k8s/base") -> Path:
        """Write the tree to a disk; return one folder of it."""
        snapshot = Repositories(self.sections()).manifests.fetch()
        for entry in snapshot.files():
            target = there / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            content = snapshot.content(entry.id)
            if entry.kind is EntryKind.LINK:
                target.symlink_to(content.decode())
            else:
                target.write_bytes(content)
        return there / folder

    def _publish(
        self, fields: Mapping[str, Any], outputs: Mapping[str, Object]
    ) -> tuple[Needed, Published, Repositories]:
        decision, tree, target, repositories = self._pass(fields, outputs)
        assert isinstance(decision, Needed), decision
        edits = ManifestEdits()
        write = Writing(self.sections(), given={ManifestTree: lambda: tree, ManifestEdits: lambda: edits})
        applied = ManifestsResource(self.sections()).apply(target, decision.change, write)
        assert isinstance(applied, Settled)
        assert applied.outputs == decision.outputs
        published = manifests(
            repositories,
            lambda: Gate(self.sections(), repositories.manifests.fetch()),
            edits.by_item,
            Loaded(commit="", items=(), statuses={}),
            confirm=lambda: None,
            trailers={},
        )
        return decision, published, repositories

    def _pass(
        self, fields: Mapping[str, Any], outputs: Mapping[str, Object]
    ) -> tuple[Decision, ManifestTree, Target[ProjectSpec], Repositories]:
        sections = self.sections()
        repositories = Repositories(sections)
        tree = ManifestTree(repositories.manifests.fetch())
        slug = f"acme-{self.name}"
        spec = ProjectSpec.model_validate({"repoOwner": "acme", "repoName": self.name, **fields})
        item = Item(slug, "project", spec, Source(f"projects/{slug}.yaml", "0" * 40))
        target = Target(item, datetime(2026, 1, 1, tzinfo=UTC), proof="7")
        resource = ManifestsResource(sections)
        seen = resource.observe([target], Reading(sections, given={ManifestTree: lambda: tree}))[slug]
        assert isinstance(seen, Known | Absent)
        return resource.plan(target, seen, outputs), tree, target, repositories
