"""Worlds for items to be planned in, without a server: what each resource sees is what one of its cases says.

A case (`tests/kinds/*/cases`) is one observation of one resource. A world has one for each resource of a
kind, so that the engine's own stages plan whole items, whatever their files and status files say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from reconciler.engine.contract import AnyResource, Target
from reconciler.engine.kind import Kind, Kinds
from reconciler.engine.result import KindView, Look
from reconciler.engine.stages import apply, observe, report
from reconciler.engine.stages import plan as planning
from reconciler.model.decision import Failed, Needed
from reconciler.model.errors import DEFECT
from reconciler.model.item import Item
from reconciler.model.loaded import Loaded
from reconciler.model.observation import Finding, Unknown
from reconciler.model.outcome import ItemReport
from reconciler.model.plan import ItemPlan, Plan
from reconciler.settings.giving import Sections
from tests.fuzz.figures import Harm
from tests.support import cases

NOW = cases.NOW
AWAY = Unknown("the system is away", "wait")
_GOOD = {"settled", "needed"}


@dataclass(frozen=True, eq=False)
class Case:
    """One case, with the resource that its settings make."""

    path: Path
    data: Mapping[str, Any]
    resource: AnyResource

    @property
    def lets_others_go_on(self) -> bool:
        """Whether those that need the resource come to their turn."""
        return not _GOOD.isdisjoint(self.data["expect"])


@cache
def cases_of(kind: str, resource: type[AnyResource]) -> tuple[Case, ...]:
    """Return the cases of one resource."""
    found = []
    for path in sorted((cases.CASES / kind / "cases" / resource.name).glob("*.yaml")):
        data = cases.load(path)
        found.append(Case(path, data, resource(Sections(data.get("settings", {}), {}))))
    return tuple(found)


@dataclass(frozen=True)
class World:
    """What is outside, the same for every item of a kind."""

    kind: Kind
    resources: tuple[AnyResource, ...]
    findings: Mapping[str, Finding[Any]]

    @classmethod
    def any(cls, kind: Kind, random: Random) -> World:
        """Return one of the worlds that the cases make; mostly such that later resources are planned, too."""
        resources: list[AnyResource] = []
        findings: dict[str, Finding[Any]] = {}
        for each in kind.resources:
            known = cases_of(kind.name, each)
            good = [case for case in known if case.lets_others_go_on]
            choice = good if good and random.random() < 0.9 else known
            if not choice:  # only kinds that ship have to have cases
                resources.append(each(Sections({}, {})))
                findings[each.name] = AWAY
                continue
            case = random.choice(choice)
            resources.append(case.resource)
            findings[each.name] = cases.seen_of(case.data, case.resource)
        return cls(kind, tuple(resources), findings)

    def without(self, names: Sequence[str]) -> World:
        """Return the world while these resources cannot be read."""
        return replace(self, findings={**self.findings, **dict.fromkeys(names, AWAY)})

    def view(self, members: Sequence[Item[Any]], loaded: Loaded) -> KindView:
        """Return what a pass sees of these items, by way of the engine's stages."""
        view = KindView(self.kind)
        proofs: Mapping[str, str] = {}
        for resource in self.resources:
            targets = observe.targets(
                resource, members, loaded, None, proofs, now=NOW, verify_within=timedelta(days=1)
            )
            view = view.with_(
                resource, targets, {item.slug: self._finding(resource, item) for item in members}
            )
            if view.proves(resource):
                proofs = planning.proofs(view)
        return view

    def look(self, members: Sequence[Item[Any]], loaded: Loaded) -> Look:
        """Return the plan of these items, with what a pass would report of them.

        Harm where planning one met a defect: the engine holds those to their item, and says so.
        """
        view = self.view(members, loaded)
        plans = tuple(planning.plan(view, [item.slug for item in members]))
        for plan in plans:
            for name, answer in plan.planned.items():
                if isinstance(answer, Failed) and answer.remedy == DEFECT:
                    raise Harm(f"planning {name} of {plan.id}: {answer.reason}")
        reports = tuple(
            self._report(item, view, plan, loaded) for item, plan in zip(members, plans, strict=True)
        )
        return Look(NOW, loaded, {self.kind.name: view}, Plan(plans), (), reports=reports)

    def _finding(self, resource: AnyResource, item: Item[Any]) -> Finding[Any]:
        return self.findings[resource.name]

    def _report(self, item: Item[Any], view: KindView, plan: ItemPlan, loaded: Loaded) -> ItemReport:
        def remembered(resource: AnyResource) -> Target[Any]:
            return view.targets[resource.name][item.slug]

        outcomes = tuple(
            apply.outcome_of(resource, plan.planned[resource.name], remembered(resource).remembered)
            for resource in view.resources
        )
        return report.report(item, view.kind, outcomes, loaded)


def documents(look: Look, kinds: Kinds) -> dict[str, Mapping[str, Any]]:
    """Return the status documents that a pass would write after that look, by slug."""
    changes = report.status_changes(look.reports, look.loaded, kinds, now=look.now)
    return {change.id.slug: change.document for change in changes}


def grounds_of_changes(look: Look) -> None:
    """Harm where a change rests on something that could not be read: all it could go by is a status file."""
    for item in look.plan:
        view = look.views[item.id.kind]
        by_name = {resource.name: resource for resource in view.resources}
        for name, answer in item.planned.items():
            needed = by_name[name]
            unread = [
                other
                for other in (*needed.needs, *needed.uses, *needed.trusts)
                if isinstance(item.planned.get(other), Unknown)
            ]
            if isinstance(answer, Needed) and unread:
                raise Harm(f"{item.id}/{name} is to be changed by what is remembered of {unread}")
            if isinstance(answer, Needed) and isinstance(view.findings[name][item.id.slug], Unknown):
                raise Harm(f"{item.id}/{name} is to be changed, and was not read")
