"""What every resource of every kind promises; a new resource is held to it by being in a kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.engine.contract import Resource, Target
from reconciler.engine.cycle import Cycle
from reconciler.engine.kind import Kinds
from reconciler.engine.result import Look
from reconciler.faces.sealed_entry import seal_for
from reconciler.git.manifest_tree import ManifestTree
from reconciler.kinds import KINDS
from reconciler.model.decision import Applied, Change, Failed
from reconciler.model.observation import Known
from reconciler.model.outcome import Condition, Outcome
from reconciler.sandbox.supervisor import Sandbox
from reconciler.settings.giving import Reading, Writing
from tests.support.foreign import FOREIGN, Strangers
from tests.support.inventory import Inventories, Inventory
from tests.support.reconciling import commits, cycle_of, merge, settle_at_once, status

RESOURCES = [resource for kind in KINDS.values() for resource in kind.resources]
NAMES = [resource.name for resource in RESOURCES]
TOKENS = json.dumps({"accessToken": "a", "refreshToken": "b", "expiresAt": 1_900_000_000_000}).encode()
every_resource = pytest.mark.parametrize("name", NAMES)


@dataclass
class Evidence:
    """What was seen of one resource on the whole way of a project whose every change was applied twice."""

    once: list[Inventory] = field(default_factory=list)
    twice: list[Inventory] = field(default_factory=list)
    still_needed: list[Change] = field(default_factory=list)
    written_by_looking: list[Any] = field(default_factory=list)


class Walk:
    """Takes a project the whole way and collects evidence about each resource."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.evidence = {name: Evidence() for name in NAMES}
        self._inventories = Inventories(sandbox)
        merge(sandbox, folder, once="repoOwner: acme\nrepoName: onceapplied\n")
        merge(sandbox, folder, twice="repoOwner: acme\nrepoName: twiceapplied\n")

    def go(self) -> None:
        # Otherwise its poll may be faster than we are to ask it to look.
        self.sandbox.emulator("argocd", "POST", "/_emulator/set", {"paused": True})
        cycle = self._doubled()
        for step in range(2):
            for _ in range(6):
                look = cycle.look(only=["acme-twiceapplied"])
                self._look_at(cycle, look)
                changed = {change.resource for change in look.plan.changes}
                result = cycle.run(only=["acme-twiceapplied"])
                after = cycle.look(only=["acme-twiceapplied"])
                for change in after.plan.changes:
                    if change.resource in changed:
                        self.evidence[change.resource].still_needed.append(change)
                if result.again_in is None:
                    break
                self.sandbox.emulator("argocd", "POST", "/_emulator/skip", {"seconds": 3})
            if step == 0:
                seal_for(cycle, "acme-twiceapplied", TOKENS, only_print=False)
        settle_at_once(self.sandbox)
        seal_for(cycle, "acme-onceapplied", TOKENS, only_print=False)
        settle_at_once(self.sandbox)

    def inventories(self) -> tuple[Inventory, Inventory]:
        return self._inventories.of("acme", "onceapplied"), self._inventories.of("acme", "twiceapplied")

    def _look_at(self, cycle: Cycle, look: Look) -> None:
        """Observe and plan each resource by itself, reading one by one whatever can be read so."""
        tree = ManifestTree(cycle.repositories.manifests.fetch())
        outputs = {
            outcome.resource: outcome.outputs for report in look.reports for outcome in report.outcomes
        }
        for kind, make in ((name, make) for name in look.views for make in KINDS[name].resources):
            resource, mark, heads = make(cycle.sections), self.sandbox.mark(), commits(self.sandbox)
            targets = [replace(each, verify=True) for each in look.views[kind].targets[make.name].values()]
            read = Reading(cycle.sections, given={ManifestTree: lambda: tree})
            for slug, seen in resource.observe(targets, read).items():
                target = next(each for each in targets if each.slug == slug)
                if all(outputs.get(need) for need in resource.needs) and isinstance(seen, Known):
                    resource.plan(target, seen, outputs)
            read.close()
            written = [each for each in self.sandbox.requests(mark) if each.wrote]
            self.evidence[make.name].written_by_looking += written
            assert commits(self.sandbox) == heads

    def _doubled(self) -> Cycle:
        kinds = [
            replace(kind, resources=tuple(self._twice(each) for each in kind.resources))
            for kind in KINDS.values()
        ]
        return Cycle(cycle_of(self.sandbox).sections, Kinds(kinds))

    def _twice(self, resource: type[Resource[Any, Any]]) -> type[Resource[Any, Any]]:
        evidence, inventories = self.evidence[resource.name], self._inventories

        def apply(self: Resource[Any, Any], target: Target[Any], change: Change, write: Writing) -> Applied:
            applied = resource.apply(self, target, change, write)
            evidence.once.append(inventories.of("acme", "twiceapplied"))
            again = resource.apply(self, target, change, write)
            evidence.twice.append(inventories.of("acme", "twiceapplied"))
            assert not isinstance(again, Failed)
            return applied

        return type(resource.__name__, (resource,), {"apply": apply})


