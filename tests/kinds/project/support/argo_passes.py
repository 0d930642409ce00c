"""Passes over `sync` and `pod-health` alone, on a real git repository and the emulated Argo CD."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconciler.engine.contract import Resource, Target
from reconciler.git.locations import Location
from reconciler.git.manifest_tree import ManifestTree
from reconciler.git.repository import Repository
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.model.decision import Decision, Failed, Needed, Settled, Waiting
from reconciler.model.item import Item, Source
from reconciler.model.json import Object
from reconciler.settings.giving import Sections, Writing
from tests.support.argocd import TOKEN, Argo, Manifests


class Passes:
    """What the engine does with one resource, pass by pass: observe, plan, apply, remember."""

    def __init__(self, argo: Argo, manifests: Manifests, clones: Path, **pods: Any) -> None:
        self.argo = argo
        self.manifests = manifests
        self.sections = Sections({"argocd": {"server": argo.url, "token": TOKEN}, "pods": pods}, {})
        self._repository = Repository(Location(address=str(manifests.path), clones=clones))
        self.remembered: dict[tuple[str, str], Object] = {}

    def run(
        self, kind: type[Resource[ProjectSpec, Any]], *slugs: str, verify: bool = True
    ) -> dict[str, Decision]:
        """Run one pass over one resource and return what was decided, after applying."""
        resource = kind(self.sections)
        now = datetime.fromtimestamp(self.argo.clock(), UTC)
        targets = [
            Target(project(slug), now, self.remembered.get((kind.name, slug), {}), verify=verify)
            for slug in slugs
        ]
        tree = ManifestTree(self._repository.fetch())
        decided: dict[str, Decision] = {}
        with closing(Writing(self.sections, given={ManifestTree: lambda: tree})) as write:
            seen = resource.observe(targets, write)
            for target in targets:
                finding: Any = seen[target.slug]
                decision = resource.plan(target, finding, {"manifests": self._manifests(target.slug)})
                if isinstance(decision, Needed):
                    decision = resource.apply(target, decision.change, write)
                decided[target.slug] = decision
                if isinstance(decision, Settled | Waiting):
                    self.remembered[kind.name, target.slug] = decision.outputs
        return decided

    def one(self, kind: type[Resource[ProjectSpec, Any]], slug: str, *, verify: bool = True) -> Decision:
        return self.run(kind, slug, verify=verify)[slug]

    def until_settled(self, kind: type[Resource[ProjectSpec, Any]], slug: str) -> Decision:
        """Repeat as `--wait` does, with the time that the decisions ask for."""
        decision: Decision = Failed("never ran")
        for _ in range(40):
            decision = self.one(kind, slug)
            if not isinstance(decision, Waiting) or decision.again_in is None:
                break
            self.argo.wait(decision.again_in.total_seconds())
        return decision

    def _manifests(self, slug: str) -> Mapping[str, Any]:
        return {"tree": self.manifests.tree(slug)}


def project(slug: str) -> Item[ProjectSpec]:
    spec = ProjectSpec.model_validate(
        {"repoOwner": "acme", "repoName": slug.removeprefix("acme-"), "slug": slug}
    )
    return Item(slug, "project", spec, Source(f"projects/{slug}.yaml", "0" * 40))
