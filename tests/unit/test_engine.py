from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from reconciler.clients.pass_store import Verification
from reconciler.engine import viewing
from reconciler.engine.contract import Resource
from reconciler.engine.kind import Kind, Proof
from reconciler.engine.stages import apply, observe, plan, report
from reconciler.model.decision import Change, Needed, Settled, Skipped
from reconciler.model.errors import (
    Collision,
    ConfigurationError,
    Denied,
    NotConfigured,
    Senseless,
    Unavailable,
)
from reconciler.model.item import Item, ItemId
from reconciler.model.json import Later, Object
from reconciler.model.loaded import Loaded
from reconciler.model.outcome import Condition, ItemReport, Status
from reconciler.model.plan import Plan
from reconciler.model.status_file import document
from reconciler.settings.giving import Reading, Sections, Writing
from tests.support.toy import NOW, ThingSpec, World, clumsy, failed, item, kind_of, resource, waiting

Toy = Resource[ThingSpec, Any]


@dataclass(frozen=True)
class Run:
    plan: Plan
    reports: Mapping[str, ItemReport]
    documents: Mapping[str, Any]
    announced: Sequence[Change]

    def conditions(self, slug: str) -> dict[str, Condition]:
        return {outcome.resource: outcome.condition for outcome in self.reports[slug].outcomes}


def run(
    resources: Sequence[Toy],
    *names: str | Item[ThingSpec],
    statuses: Mapping[str, Object] | None = None,
    stop_after: int = 1_000,
    proof: Proof | None = None,
) -> Run:
    items = [item(name) if isinstance(name, str) else name for name in names]
    kind = kind_of(*resources, proof=proof)
    known = {ItemId("thing", slug): document for slug, document in (statuses or {}).items()}
    loaded = Loaded("0" * 40, tuple(items), known)
    read = Reading(Sections({}, {}))
    view = viewing.view(kind, resources, items, loaded, read, None, now=NOW, verify_within=timedelta(hours=1))
    made = Plan(tuple(plan.plan(view, [each.slug for each in items])))
    announced: list[Change] = []
    reports = {
        each.slug: report.report(
            each,
            kind,
            apply.apply(
                planned,
                view,
                Writing(Sections({}, {})),
                stopping=lambda: len(announced) >= stop_after,
                announce=announced.append,
                look_again=lambda each, target: observe.observe(each, [target], read)[target.slug],
            ),
            loaded,
        )
        for each, planned in zip(items, made, strict=True)
    }
    documents = {
        slug: document(each, known.get(each.id, {}), sections={}, now=NOW) for slug, each in reports.items()
    }
    return Run(made, reports, documents, announced)


def test_a_value_that_does_not_exist_yet_is_resolved_when_it_does() -> None:
    world = World()
    resources = [resource(world, "first"), resource(world, "second", needs=("first",))]
    first = run(resources, "a")
    assert first.plan.changes[1].after == {"from": {"first": Later("first", "value")}}
    assert world.values == {("first", "a"): "first", ("second", "a"): "second+first"}
    assert first.reports["a"].status == Status.COMPLETED


def test_a_second_pass_has_nothing_to_do_and_writes_the_same_status() -> None:
    world = World()
    resources = [resource(world, "first"), resource(world, "second", needs=("first",))]
    first = run(resources, "a", "b")
    again = run(resources, "a", "b", statuses=first.documents)
    assert not again.plan.changes
    assert again.documents == first.documents


def test_the_digest_names_the_changes_and_not_the_moment() -> None:
    resources = [resource(World(), "first")]
    assert run([resource(World(), "first")], "a").plan.digest == run(resources, "a").plan.digest
    assert (
        run([resource(World(), "first")], "b").plan.digest
        != run([resource(World(), "first")], "a").plan.digest
    )


def test_an_unread_resource_is_unknown_and_what_needs_it_is_blocked() -> None:
    world = World()
    world.on_read["first"] = Unavailable("World", "is down")
    made = run([resource(world, "first"), resource(world, "second", needs=("first",))], "a")
    assert made.conditions("a") == {"first": Condition.UNKNOWN, "second": Condition.BLOCKED}
    assert world.values == {}
    assert made.documents["a"]["resources"] == {}


