"""Kill: a pass dies at every write, fetch and push, and the next ones leave what nobody disturbed left.

Each kill has an item of its own. One settling of them all then has to make each of them like the item whose
passes nobody killed, and nothing in all of the systems more than once for each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import get_args

from tests.kinds.everyone import EVERYONE
from tests.prove.declared import Scenario
from tests.prove.figures import Figures, Sort
from tests.prove.ground import Ground, scenarios
from tests.prove.judging import TOGETHER, judge
from tests.prove.world import World, said
from tests.support.doomed import (
    WRITES,
    GitStep,
    PushWhen,
    When,
    counted_pushes,
    killed_at_step,
    killed_at_write,
    running_pass,
    subject,
)
from tests.support.reconciling import MOST_PASSES

SIDES: tuple[When, When] = ("before", "after")
PUSHING: tuple[PushWhen, ...] = get_args(PushWhen)
MOST_OF_A_SHORT_RUN = 5


@dataclass(frozen=True)
class Trace:
    """What passes asked that nobody disturbed: all writes in order, and how often each pass pushed."""

    writes: Sequence[str]
    pushes: Sequence[int]


@dataclass(frozen=True)
class AtWrite:
    """Before or after the write of that number, in whichever pass."""

    number: int
    side: When
    what: str

    def __str__(self) -> str:
        return f"{self.side} write {self.number}: {self.what}"


@dataclass(frozen=True)
class AtStep:
    """At a step of git, in the pass of that number."""

    pass_number: int
    step: GitStep

    def __str__(self) -> str:
        return f"{self.step.when} {self.step.operation} {self.step.number} of pass {self.pass_number}"


Point = AtWrite | AtStep


def jobs() -> list[str]:
    """Return a job for each scenario of each kind."""
    return scenarios()


def run(job: str, ground: Ground) -> Figures:
    """Kill a pass at every point of a scenario."""
    kind, _, name = job.partition("/")
    figures = Figures("kill", job, "kills")
    with World(ground.sandbox, EVERYONE[kind]) as world:
        scenario = world.provable.scenario(name)
        (undisturbed,) = first = world.new(1)
        world.bring(first, scenario)
        # Which points there are, a first item tells; what each adds to the totals, a second one.
        world.begin(first, scenario)
        points = ground.some(points_of(trace(world, undisturbed)), MOST_OF_A_SHORT_RUN)
        assert world.settle(first, scenario) == [], f"{job} does not end as is said"
        model = world.inventory(undisturbed)
        before = world.totals()
        measure = world.new(1)
        world.bring(measure, scenario)
        world.begin(measure, scenario)
        assert world.settle(measure, scenario) == []
        each = {thing: count - before[thing] for thing, count in world.totals().items()}
        heads = world.systems.mark().heads
        _kill_all(world, scenario, points, model, figures, ground)
        wanted = {thing: before[thing] + count * (1 + len(points)) for thing, count in each.items()}
        figures.fall_short(TOGETHER, _miscounted(world.totals(), wanted))
        figures.fall_short(TOGETHER, _left_behind(world, heads))
    return figures


def _kill_all(
    world: World,
    scenario: Scenario,
    points: Sequence[Point],
    model: Mapping[str, object],
    figures: Figures,
    ground: Ground,
) -> None:
    """Kill a pass at each point, over a new item each, and see that clean ones settle them all."""
    victims = world.new(len(points))
    world.bring(victims, scenario)
    world.begin(victims, scenario)
    for number, (victim, point) in enumerate(zip(victims, points, strict=True)):
        ground.tell(f"{number}/{len(points)} {point}")
        if not _kill(world, victim, point, figures):
            figures.fall_short(str(point), [("broken", "no pass came to this point")])
    judge(world, scenario, dict(zip(victims, map(str, points), strict=True)), model, figures)
    quiet = world.run(victims)
    if quiet.commits or quiet.changes:
        figures.fall_short(TOGETHER, [("stuck", "a pass after all was settled still changed something")])


def points_of(found: Trace) -> list[Point]:
    """Return every point at which a pass can be killed."""
    writes = [AtWrite(n, side, found.writes[n]) for n, side in product(range(len(found.writes)), SIDES)]
    pushes = [
        AtStep(number, GitStep(nth, when))
        for number, count in enumerate(found.pushes)
        for nth, when in product(range(count), PUSHING)
    ]
    # Both repositories are fetched where somebody else has committed to both.
    fetches = [AtStep(0, GitStep(nth, side, "fetch")) for nth, side in product(range(2), SIDES)]
    return [*writes, *pushes, *fetches]


def trace(world: World, name: str) -> Trace:
    """Run passes over an item until only people are awaited, and note what they ask."""
    mark, pushes = world.sandbox.mark(), list[int]()
    for _ in range(MOST_PASSES):
        with counted_pushes() as counted:
            result = world.run([name])
        pushes.append(len(counted))
        if (result.again_in is None and not result.changes) or not world.only([name]):
            break
        world.evidence.time_passes(world.systems)
    requests = world.sandbox.requests(mark)
    unmatched = [subject(each) for each in requests if each.wrote and not re.search(WRITES, subject(each))]
    assert unmatched == [], "writes that are not known as such"
    return Trace([subject(each) for each in requests if re.search(WRITES, subject(each))], pushes)


def _kill(world: World, victim: str, point: Point, figures: Figures) -> bool:
    only = world.only([victim])
    if isinstance(point, AtWrite):
        return killed_at_write(
            world.sandbox,
            point.number,
            point.side,
            *only,
            ahead=world.ahead,
            between=lambda: world.evidence.time_passes(world.systems),
            passes=MOST_PASSES,
        )
    if point.step.operation == "fetch":
        world.commit_elsewhere()
    for _ in range(point.pass_number):
        with running_pass(world.sandbox, *only, ahead=world.ahead) as process:
            process.join()
        world.evidence.time_passes(world.systems)
    reached = killed_at_step(world.sandbox, point.step, *only, ahead=world.ahead)
    if reached and point.step.when == "locked":
        _unlock(world, victim, point, figures)
    return reached


def _unlock(world: World, victim: str, point: Point, figures: Figures) -> None:
    """Do what only a person can: take away git's lock in a repository by path, which has to be told."""
    told = said(world.run([victim]))
    locks = [lock for repository in _repositories(world) for lock in repository.rglob("*.lock")]
    if locks and not any("lock" in each for each in told):
        figures.fall_short(str(point), [("broken", "a lock in a repository by path is not told")])
    for lock in locks:
        lock.unlink()


def _miscounted(found: Mapping[str, int], wanted: Mapping[str, int]) -> list[tuple[Sort, str]]:
    return [
        ("duplicated" if count > wanted[thing] else "lost", f"{thing}: {count} instead of {wanted[thing]}")
        for thing, count in found.items()
        if count != wanted[thing]
    ]


def _left_behind(world: World, heads: Mapping[str, Mapping[str, str]]) -> list[tuple[Sort, str]]:
    """Return what is left of killed passes, and whether anybody's commit is gone."""
    places = [*_repositories(world), world.systems.layout.work]
    wrong: list[tuple[Sort, str]] = [
        ("broken", f"{lock.relative_to(place)} is left behind")
        for place in places
        for lock in place.rglob("*.lock")
    ]
    for repository, branches in zip(
        (world.systems.manifests, world.systems.config), heads.values(), strict=True
    ):
        for branch, commit in branches.items():
            now = repository.references[branch].target
            if str(now) != commit and not repository.descendant_of(now, commit):
                wrong.append(("lost", f"a commit of {branch}"))
    return wrong


def _repositories(world: World) -> list[Path]:
    return [world.systems.layout.config, world.systems.layout.manifests]
