"""Reading one by one: who is asked, in which order, and who is left for later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from reconciler.clients.retry import ATTEMPTS, DEADLINE, LONGEST_WAIT, Retry
from reconciler.engine.contract import Target
from reconciler.engine.one_by_one import OUT_OF_TIME, PATIENCE, SECONDS, STOPPED, read_each
from reconciler.model.errors import Denied, Missing, Rejected, SystemFault, Unavailable
from reconciler.model.observation import Known, Observation, Unknown
from reconciler.settings.giving import Reading, Sections
from tests.support.toy import NOW, Thing, ThingSpec, item

NAMES = [f"t{number:02}" for number in range(12)]


class Service:
    """Answers for every name that is not broken, and knows whom it was asked for."""

    def __init__(self, broken: Mapping[str, SystemFault] | None = None) -> None:
        self.broken = broken or {}
        self.asked: list[str] = []
        self.after: Callable[[], None] = lambda: None

    def look(self, target: Target[ThingSpec]) -> Observation[Thing]:
        self.asked.append(target.slug)
        self.after()
        if fault := self.broken.get(target.slug):
            raise fault
        return Known(Thing(value=target.slug))


def targets(*, pass_number: int = 0) -> list[Target[ThingSpec]]:
    """Return one for each name; the first was not verified for longest."""
    return [
        Target(
            item(name),
            NOW + timedelta(minutes=5 * pass_number),
            verified_at=NOW - timedelta(hours=99 - age),
        )
        for age, name in enumerate(NAMES)
    ]


def reading(
    *, stopping: Callable[[], bool] = lambda: False, clock: Callable[[], float] = lambda: 0.0
) -> Reading:
    return Reading(Sections({}, {}), stopping=stopping, clock=clock)


def unread(found: Mapping[str, Observation[Thing]]) -> set[str]:
    return {slug for slug, seen in found.items() if isinstance(seen, Unknown)}


def gone(name: str = "") -> Unavailable:
    return Unavailable("service", f"GET /{name} answered 500")


def test_who_was_not_read_for_longest_comes_first_and_the_new_before_all() -> None:
    service = Service()
    new = Target(item("new"), NOW)
    found = read_each([*reversed(targets()), new], reading(), service.look)
    assert service.asked == ["new", *NAMES]
    assert unread(found) == set()


def test_a_system_that_is_down_is_asked_a_few_times_and_all_say_so() -> None:
    service = Service(dict.fromkeys(NAMES, gone()))
    found = read_each(targets(), reading(), service.look)
    assert len(service.asked) == PATIENCE
    assert unread(found) == set(NAMES)
    assert all("answered 500" in seen.reason for seen in found.values() if isinstance(seen, Unknown))


@pytest.mark.parametrize("count", [1, PATIENCE, 2 * PATIENCE])
def test_broken_projects_that_are_always_first_are_in_nobodys_way(count: int) -> None:
    service = Service(dict.fromkeys(NAMES[:count], gone()))
    assert unread(read_each(targets(), reading(), service.look)) == set(NAMES[:count])


@pytest.mark.parametrize("kind", [Denied, Missing, Rejected])
def test_refusals_concern_one_project_only(kind: type[SystemFault]) -> None:
    service = Service(dict.fromkeys(NAMES[1:], kind("service", "no")))
    found = read_each(targets(), reading(), service.look)
    assert (len(service.asked), unread(found)) == (len(NAMES), set(NAMES[1:]))


def test_a_limit_that_lasts_longer_than_a_pass_ends_the_asking() -> None:
    limited = Unavailable("service", "a rate limit is used up", retry_after=LONGEST_WAIT + 1)
    service = Service(dict.fromkeys(NAMES, limited))
    found = read_each(targets(), reading(), service.look)
    assert len(service.asked) == 1
    assert {seen.retry_after for seen in found.values() if isinstance(seen, Unknown)} == {LONGEST_WAIT + 1}


def test_what_takes_too_long_goes_on_in_the_next_pass_where_it_ended() -> None:
    passed = 0.0

    def slow() -> None:
        nonlocal passed
        passed += SECONDS / 5

    service = Service()
    service.after = slow
    due = targets()
    for number in range(1, 4):
        found = read_each(due, reading(clock=lambda: passed), service.look)
        assert all(found[slug] == OUT_OF_TIME for slug in unread(found))
        read = NOW + timedelta(hours=number)
        due = [replace(each, verified_at=read) if each.slug not in unread(found) else each for each in due]
    assert service.asked[: len(NAMES)] == NAMES
    assert set(service.asked[len(NAMES) :]) < set(NAMES[:5])


def test_a_pass_that_is_to_stop_asks_for_no_more() -> None:
    service = Service()
    found = read_each(targets(), reading(stopping=lambda: len(service.asked) == 2), service.look)
    assert service.asked == NAMES[:2]
    assert {found[slug] for slug in NAMES[2:]} == {STOPPED}


def test_equals_come_in_another_order_in_each_pass() -> None:
    """Else broken ones that stand first and last by name would look like a system that is down for ever."""
    orders = set()
    for number in range(5):
        service = Service()
        due = [replace(each, verified_at=None) for each in targets(pass_number=number)]
        read_each(due, reading(), service.look)
        assert sorted(service.asked) == NAMES
        orders.add(tuple(service.asked))
    assert len(orders) == 5


class Clock:
    """Stands in for the time that tenacity measures and sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("tenacity.nap.time", made)
    monkeypatch.setattr("tenacity.time", SimpleNamespace(monotonic=made.monotonic))
    return made


def attempts(retry: Retry, outcome: SystemFault | None, meanwhile: Callable[[], None] = lambda: None) -> int:
    made = 0

    def call() -> None:
        nonlocal made
        made += 1
        meanwhile()
        if outcome is not None:
            raise outcome

    with suppress(SystemFault):
        retry.repeat(call)
    return made


def test_who_failed_to_the_last_try_gets_one_until_it_answers(clock: Clock) -> None:
    retry = Retry()
    assert attempts(retry, gone()) == ATTEMPTS
    assert attempts(retry, gone()) == 1
    assert attempts(retry, Missing("service", "no such thing")) == 1
    assert attempts(retry, gone()) == ATTEMPTS
    assert attempts(retry, None) == 1
    assert attempts(retry, gone()) == ATTEMPTS


def test_who_keeps_us_waiting_is_not_tried_again(clock: Clock) -> None:
    assert attempts(Retry(), gone(), lambda: clock.sleep(DEADLINE)) == 1