def test_an_outage_changes_no_status_file() -> None:
    world = World()
    resources = [resource(world, "first"), resource(world, "second", needs=("first",))]
    before = run(resources, "a").documents
    world.on_read["first"] = Unavailable("World", "is down")
    during = run(resources, "a", statuses=before)
    assert during.documents == before
    assert during.reports["a"].unreadable


def test_what_is_remembered_of_an_unread_resource_keeps_what_is_settled_and_changes_nothing() -> None:
    world = World()
    resources = [resource(world, name, needs=("first",)) for name in ("second", "third")]
    resources.insert(0, resource(world, "first"))
    before = run(resources[:2], "a").documents
    world.on_read["first"] = Denied("World", "refused the token")
    made = run(resources, "a", statuses=before)
    # A person may have written what the status file says of the first.
    assert made.conditions("a") == {
        "first": Condition.UNKNOWN,
        "second": Condition.OK,
        "third": Condition.BLOCKED,
    }
    assert ("third", "a") not in world.values


def test_who_makes_no_sense_of_what_is_remembered_waits_until_it_is_read() -> None:
    world = World()
    world.on_read["first"] = Unavailable("World", "is down")
    second = clumsy(world, "second", "plan", "a")
    type(second).needs = ("first",)
    resources = [resource(world, "first"), second]
    hostile: Object = {"resources": {"first": {"state": "ok", "outputs": {"value": -1}}}}
    made = run(resources, "a", statuses={"a": hostile})
    assert made.conditions("a") == {"first": Condition.UNKNOWN, "second": Condition.BLOCKED}
    assert made.reports["a"].outcomes[1].because_unknown
    # Of what was read, it is a defect to be told of.
    world.on_read.clear()
    made = run(resources, "a", statuses={"a": hostile})
    assert "unexpected ZeroDivisionError" in made.reports["a"].outcomes[1].reason


def test_a_defect_in_one_resource_stops_no_other() -> None:
    world = World()
    world.on_read["broken"] = ZeroDivisionError("secret detail")
    made = run([resource(world, "broken"), resource(world, "fine")], "a")
    assert made.conditions("a") == {"broken": Condition.UNKNOWN, "fine": Condition.CHANGED}
    assert "secret detail" not in str(made.reports)


@pytest.mark.parametrize(
    ("error", "condition"),
    [
        (Unavailable("World", "timeout"), Condition.UNKNOWN),
        (Collision("World", "taken, although nothing is there"), Condition.ERROR),
        (Denied("World", "no rights"), Condition.ERROR),
        (ZeroDivisionError("secret detail"), Condition.ERROR),
    ],
)
def test_a_failed_change_stops_what_depends_on_it_and_nothing_else(
    error: Exception, condition: Condition
) -> None:
    world = World()
    world.on_write["first"] = error
    resources = [
        resource(world, "first"),
        resource(world, "second", needs=("first",)),
        resource(world, "third"),
    ]
    made = run(resources, "a", "b")
    wanted = {"first": condition, "second": Condition.BLOCKED, "third": Condition.CHANGED}
    assert made.conditions("a") == wanted == made.conditions("b")
    assert "secret detail" not in str(made.reports)


def test_who_lost_a_race_looks_again() -> None:
    world = World()
    world.on_write["first"] = Collision("World", "somebody was first")
    world.rivals["first"] = "theirs"
    made = run([resource(world, "first")], "a")
    (outcome,) = made.reports["a"].outcomes
    assert outcome.condition is Condition.UNKNOWN
    assert "the next pass looks again" in outcome.reason


def test_a_refusal_that_a_race_does_not_explain_is_an_error_with_a_remedy() -> None:
    world = World()
    world.on_write["first"] = Collision("World", "that name is taken")
    (outcome,) = run([resource(world, "first")], "a").reports["a"].outcomes
    assert (outcome.condition, outcome.again_in) == (Condition.ERROR, None)
    assert "that name is taken" in outcome.reason
    assert outcome.remedy


