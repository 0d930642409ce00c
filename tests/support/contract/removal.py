"""Holds resources to what they say of removal: the item's file goes, and then, in time, its things."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from reconciler.engine.cycle import Cycle
from reconciler.engine.kind import Kind
from reconciler.engine.leaving import NOTICE, RemovalSettings
from reconciler.engine.removing import DONE
from reconciler.faces.offboarding import commit, prepare
from reconciler.model.outcome import ItemReport, Status
from reconciler.model.removal import OnRemove
from tests.support.contract import judge
from tests.support.contract.judge import Complaint
from tests.support.contract.record import Book, Found
from tests.support.contract.walk import Walk, World
from tests.support.evidence import MakesNothing

LEAVER, NEIGHBOUR = "leaver", "neighbour"
MOST_PASSES = 12


def taken_away(world: World, kind: Kind) -> Iterator[Complaint]:
    """Say what is wrong with what becomes of an item's things, of its neighbour's, and of a stranger's."""
    world.merge(kind.name, [NEIGHBOUR])
    neighbour = world.walk(kind.name, NEIGHBOUR)
    world.merge(kind.name, [LEAVER])
    leaver = world.walk(kind.name, LEAVER)
    book = Book(world.systems, LEAVER, world.evidence[kind.name].resources, doubled=True)
    reports = _leave(world, kind, [LEAVER], book)
    yield from judge.looking(leaver.id, book.looked)
    for done in book.done:
        # What is left may be a record of each time.
        record = bool(world.evidence[kind.name].resources[done.resource].left)
        same = done.twice is None or done.twice.inventory == done.once.inventory
        if not (same and (record or done.twice in (None, done.once))):
            yield Complaint(kind.name, done.resource, "takes away another thing the second time")
    yield from _gone(world, kind, leaver, reports[LEAVER])
    near = Book(world.systems, NEIGHBOUR, world.evidence[kind.name].resources)
    for name, found in neighbour.found.items():
        if near.found(name).inventory != found.inventory:
            yield Complaint(kind.name, name, "changed a neighbour's thing when it took away its own")
    yield from _strangers(world, kind)


def _gone(world: World, kind: Kind, walk: Walk, report: ItemReport) -> Iterator[Complaint]:
    evidence = world.evidence[kind.name].resources
    book = Book(world.systems, LEAVER, evidence)
    if report.status != Status.REMOVED:
        for outcome in [each for each in report.outcomes if each.condition not in DONE]:
            said = f"{outcome.condition} {outcome.reason}"
            yield Complaint(
                kind.name, outcome.resource, f"does not come to an end when it is removed: {said}"
            )
    for resource in kind.resources:
        shown, now = evidence[resource.name], book.found(resource.name)
        if isinstance(shown.made, MakesNothing):
            continue
        yield from (
            Complaint(kind.name, resource.name, what)
            for what in _ended(
                resource.on_remove[0],
                shown.left,
                walk.before[resource.name],
                walk.found[resource.name],
                now,
            )
        )


def _ended(wish: OnRemove, left: str, before: Found, settled: Found, now: Found) -> Iterator[str]:
    if wish is OnRemove.KEEP:
        if now != settled:
            yield "is to be kept, and is otherwise after the item was removed"
    elif left:
        if now.inventory == settled.inventory:
            yield "is to be taken away, and is there as it was"
    elif now.inventory != before.inventory:
        yield f"left something behind: {now.inventory}"
    elif now.totals != before.totals:
        yield f"left something behind: {now.totals}, and there was {before.totals}"


def _strangers(world: World, kind: Kind) -> Iterator[Complaint]:
    """Have items leave that found things of somebody else's where theirs were to be."""
    evidence = world.evidence[kind.name].resources
    names = {
        resource.name: f"stranger{number:02}"
        for number, resource in enumerate(kind.resources)
        if resource.on_remove[0] is not OnRemove.KEEP
    }
    world.merge(kind.name, [*names.values()])
    looks = {each: evidence[each].foreign.plant(world.systems, name) for each, name in names.items()}
    before = {each: look() for each, look in looks.items()}
    world.settle(kind.name, [*names.values()])
    _leave(world, kind, [*names.values()])
    for each, look in looks.items():
        if look() != before[each]:
            yield Complaint(kind.name, each, "took away a thing of somebody else's")


def _leave(
    world: World, kind: Kind, names: Sequence[str], book: Book | None = None
) -> Mapping[str, ItemReport]:
    """Remove the files, each by name, and let time pass until the items are gone; by name."""
    now = datetime.now(UTC)
    cycle = Cycle(world.sections, world.recording(kind, book), clock=lambda: now)
    ids = {world.id(kind.name, name): name for name in names}
    commit(cycle, prepare(cycle, [str(each) for each in ids]))
    reports: dict[str, ItemReport] = {}
    grace = cycle.sections.get(RemovalSettings).grace
    for length in (timedelta(), grace, NOTICE):
        now += length + timedelta(minutes=1)
        for _ in range(MOST_PASSES):
            world.evidence[kind.name].time_passes(world.systems)
            left = [str(each) for each, name in ids.items() if not _is_gone(reports.get(name))]
            first = len(book.done) if book else 0
            result = cycle.run(only=left) if left else None
            if result is None:
                break
            if book:
                book.end_pass(first)
            reports |= {ids[each.id]: each for each in result.reports if each.id in ids}
            if result.again_in is None and not result.changes:
                break
    return reports


def _is_gone(report: ItemReport | None) -> bool:
    return report is not None and report.status == Status.REMOVED
