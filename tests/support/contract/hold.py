"""Holds the resources of a kind to the contract, and broken twins of them, which must not come through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.engine.contract import AnyResource
from reconciler.engine.kind import Kind
from reconciler.git.status_file import load_status
from reconciler.model.item import ItemId
from reconciler.model.outcome import Outcome
from reconciler.model.status_file import entry, status_path
from tests.support.contract import judge, twins
from tests.support.contract.judge import Complaint, Meeting
from tests.support.contract.record import Found, Looked
from tests.support.contract.twins import Case, Manner, makes_something
from tests.support.contract.walk import Replace, Walk, World
from tests.support.evidence import Evidence, Made, Shown

ONCE, TWICE, MODEL = "onlyonce", "doubled", "pattern"

WHILE_APPLYING: tuple[Manner, ...] = (
    twins.makes_one_too_many,
    twins.makes_one_too_many_once,
    twins.makes_one_elsewhere,
    twins.says_ok_and_makes_nothing,
)
ONLY_OF_MAKERS: frozenset[Manner] = frozenset(WHILE_APPLYING[1:])


@dataclass(frozen=True)
class Verdict:
    """What was said of a broken twin. `met`: it came to its turn, and so did break something."""

    kind: str
    resource: str
    manner: str
    complaints: tuple[Complaint, ...]
    met: bool = True

    @property
    def caught(self) -> bool:
        """Whether it was found out, and nobody else was accused."""
        return self.met and {each.resource for each in self.complaints} == {self.resource}

    def __str__(self) -> str:
        said = "; ".join(map(str, self.complaints)) or "nobody complained"
        return f"{self.kind}: {self.resource} {self.manner}: {said if self.met else 'never came to its turn'}"


def hold(world: World, kind: Kind) -> Iterator[Complaint]:
    """Say what is wrong with the resources of a kind."""
    lacking = [*judge.lacking(kind, world.evidence.get(kind.name))]
    yield from lacking
    if not lacking:
        yield from _held(world, kind)


def _held(world: World, kind: Kind) -> Iterator[Complaint]:
    evidence = world.evidence[kind.name]
    world.merge(kind.name, [ONCE, TWICE])
    once = world.walk(kind.name, ONCE)
    twice = world.walk(kind.name, TWICE, doubled=True)
    unsettled = [each for walk in (once, twice) for each in judge.settled(walk, evidence)]
    yield from unsettled
    for walk in (once, twice):
        yield from judge.walked(walk, evidence)
    yield from judge.unlike(twice, once)
    for met in _meetings(world, kind):
        yield from judge.meeting(met, evidence.resources[met.resource])
    if not unsettled:
        yield from _robbed(world, kind)


def break_all(world: World, kind: Kind) -> Iterator[Verdict]:
    """Break every resource of a kind in every manner, each in an item of its own; say what was made of it."""
    return _Breaking(world, kind).all()


def _meetings(world: World, kind: Kind) -> Iterator[Meeting]:
    """Have every resource meet something of somebody else's; then have the files say to adopt it."""
    evidence = world.evidence[kind.name]
    names = {resource.name: f"met{number:02}" for number, resource in enumerate(kind.resources)}
    world.merge(kind.name, [*names.values()])
    looks = {
        each: evidence.resources[each].foreign.plant(world.systems, name) for each, name in names.items()
    }
    before = {each: look() for each, look in looks.items()}
    said = world.settle(kind.name, [*names.values()])
    after = {each: look() for each, look in looks.items()}
    states = {each: _state(world, world.id(kind.name, name), each) for each, name in names.items()}
    world.merge(kind.name, [*names.values()], "adopt: true\n")
    adopting = world.settle(kind.name, [*names.values()])
    for each, name in names.items():
        yield Meeting(
            world.id(kind.name, name),
            each,
            before[each],
            after[each],
            _only(said[name].outcomes, each),
            states[each],
            _only(adopting[name].outcomes, each),
        )


def _robbed(world: World, kind: Kind) -> Iterator[Complaint]:
    """Take from a settled item one thing after the other, the last first, and look what is said of it.

    So what a resource needs is there while its own is gone.
    """
    settled = world.peek(kind.name, ONCE)
    yield from judge.looking(settled.id, settled.looked)
    yield from judge.restless(settled)
    looked: list[Looked] = []
    for resource in reversed(kind.resources):
        world.evidence[kind.name].resources[resource.name].take_away(world.systems, ONCE)
        peek = world.peek(kind.name, ONCE, resource.name)
        yield from judge.trusting(peek, resource.name)
        with world.failing() as environment:
            unread = world.peek(kind.name, ONCE, resource.name, environment=environment)
        for each in (peek, unread):
            yield from judge.looking(each.id, each.looked)
        looked += unread.looked
    yield from judge.never_refused(kind, looked)


class _Breaking:
    """The broken twins of one kind."""

    def __init__(self, world: World, kind: Kind) -> None:
        self._world = world
        self._kind = kind
        self._evidence: Evidence = world.evidence[kind.name]
        self._names = [f"twin{number:03}" for number in range(5 * len(kind.resources))]
        world.merge(kind.name, [MODEL, *self._names])
        self._model = world.walk(kind.name, MODEL)
        self._names.reverse()

    def all(self) -> Iterator[Verdict]:
        """Yield the verdict on each twin."""
        yield from self._without_an_inventory()
        for resource in self._kind.resources:
            for manner in WHILE_APPLYING:
                if makes_something(self._case(resource, MODEL)) or manner not in ONLY_OF_MAKERS:
                    yield self._applying(resource, manner)
            yield self._overwriting(resource)
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
        name = self._names.pop()
        walk = self._walk(resource, name, manner, doubled=manner is twins.makes_one_too_many)
        complaints = (*judge.walked(walk, self._evidence), *judge.unlike(walk, self._model))
        return self._verdict(resource, manner, complaints, met=bool(walk.of(resource.name)))

    def _overwriting(self, resource: type[AnyResource]) -> Verdict:
        name, shown = self._names.pop(), self._evidence.resources[resource.name]
        look = shown.foreign.plant(self._world.systems, name)
        before = look()
        walk = self._walk(resource, name, twins.overwrites_what_is_foreign)
        state = _state(self._world, walk.id, resource.name)
        met = Meeting(walk.id, resource.name, before, look(), walk.outcomes[resource.name], state)
        complaints = tuple(judge.meeting(met, shown))
        return self._verdict(
            resource, twins.overwrites_what_is_foreign, complaints, met=bool(walk.of(resource.name))
        )

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
        return Verdict(self._kind.name, resource.name, manner.__name__.replace("_", " "), complaints, met)


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


def _state(world: World, item: ItemId, resource: str) -> str:
    path = status_path(item)
    blob = world.systems.config.revparse_single(f"main:{path}")
    return str(entry(load_status(path, blob.read_raw()), resource).get("state"))


def _only(outcomes: Sequence[Outcome], resource: str) -> Outcome:
    (found,) = (each for each in outcomes if each.resource == resource)
    return found