def test_what_is_not_configured_is_skipped_with_what_needs_it() -> None:
    world = World()
    world.on_read["first"] = NotConfigured("World is not configured", remedy="set world.url")
    resources = [
        resource(world, "first"),
        resource(world, "second", needs=("first",)),
        resource(world, "third", uses=("first",)),
    ]
    made = run(resources, "a")
    assert made.conditions("a") == {
        "first": Condition.SKIPPED,
        "second": Condition.SKIPPED,
        "third": Condition.CHANGED,
    }
    assert "set world.url" in made.reports["a"].outcomes[0].reason
    assert made.reports["a"].status == Status.COMPLETED


def test_a_system_taken_away_after_use_is_an_error() -> None:
    world = World()
    resources = [resource(world, "first")]
    before = run(resources, "a").documents
    world.on_read["first"] = NotConfigured("World is not configured", remedy="set world.url")
    assert run(resources, "a", statuses=before).reports["a"].status == Status.FAILED


def test_a_half_configured_system_is_an_error() -> None:
    world = World()
    world.on_read["first"] = ConfigurationError("world.token is missing")
    assert run([resource(world, "first")], "a").conditions("a") == {"first": Condition.ERROR}


def test_what_waits_blocks_only_what_needs_it() -> None:
    world = World()
    resources = [
        resource(world, "login", decide=lambda target: waiting(person=True)),
        resource(world, "after", needs=("login",)),
        resource(world, "beside"),
    ]
    made = run(resources, "a")
    assert made.conditions("a") == {
        "login": Condition.WAITING,
        "after": Condition.BLOCKED,
        "beside": Condition.CHANGED,
    }
    assert made.reports["a"].status == "waiting_auth"
    assert made.reports["a"].todo == "log in"


def test_failed_comes_before_waiting() -> None:
    world = World()
    resources = [
        resource(world, "login", decide=lambda target: waiting(person=True)),
        resource(world, "wrong", decide=lambda target: failed()),
    ]
    made = run(resources, "a")
    assert made.reports["a"].status == Status.FAILED
    assert made.reports["a"].todo == "wrong: it is wrong — mend it"


def test_what_to_do_is_about_a_resource_that_is_in_trouble_as_written() -> None:
    world = World()
    wrong = [resource(world, name, decide=lambda target: failed()) for name in ("first", "second")]
    before = run(wrong, "a").documents
    assert before["a"]["next"].startswith("first:")
    world.on_read["second"] = Denied("World", "refused the token")
    after = run([resource(world, "first"), resource(world, "second")], "a", statuses=before)
    assert after.reports["a"].status == Status.FAILED
    assert after.reports["a"].todo == "second: it is wrong — mend it"
    assert (
        run([resource(world, "first"), wrong[1]], "a", statuses=after.documents).documents == after.documents
    )


def test_what_a_person_is_asked_for_survives_an_outage_and_an_error_of_another_resource() -> None:
    world = World()
    login = resource(world, "login", decide=lambda target: waiting(person=True))
    before = run([resource(world, "first", decide=lambda target: failed()), login], "a").documents
    assert before["a"]["next"].startswith("first:")
    world.on_read["login"] = Denied("World", "refused the token")
    after = run([resource(world, "first"), login], "a", statuses=before).reports["a"]
    assert (after.status, after.todo) == ("waiting_auth", "log in")


def test_what_needs_a_deferred_change_waits_for_the_commit() -> None:
    world = World()
    resources = [resource(world, "files", is_deferred=True), resource(world, "sync", needs=("files",))]
    made = run(resources, "a")
    assert made.reports["a"].status == "waiting_sync"
    assert made.reports["a"].again_in == timedelta(seconds=1)
    assert ("sync", "a") not in world.values


def test_a_commit_that_turns_out_to_change_nothing_is_no_change_and_nobody_waits_for_it() -> None:
    world = World()
    resources = [
        resource(world, "secret"),
        resource(world, "files", needs=("secret",), is_deferred=True),
        resource(world, "sync", needs=("files",)),
        resource(world, "health", needs=("sync",)),
    ]
    before = run(resources, "a")
    while before.plan.changes:
        before = run(resources, "a", statuses=before.documents)
    del world.values["secret", "a"]
    made = run(resources, "a", statuses=before.documents)
    assert [change.resource for change in made.plan.changes] == ["secret", "files"]
    assert [change.resource for change in made.announced] == ["secret"]
    assert made.documents == before.documents
    assert made.reports["a"].status == Status.COMPLETED


