"""Runs one resource against real servers as the engine would, one step at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from reconciler.engine.contract import Resource, Target
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.model.decision import Applied, Decision, Needed
from reconciler.model.item import Identity, Item, Source
from reconciler.model.json import Object
from reconciler.model.observation import Observation, Unknown
from reconciler.settings.giving import Reading, Writing

OUTPUTS: Mapping[str, Object] = {
    "validate-repo": {"id": 7, "nodeId": "R_7", "defaultBranch": "trunk", "fullName": "acme/widgets"},
    "project-board": {
        "boardId": "PVT_1",
        "number": 3,
        "url": "https://x/3",
        "fields": {"Priority": "F"},
        "fieldIds": {"priority": "F", "status": "S"},
        "statusOptions": {},
    },
}


def target(
    name: str = "widgets",
    *,
    remembered: Object | None = None,
    identity: Identity | None = None,
    **spec: Any,
) -> Target[ProjectSpec]:
    wanted = ProjectSpec.model_validate({"repoOwner": "acme", "repoName": name, **spec})
    slug = wanted.slug or wanted.default_slug()
    return Target(
        item=Item(slug, "project", wanted, Source(f"projects/{slug}.yaml", "0" * 40)),
        now=datetime(2026, 1, 1, tzinfo=UTC),
        identity=identity,
        proof="7",
        remembered=remembered or {},
        verify=remembered is None,
    )


@dataclass
class Passes:
    """Runs one resource as the engine would, each step with the clients of a new pass."""

    resource: Resource[ProjectSpec, Any]
    outputs: Mapping[str, Object] = field(default_factory=lambda: OUTPUTS)

    def observe(self, *targets: Target[ProjectSpec]) -> Mapping[str, Observation[Any]]:
        read = Reading(self.resource.sections)
        try:
            return self.resource.observe(targets, read)
        finally:
            read.close()

    def plan(self, of: Target[ProjectSpec]) -> Decision:
        seen = self.observe(of)[of.slug]
        assert not isinstance(seen, Unknown), seen
        return self.resource.plan(of, seen, self.outputs)

    def apply(self, of: Target[ProjectSpec], decision: Decision) -> Applied:
        assert isinstance(decision, Needed), decision
        write = Writing(self.resource.sections)
        try:
            return self.resource.apply(of, decision.change, write)
        finally:
            write.close()

    def run(self, of: Target[ProjectSpec]) -> Applied:
        return self.apply(of, self.plan(of))
