"""How long a failing project rests, and what wakes it."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from reconciler.engine.backoff import LONGEST, Backoff
from reconciler.engine.kind import Kind
from reconciler.model.item import Item, ItemId, Source
from reconciler.model.loaded import Loaded
from reconciler.model.outcome import Condition, ItemReport, Outcome, Status
from tests.support.toy import NOW, ThingSpec, World, resource

STEP = timedelta(minutes=5)


class Asking(type(resource(World(), "login"))):  # type: ignore[misc]
    section = "oauth"
    human_keys = ("sealed",)


KINDS = {"thing": Kind("thing", ThingSpec, (Asking,))}
A = ItemId("thing", "a")


def loaded(*slugs: str, blob: str = "a", sealed: str | None = None) -> Loaded:
    projects: list[Item[Any]] = [
        Item(slug, "thing", ThingSpec(name=slug), Source(f"projects/{slug}.yaml", blob)) for slug in slugs
    ]
    return Loaded(
        "c", tuple(projects), {ItemId("thing", slug): {"oauth": {"sealed": sealed}} for slug in slugs}
    )


def report(slug: str, condition: Condition, status: Status = Status.FAILED) -> ItemReport:
    return ItemReport(ItemId("thing", slug), status, "", "", (Outcome("r", "p", condition),))


class Rehearsal:
    """Passes every five minutes in which these projects fail, whenever they are not left alone."""

    def __init__(self) -> None:
        self.backoff = Backoff(STEP, KINDS)
        self.now = NOW

    def run(self, state: Loaded, condition: Condition = Condition.ERROR) -> bool:
        """Do one pass; return whether the project was looked at."""
        postponed = self.backoff.postponed(state, self.now)
        status = Status.FAILED if condition is Condition.ERROR else Status.COMPLETED
        self.backoff.learn([report("a", condition, status)], postponed, self.now)
        self.now += STEP
        return A not in postponed


def test_it_is_tried_again_at_once_and_then_less_and_less_often() -> None:
    rehearsal, state = Rehearsal(), loaded("a")
    looked_at = [number for number in range(60) if rehearsal.run(state)]
    assert looked_at == [0, 1, 2, 4, 8, 16, 28, 40, 52]


def test_it_never_rests_longer_than_an_hour() -> None:
    rehearsal, state = Rehearsal(), loaded("a")
    looked_at = [rehearsal.now for _ in range(500) if rehearsal.run(state)]
    assert max(later - sooner for sooner, later in pairwise(looked_at)) <= LONGEST


@pytest.mark.parametrize("change", [{"blob": "b"}, {"sealed": "-----BEGIN AGE"}], ids=str)
def test_what_people_change_wakes_it(change: dict[str, str]) -> None:
    rehearsal = Rehearsal()
    assert [rehearsal.run(loaded("a")) for _ in range(4)] == [True, True, True, False]
    assert [rehearsal.run(loaded("a", **change)) for _ in range(2)] == [True, True]


def test_once_it_succeeds_it_starts_anew() -> None:
    rehearsal, state = Rehearsal(), loaded("a")
    for _ in range(4):
        rehearsal.run(state)
    rehearsal.now += LONGEST
    assert rehearsal.run(state, Condition.OK)
    assert [rehearsal.run(state) for _ in range(3)] == [True, True, True]


def test_an_outage_is_nobodys_failure() -> None:
    backoff, state = Backoff(STEP, KINDS), loaded("a")
    for _ in range(5):
        assert backoff.postponed(state, NOW) == frozenset()
        backoff.learn([report("a", Condition.UNKNOWN)], frozenset(), NOW)


def test_others_are_not_held_up() -> None:
    backoff, state = Backoff(STEP, KINDS), loaded("a", "b")
    for _ in range(2):
        postponed = backoff.postponed(state, NOW)
        backoff.learn(
            [report("a", Condition.ERROR), report("b", Condition.OK, Status.COMPLETED)], postponed, NOW
        )
    assert backoff.postponed(state, NOW) == {A}


def test_one_whose_file_is_gone_is_forgotten() -> None:
    backoff, state = Backoff(STEP, KINDS), loaded("a")
    for _ in range(2):
        backoff.learn([report("a", Condition.ERROR)], backoff.postponed(state, NOW), NOW)
    backoff.learn([], backoff.postponed(loaded(), NOW), NOW)
    assert backoff.postponed(state, NOW) == frozenset()


def test_a_rest_that_a_wrong_clock_has_set_is_none() -> None:
    rehearsal, state = Rehearsal(), loaded("a")
    rehearsal.now += timedelta(days=400)
    assert [rehearsal.run(state) for _ in range(3)] == [True, True, True]
    rehearsal.run(state)
    rehearsal.now -= timedelta(days=400)
    assert rehearsal.run(state)