def test_what_turns_out_to_be_needed_is_left_to_the_next_pass_if_the_plan_did_not_show_it() -> None:
    world = World()
    resources = [
        resource(world, "secret"),
        resource(world, "files", needs=("secret",), is_deferred=True),
        resource(world, "sync", needs=("files",)),
    ]
    run(resources, "a")
    del world.values["secret", "a"]
    made = run(resources, "a")
    assert made.conditions("a")["sync"] is Condition.WAITING
    assert ("sync", "a") not in world.values
    assert run(resources, "a").conditions("a")["sync"] is Condition.CHANGED


def test_a_stopped_pass_begins_no_further_change_and_the_next_one_goes_on() -> None:
    world = World()
    resources = [resource(world, "first"), resource(world, "second", needs=("first",))]
    stopped = run(resources, "a", "b", stop_after=1)
    assert world.values == {("first", "a"): "first"}
    assert len(stopped.announced) == 1
    run(resources, "a", "b", statuses=stopped.documents)
    assert len(world.values) == 4


def test_what_is_switched_off_and_on_again_is_still_remembered() -> None:
    world = World()
    on = [resource(world, "only")]
    before = run(on, "a").documents
    off = [resource(world, "only", decide=lambda target: Skipped("skipAuth is set"))]
    skipped = run(off, "a", statuses=before).documents
    assert skipped["a"]["resources"]["only"]["outputs"] == {"value": "only"}
    assert run(on, "a", statuses=skipped).documents["a"]["status"] == "completed"


def test_skipped_by_the_file_is_completed() -> None:
    made = run([resource(World(), "only", decide=lambda target: Skipped("skipAuth is set"))], "a")
    assert made.reports["a"].status == Status.COMPLETED
    assert not [each for each in made.plan if isinstance(each.planned["only"], Needed)]


def test_since_moves_only_with_the_state() -> None:
    world, long_ago = World(), "2020-01-01T00:00:00Z"
    resources = [resource(world, "first")]
    for state, since in (("ok", long_ago), ("waiting", "2026-01-01T00:00:00Z")):
        old: Object = {"resources": {"first": {"state": state, "since": long_ago, "outputs": {}}}}
        written = run(resources, "a", statuses={"a": old}).documents["a"]
        assert written["resources"]["first"]["since"] == since


def test_a_defect_that_one_item_meets_is_that_items_wherever_it_is_met() -> None:
    for step in ("unwanted", "observe", "plan", "apply"):
        world = World()
        made = run([clumsy(world, "first", step, "b"), resource(world, "second")], "a", "b", "c")
        for fine in ("a", "c"):
            assert made.conditions(fine) == {"first": Condition.CHANGED, "second": Condition.CHANGED}, step
        assert made.conditions("b")["first"] in {Condition.UNKNOWN, Condition.ERROR}, step
        assert made.conditions("b")["second"] is Condition.CHANGED, step
        assert "secret detail" not in str(made.reports)
        assert "defect" in made.reports["b"].outcomes[0].remedy


def test_an_answer_that_leaves_an_item_out_is_a_defect_of_that_item_alone() -> None:
    world = World()
    made = run([clumsy(world, "first", "leave out", "b")], "a", "b")
    assert made.conditions("a") == {"first": Condition.CHANGED}
    assert made.conditions("b") == {"first": Condition.UNKNOWN}


def test_a_defect_that_everybody_meets_is_not_searched_for_without_end() -> None:
    world, names = World(), [f"t{number}" for number in range(500)]
    made = run([clumsy(world, "first", "observe", *names)], *names)
    assert {made.conditions(name)["first"] for name in names} == {Condition.UNKNOWN}
    assert world.reads < 100


PROOF = Proof("first", "value", "its number")


