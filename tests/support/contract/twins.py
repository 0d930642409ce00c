"""Broken twins of resources: each breaks the contract in one manner, and is the resource in all else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Any

from reconciler.engine.contract import AnyResource, Target
from reconciler.engine.kind import Kind
from reconciler.model.decision import Action, Applied, Change, Decision, Failed, Needed, Settled
from reconciler.model.errors import ReconcilerError
from reconciler.model.json import Object
from reconciler.model.observation import Absent, Observation, Seen, Unknown
from reconciler.model.outcome import Outcome
from reconciler.settings.giving import Reading, Writing
from tests.support.evidence import Act, Evidence, Made, Shown
from tests.support.systems import Systems

Resource = type[AnyResource]


@dataclass(frozen=True)
class Case:
    """What is to be broken: one resource of a kind, of the item of that name.

    `was`: what the resource said of a settled item.
    """

    kind: Kind
    evidence: Evidence
    systems: Systems
    name: str
    was: Outcome

    @property
    def shown(self) -> Shown:
        """The resource's own evidence."""
        return self.evidence.resources[self.was.resource]


Manner = Callable[[Resource, Case], Resource]


def is_not_broken(resource: Resource, case: Case) -> Resource:
    """Be the resource itself: who complains of this one would complain of any."""
    return resource


def makes_one_too_many(resource: Resource, case: Case) -> Resource:
    """Make one more whenever it is applied."""
    return _acting(resource, lambda: case.shown.more(case.systems, case.name))


def makes_one_too_many_once(resource: Resource, case: Case) -> Resource:
    """Make one more, and leave it at that."""
    return _acting(resource, _once(lambda: case.shown.more(case.systems, case.name)))


def makes_one_elsewhere(resource: Resource, case: Case) -> Resource:
    """Make something where its inventory does not look."""
    more = _elsewhere(case)
    return _acting(resource, lambda: more(case.systems, case.name))


def writes_while_it_observes(resource: Resource, case: Case) -> Resource:
    """Make one more whenever it is observed."""

    def observe(
        self: AnyResource, targets: Sequence[Target[Any]], read: Reading
    ) -> Mapping[str, Observation[Any]]:
        case.shown.more(case.systems, case.name)
        return resource.observe(self, targets, read)

    return _subclass(resource, observe=observe)


def overwrites_what_is_foreign(resource: Resource, case: Case) -> Resource:
    """Take over whatever has the right name; where nothing can have it, whatever is beside it."""
    if overwrite := case.shown.foreign.overwrite:
        return _acting(resource, _once(lambda: overwrite(case.systems, case.name)))

    def plan(
        self: AnyResource, target: Target[Any], seen: Seen[Any], outputs: Mapping[str, Object]
    ) -> Decision:
        return resource.plan(self, _asked_to_adopt(target, yes=True), seen, outputs)

    def apply(self: AnyResource, target: Target[Any], change: Change, write: Writing) -> Applied:
        return resource.apply(self, _asked_to_adopt(target, yes=True), change, write)

    return _subclass(resource, plan=plan, apply=apply)


def never_adopts(resource: Resource, case: Case) -> Resource:
    """Leave alone what is foreign, whatever the file says."""

    def plan(
        self: AnyResource, target: Target[Any], seen: Seen[Any], outputs: Mapping[str, Object]
    ) -> Decision:
        return resource.plan(self, _asked_to_adopt(target, yes=False), seen, outputs)

    return _subclass(resource, plan=plan)


def says_ok_and_makes_nothing(resource: Resource, case: Case) -> Resource:
    """Apply nothing, and say that it is there."""

    def apply(self: AnyResource, target: Target[Any], change: Change, write: Writing) -> Applied:
        return Settled(case.was.outputs, section=case.was.section)

    return _subclass(resource, apply=apply)


