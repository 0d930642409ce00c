"""Breaks every resource of a kind in every manner, and has each twin judged as the resource itself is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from reconciler.engine.contract import AnyResource
from reconciler.engine.kind import Kind
from tests.support.contract import judge, twins
from tests.support.contract.judge import Complaint, Meeting
from tests.support.contract.record import Found
from tests.support.contract.twins import Case, Manner
from tests.support.contract.walk import Replace, Walk, World
from tests.support.evidence import Evidence, Made, Rival, Shown

MODEL = "pattern"

OF_ANY: tuple[Manner, ...] = (twins.makes_one_too_many,)
OF_MAKERS: tuple[Manner, ...] = (
    twins.makes_one_too_many_once,
    twins.makes_one_elsewhere,
    twins.says_ok_and_makes_nothing,
    twins.is_not_broken,
)
"""Manners that show while a resource is applied."""


@dataclass(frozen=True)
class Verdict:
    """What was said of a twin. `met`: it came to its turn, and so did break something, if it is `broken`."""

    kind: str
    resource: str
    manner: str
    complaints: tuple[Complaint, ...]
    met: bool = True
    broken: bool = True

    @property
    def right(self) -> bool:
        """Whether it was found out if it is broken, and nobody else was accused."""
        accused = {each.resource for each in self.complaints}
        return self.met and accused == ({self.resource} if self.broken else set())

    def __str__(self) -> str:
        said = "; ".join(map(str, self.complaints)) or "nobody complained"
        return f"{self.kind}: {self.resource} {self.manner}: {said if self.met else 'never came to its turn'}"


def break_all(world: World, kind: Kind) -> Iterator[Verdict]:
    """Break every resource of a kind in every manner, and say what was made of each twin."""
    return _Breaking(world, kind).all()


class _Breaking:
    """The broken twins of one kind."""

    def __init__(self, world: World, kind: Kind) -> None:
        self._world = world
        self._kind = kind
        self._evidence: Evidence = world.evidence[kind.name]
        world.merge(kind.name, [MODEL])
        self._model = world.walk(kind.name, MODEL)
        self._numbers = itertools.count()

    def all(self) -> Iterator[Verdict]:
        """Yield the verdict on each twin."""
        yield from self._without_an_inventory()
        for resource in self._kind.resources:
            shown = self._evidence.resources[resource.name]
            for manner in (*OF_ANY, *(OF_MAKERS if isinstance(shown.made, Made) else ())):
                yield self._applying(resource, manner)
            yield self._overwriting(resource, shown)
            if isinstance(shown.foreign, Rival):
                yield self._told_to_adopt(resource, shown.foreign, shown)
        for resource in self._kind.resources:
            yield self._peeking(resource, twins.plans_at_random)
            yield self._peeking(resource, twins.never_has_enough)
        # The last first, so that what a resource needs is still there, and undisturbed.
        for resource in reversed(self._kind.resources):
            yield self._peeking(resource, twins.writes_while_it_observes)
            self._evidence.resources[resource.name].take_away(self._world.systems, MODEL)
            yield self._peeking(resource, twins.says_ok_and_reads_nothing)
            with self._world.failing() as environment:
                yield self._peeking(resource, twins.takes_unread_for_absent, environment)

    def _applying(self, resource: type[AnyResource], manner: Manner) -> Verdict:
        name = self._new_item()
        walk = self._walk(resource, name, manner, doubled=manner is twins.makes_one_too_many)
        complaints = (*judge.walked(walk, self._evidence), *judge.unlike(walk, self._model))
        return self._verdict(resource, manner, complaints, met=bool(walk.of(resource.name)))

    def _overwriting(self, resource: type[AnyResource], shown: Shown) -> Verdict:
        name = self._new_item()
        look = shown.foreign.plant(self._world.systems, name)
        before = look()
        walk = self._walk(resource, name, twins.overwrites_what_is_foreign)
        state = self._world.state(walk.id, resource.name)
        met = Meeting(walk.id, resource.name, before, look(), walk.outcomes[resource.name], state)
        complaints = tuple(judge.meeting(met, shown))
        return self._verdict(
            resource, twins.overwrites_what_is_foreign, complaints, met=bool(walk.of(resource.name))
        )

    def _told_to_adopt(self, resource: type[AnyResource], rival: Rival, shown: Shown) -> Verdict:
        """Have it do the wrong one of both: leave what it is to adopt, or take what it must never have."""
        manner = twins.overwrites_what_is_foreign if rival.overwrite else twins.never_adopts
        name = self._new_item("adopt: true\n")
        look = rival.plant(self._world.systems, name)
        before = look()
        walk = self._walk(resource, name, manner)
        said, after = walk.outcomes[resource.name], look()
        met = Meeting(walk.id, resource.name, before, after, said, "error", said, after)
        return self._verdict(resource, manner, tuple(judge.meeting(met, shown)))

    def _peeking(
        self, resource: type[AnyResource], manner: Manner, environment: Mapping[str, str] = {}
    ) -> Verdict:
        peek = self._world.peek(self._kind.name, MODEL, resource.name, self._twin(MODEL, manner), environment)
        complaints = [*judge.looking(peek.id, peek.looked)]
        if manner is twins.never_has_enough:
            complaints += judge.restless(peek)
        if manner is twins.says_ok_and_reads_nothing:
            complaints += judge.trusting(peek, resource.name)
        return self._verdict(resource, manner, tuple(complaints))

    def _without_an_inventory(self) -> Iterator[Verdict]:
        """Hold the model to evidence that leaves out a system of one resource, or looks where nothing is."""
        for name, shown in self._evidence.resources.items():
            if isinstance(shown.made, Made):
                blinded = tuple(judge.settled(_blinded(self._model, name), self._evidence))
                yield Verdict(self._kind.name, name, "has an inventory that sees nothing", blinded)
                for system in shown.made.inventory:
                    evidence = _without(self._evidence, name, shown, shown.made, system)
                    complaints = tuple(judge.walked(self._model, evidence))
                    yield Verdict(self._kind.name, name, f"shows no inventory of {system}", complaints)

    def _new_item(self, more: str = "") -> str:
        name = f"twin{next(self._numbers):03}"
        self._world.merge(self._kind.name, [name], more)
        return name

    def _walk(self, resource: type[AnyResource], name: str, manner: Manner, *, doubled: bool = False) -> Walk:
        broken = self._twin(name, manner)
        return self._world.walk(self._kind.name, name, only=resource.name, broken=broken, doubled=doubled)

    def _twin(self, name: str, manner: Manner) -> Replace:
        return lambda resource: manner(resource, self._case(resource, name))

    def _case(self, resource: type[AnyResource], name: str) -> Case:
        was = self._model.outcomes[resource.name]
        return Case(self._kind, self._evidence, self._world.systems, name, was)

    def _verdict(
        self,
        resource: type[AnyResource],
        manner: Manner,
        complaints: tuple[Complaint, ...],
        *,
        met: bool = True,
    ) -> Verdict:
        name = manner.__name__.replace("_", " ")
        broken = manner is not twins.is_not_broken
        return Verdict(self._kind.name, resource.name, name, complaints, met, broken)


def _blinded(walk: Walk, resource: str) -> Walk:
    """Return the walk as an inventory would tell it that looks at the wrong place."""
    done = tuple(
        replace(each, before=_blind(each.before), after=_blind(each.after))
        if each.resource == resource
        else each
        for each in walk.done
    )
    return replace(walk, done=done)


def _blind(found: Found) -> Found:
    return replace(found, inventory={})


def _without(evidence: Evidence, name: str, shown: Shown, made: Made, system: str) -> Evidence:
    inventory = {each: look for each, look in made.inventory.items() if each != system}
    less = replace(shown, made=replace(made, inventory=inventory))
    return replace(evidence, resources={**evidence.resources, name: less})