def proven(world: World) -> list[Toy]:
    return [
        resource(world, "first", decide=lambda target: Settled({"value": world.proofs[target.spec.claim()]})),
        resource(world, "second"),
    ]


def test_what_an_item_is_stands_in_its_status_file() -> None:
    world = World()
    world.proofs = {"thing a": "7"}
    made = run(proven(world), "a", proof=PROOF)
    assert made.documents["a"]["identity"] == {"claim": "thing a", "proof": "7"}


@pytest.mark.parametrize("written", ["7", 7], ids=["as-written", "without-quotes"])
def test_another_thing_of_the_same_name_is_refused_and_nothing_is_done_for_it(written: str | int) -> None:
    world = World()
    world.proofs = {"thing a": "7"}
    before = run(proven(world), "a", proof=PROOF).documents
    before["a"]["identity"]["proof"] = written
    world.proofs, world.values = {"thing a": "8"}, {}
    made = run(proven(world), "a", statuses=before, proof=PROOF)
    assert made.conditions("a") == {"first": Condition.ERROR, "second": Condition.BLOCKED}
    assert "its number is 8, and it was 7" in made.reports["a"].todo
    assert "another `slug:`" in made.reports["a"].todo
    assert world.values == {}
    assert made.documents["a"]["identity"] == {"claim": "thing a", "proof": "7"}


def test_the_same_thing_under_another_name_goes_on_and_is_known_by_it() -> None:
    world = World()
    world.proofs = {"thing a": "7", "thing new": "7"}
    before = run(proven(world), "a", proof=PROOF).documents
    made = run(proven(world), item("a", claimed="new"), statuses=before, proof=PROOF)
    assert made.reports["a"].status == Status.COMPLETED
    assert made.documents["a"]["identity"] == {"claim": "thing new", "proof": "7"}


def test_under_another_name_nothing_is_done_before_it_is_proven_to_be_the_same() -> None:
    world = World()
    world.proofs = {"thing a": "7"}
    before = run(proven(world), "a", proof=PROOF).documents
    world.on_read["first"], world.values = Unavailable("World", "is down"), {}
    made = run(proven(world), item("a", claimed="new"), statuses=before, proof=PROOF)
    assert made.conditions("a") == {"first": Condition.UNKNOWN, "second": Condition.BLOCKED}
    assert world.values == {}
    assert made.documents["a"]["identity"] == {"claim": "thing a", "proof": "7"}
    same = run(proven(world), "a", statuses=before, proof=PROOF)
    assert same.conditions("a") == {"first": Condition.UNKNOWN, "second": Condition.CHANGED}


def test_a_kind_is_refused_that_could_not_work() -> None:
    world = World()
    first, second = resource(world, "first"), resource(world, "second", needs=("first",))
    committed = resource(world, "committed", is_deferred=True)
    after = resource(world, "after", needs=("committed",))
    with pytest.raises(ValueError, match="stands before"):
        kind_of(second, first)
    with pytest.raises(ValueError, match="two resources called first"):
        kind_of(first, resource(world, "first"))
    with pytest.raises(ValueError, match="is not the first"):
        kind_of(first, second, proof=Proof("second", "value", "its number"))
    with pytest.raises(ValueError, match="after_commit"):
        Kind("thing", ThingSpec, (type(committed), type(after)))


def test_what_was_to_wait_for_a_commit_is_blocked_when_there_is_none() -> None:
    world = World()
    world.on_write["first"] = Denied("World", "no rights")
    resources = [
        resource(world, "first"),
        resource(world, "files", needs=("first",), is_deferred=True),
        resource(world, "deployed", needs=("files",)),
    ]
    made = run(resources, "a")
    assert made.conditions("a") == {
        "first": Condition.ERROR,
        "files": Condition.BLOCKED,
        "deployed": Condition.BLOCKED,
    }
    assert made.reports["a"].again_in is None


def test_what_is_remembered_for_a_credential_taken_away_is_no_ground_for_a_change() -> None:
    world = World()
    first, second = resource(world, "first"), resource(world, "second", needs=("first",))
    before = run([first], "a").documents
    world.on_read["first"] = NotConfigured("the world is not configured", remedy="set it")
    made = run([first, second], "a", statuses=before)
    assert made.conditions("a") == {"first": Condition.ERROR, "second": Condition.BLOCKED}
    assert ("second", "a") not in world.values