def says_ok_and_reads_nothing(resource: Resource, case: Case) -> Resource:
    """Ask nobody, and say that all is as it was."""

    def observe(
        self: AnyResource, targets: Sequence[Target[Any]], read: Reading
    ) -> Mapping[str, Observation[Any]]:
        return {target.slug: Absent() for target in targets}

    def plan(
        self: AnyResource, target: Target[Any], seen: Seen[Any], outputs: Mapping[str, Object]
    ) -> Decision:
        return Settled(target.remembered or case.was.outputs)

    return _subclass(resource, observe=observe, plan=plan)


def takes_unread_for_absent(resource: Resource, case: Case) -> Resource:
    """Take what could not be read for what is not there."""

    def observe(
        self: AnyResource, targets: Sequence[Target[Any]], read: Reading
    ) -> Mapping[str, Observation[Any]]:
        try:
            found = resource.observe(self, targets, read)
        except ReconcilerError:
            return {target.slug: Absent() for target in targets}
        return {slug: Absent() if isinstance(each, Unknown) else each for slug, each in found.items()}

    return _subclass(resource, observe=observe)


def plans_at_random(resource: Resource, case: Case) -> Resource:
    """Decide something else each time, of the same."""

    def plan(
        self: AnyResource, target: Target[Any], seen: Seen[Any], outputs: Mapping[str, Object]
    ) -> Decision:
        decision = resource.plan(self, target, seen, outputs)
        return replace(decision, note=token_hex()) if isinstance(decision, Settled) else decision

    return _subclass(resource, plan=plan)


def never_has_enough(resource: Resource, case: Case) -> Resource:
    """Want a change however things are."""

    def plan(
        self: AnyResource, target: Target[Any], seen: Seen[Any], outputs: Mapping[str, Object]
    ) -> Decision:
        decision = resource.plan(self, target, seen, outputs)
        return _needed(self, target, decision) if isinstance(decision, Settled) else decision

    return _subclass(resource, plan=plan)


def _acting(resource: Resource, act: Callable[[], None]) -> Resource:
    """Return the resource that does something more whenever it is applied, and wants to be applied once.

    Also where it would say that it cannot; what it would have said is what it says then.
    """
    acted: list[str] = []
    said: dict[str, Settled | Failed] = {}

    def plan(
        self: AnyResource, target: Target[Any], seen: Seen[Any], outputs: Mapping[str, Object]
    ) -> Decision:
        decision = resource.plan(self, target, seen, outputs)
        if acted or not isinstance(decision, Settled | Failed):
            return decision
        said[target.slug] = decision
        return _needed(self, target, decision)

    def apply(self: AnyResource, target: Target[Any], change: Change, write: Writing) -> Applied:
        acted.append(target.slug)
        act()
        return said.get(target.slug) or resource.apply(self, target, change, write)

    return _subclass(resource, plan=plan, apply=apply)


def _needed(resource: AnyResource, target: Target[Any], decision: Settled | Failed) -> Needed:
    change = Change(target.id, resource.name, Action.UPDATE, "more than enough")
    return Needed(change, decision.outputs)


def _once(act: Callable[[], None]) -> Callable[[], None]:
    acted: list[bool] = []

    def first() -> None:
        if not acted:
            acted.append(True)
            act()

    return first


def _elsewhere(case: Case) -> Act:
    """Return how something is made in a system of which the resource shows no inventory."""
    own = _systems(case.shown)
    for other in case.evidence.resources.values():
        if (theirs := _systems(other)) and not theirs & own:
            return other.more
    raise AssertionError(f"{case.kind.name} makes nothing in another system than {sorted(own)}")


def _systems(shown: Shown) -> frozenset[str]:
    return frozenset(shown.made.inventory) if isinstance(shown.made, Made) else frozenset()


def _asked_to_adopt(target: Target[Any], *, yes: bool) -> Target[Any]:
    spec = target.spec.model_copy(update={"adopt": yes})
    return replace(target, item=replace(target.item, spec=spec))


def _subclass(resource: Resource, **methods: Callable[..., Any]) -> Resource:
    return type(resource.__name__, (resource,), methods)
