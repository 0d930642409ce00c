"""Holds the resources of a kind to the contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.engine.kind import Kind
from reconciler.model.outcome import Outcome
from tests.support.contract import judge
from tests.support.contract.judge import Complaint, Meeting
from tests.support.contract.record import Looked
from tests.support.contract.removal import taken_away
from tests.support.contract.walk import World

ONCE, TWICE = "onlyonce", "doubled"


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
        yield from taken_away(world, kind)
        yield from _robbed(world, kind)


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
    states = {each: world.state(world.id(kind.name, name), each) for each, name in names.items()}
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
            looks[each](),
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


def _only(outcomes: Sequence[Outcome], resource: str) -> Outcome:
    (found,) = (each for each in outcomes if each.resource == resource)
    return found