@pytest.fixture(scope="module")
def walk(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Walk:
    sandbox.clear()
    walk = Walk(sandbox, tmp_path_factory.mktemp("walk") / "projects")
    walk.go()
    once, twice = walk.inventories()
    assert once == twice
    assert once["status"]["status"] == "completed"
    return walk


@every_resource
def test_after_apply_the_plan_is_empty(walk: Walk, name: str) -> None:
    assert walk.evidence[name].still_needed == []


@every_resource
def test_applying_a_change_twice_is_applying_it_once(walk: Walk, name: str) -> None:
    assert walk.evidence[name].once == walk.evidence[name].twice


def test_every_resource_but_those_that_only_read_was_applied(walk: Walk) -> None:
    assert {name for name in NAMES if not walk.evidence[name].once} == {"validate-repo", "pod-health"}


@every_resource
def test_observing_and_planning_writes_nothing(walk: Walk, name: str) -> None:
    assert walk.evidence[name].written_by_looking == []


@dataclass
class Encounter:
    """A foreign thing before and after a pass, what it said of the resource, and then with `adopt: true`."""

    before: Any
    after: Any
    said: Outcome
    written: Mapping[str, Any]
    adopted: Outcome


@pytest.fixture(scope="module")
def encounters(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Encounter]:
    sandbox.clear()
    folder = tmp_path_factory.mktemp("foreign")
    slugs = {name: f"acme-{name}" for name in FOREIGN}
    files = {slug: f"repoOwner: acme\nrepoName: {slug[5:]}\n" for slug in slugs.values()}
    merge(sandbox, folder / "projects", **files)
    strangers = Strangers(sandbox, folder)
    looks = {name: plant(strangers, slugs[name]) for name, plant in FOREIGN.items()}
    before = {name: look() for name, look in looks.items()}
    said = _outcomes(sandbox)
    after = {name: look() for name, look in looks.items()}
    written = {name: status(sandbox, slug)["resources"][name] for name, slug in slugs.items()}
    merge(sandbox, folder / "projects", **{slug: f"{text}adopt: true\n" for slug, text in files.items()})
    adopted = _outcomes(sandbox)
    return {
        name: Encounter(before[name], after[name], said[slug, name], written[name], adopted[slug, name])
        for name, slug in slugs.items()
    }


def _outcomes(sandbox: Sandbox) -> dict[tuple[str, str], Outcome]:
    result = settle_at_once(sandbox)
    return {(each.slug, outcome.resource): outcome for each in result.reports for outcome in each.outcomes}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_thing_survives_and_is_reported(encounters: dict[str, Encounter], name: str) -> None:
    met = encounters[name]
    assert met.after == met.before
    assert met.said.condition is Condition.ERROR
    assert met.said.reason.startswith("conflict: ")
    assert "adopt: true" in met.said.remedy
    assert met.written["state"] == "error"


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_thing_is_taken_over_when_the_project_says_so(
    encounters: dict[str, Encounter], name: str
) -> None:
    adopted = encounters[name].adopted
    assert adopted.condition in {Condition.OK, Condition.CHANGED, Condition.WAITING}, adopted.reason


def test_a_foreign_key_of_the_gateway_survives_and_is_reported(
    clean_sandbox: Sandbox, tmp_path: Path
) -> None:
    # Nobody here knows its value, so `adopt` cannot help.
    merge(clean_sandbox, tmp_path / "projects", gear="repoOwner: acme\nrepoName: gear\nadopt: true\n")
    look = Strangers(clean_sandbox, tmp_path).gateway_key("acme-gear")
    before = look()
    said = _outcomes(clean_sandbox)["acme-gear", "litellm"]
    assert look() == before
    assert said.reason.startswith("conflict: ")