@pytest.mark.parametrize(
    ("fault", "condition"),
    [
        (Senseless("World", "answered with a page"), Condition.UNKNOWN),
        (Unavailable("World", "is slow", retry_after=1e30), Condition.UNKNOWN),
        (Unavailable("World", "is slow", retry_after=float("nan")), Condition.UNKNOWN),
        (Denied("World", "may not", retry_after=float("inf")), Condition.ERROR),
        (OverflowError("date value out of range"), Condition.ERROR),
    ],
)
def test_what_a_write_is_answered_is_its_own_and_never_the_passs(
    fault: Exception, condition: Condition
) -> None:
    world = World()
    world.on_write["first"] = fault
    made = run([resource(world, "first"), resource(world, "second", needs=("first",))], "a", "b")
    for slug in ("a", "b"):
        assert made.conditions(slug)["first"] is condition
    assert world.values == {}


@pytest.mark.parametrize("pause", [1e30, float("nan"), float("inf"), -5.0])
def test_a_read_that_names_an_absurd_pause_is_unknown_for_a_bounded_time(pause: float) -> None:
    world = World()
    world.on_read["first"] = Unavailable("World", "is down", retry_after=pause)
    (outcome,) = run([resource(world, "first")], "a").reports["a"].outcomes
    assert outcome.condition is Condition.UNKNOWN
    assert outcome.again_in is not None
    assert timedelta() <= outcome.again_in <= timedelta(days=1)


def test_a_defect_in_what_surrounds_a_change_is_that_changes() -> None:
    world = World()
    resources = [resource(world, "first"), resource(world, "second")]
    items = [item("a"), item("b")]
    kind = kind_of(*resources)
    loaded = Loaded("0" * 40, tuple(items), {})
    read = Reading(Sections({}, {}))
    view = viewing.view(kind, resources, items, loaded, read, None, now=NOW, verify_within=timedelta(hours=1))

    def announce(change: Change) -> None:
        if (change.item.slug, change.resource) == ("a", "first"):
            raise RecursionError

    outcomes = {
        each.id.slug: apply.apply(
            each,
            view,
            Writing(Sections({}, {})),
            stopping=lambda: False,
            announce=announce,
            look_again=lambda each, target: observe.observe(each, [target], read)[target.slug],
        )
        for each in plan.plan(view, ["a", "b"])
    }
    assert [each.condition for each in outcomes["a"]] == [Condition.ERROR, Condition.CHANGED]
    assert [each.condition for each in outcomes["b"]] == [Condition.CHANGED, Condition.CHANGED]
    assert outcomes["a"][0].reason == "unexpected RecursionError"


@pytest.mark.parametrize(
    ("ahead", "due"),
    [
        (timedelta(days=400), True),
        (timedelta(seconds=1), True),
        (timedelta(0), False),
        (-timedelta(days=2), True),
    ],
)
def test_a_verification_in_the_future_is_none(ahead: timedelta, due: bool) -> None:
    moment = NOW + ahead
    assert observe.audit_due(ItemId("thing", "a"), "r", moment, now=NOW, within=timedelta(days=1)) is due
    store = {(ItemId("thing", "a"), "r"): Verification(moment)}
    made = observe.targets(
        resource(World(), "r"),
        [item("a")],
        Loaded("0" * 40, (item("a"),), {}),
        store,
        {},
        now=NOW,
        verify_within=timedelta(days=1),
    )
    assert [each.verified_at for each in made] == [None if ahead > timedelta(0) else moment]


@pytest.mark.parametrize("since", ["2999-01-01T00:00:00Z", "1999-01-01T00:00:00Z"])
def test_a_clock_that_was_wrong_is_no_reason_to_write_anything(since: str) -> None:
    world = World()
    first = run([resource(world, "first")], "a").documents["a"]
    first["resources"]["first"]["since"] = since
    assert run([resource(world, "first")], "a", statuses={"a": first}).documents["a"] == first
