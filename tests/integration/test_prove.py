"""A short run of `make prove`, from a fixed seed; and that its judges see what they are to see.

Every scenario of every kind is killed and struck; of the other parts there is one job of each sort. Run
this file alone with PROVE_SEED set, and it tries other points.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.sandbox.false_answers import SPOILED, Answer, spoiled
from reconciler.sandbox.supervisor import Sandbox
from tests.kinds.everyone import EVERYONE
from tests.prove import fault, kill
from tests.prove.declared import provable_of
from tests.prove.figures import Figures
from tests.prove.ground import provable_kinds
from tests.prove.judging import judge, unlike
from tests.prove.page import COLUMNS, page, rows
from tests.prove.parts import PARTS
from tests.prove.workers import Order, do
from tests.prove.world import World, differences, lacks
from tests.support.reconciling import cycle_of
from tests.support.watch import Watch

SEED = os.environ.get("PROVE_SEED", "tests")
LEAST, MOST = provable_kinds()[-1].name, provable_kinds()[0].name
JOBS = [
    *(("kill", job) for job in kill.jobs()),
    *(("fault", job) for job in fault.jobs() if job.endswith(f"1/{fault.SHARDS}")),
    ("clones", "halves"),
    ("clones", "delays"),
    ("git", LEAST),
    ("race", f"{LEAST}/two"),
    *(("place", f"{kind}/{job}") for kind, job in [
        (MOST, "clock forward"), (MOST, "clock backward"), (LEAST, "file size"), (LEAST, "descriptors"),
        (LEAST, "no folder"), (LEAST, "database restarted"), (LEAST, "vault sealed"), (LEAST, "told to stop"),
        (LEAST, "service told to stop"),
    ]),
    ("fuzz", f"answers {LEAST}/login"),
    ("fuzz", "bodies"),
    ("fidelity", "kustomizations"),
]  # fmt: skip


@pytest.mark.parametrize(("part", "job"), JOBS)
def test_nothing_is_lost(sandbox: Sandbox, part: str, job: str) -> None:
    figures = do(Order(part, job, SEED, short=True), sandbox)
    assert [f"{each.sort}: {each.point}: {each.what}" for each in figures.shortfalls] == []
    assert figures.tried == figures.converged > 0


def test_the_jobs_are_jobs() -> None:
    assert [each for each in JOBS if each[1] not in PARTS[each[0]].jobs()] == []


@pytest.mark.parametrize("kind", EVERYONE)
def test_a_kind_that_shows_evidence_is_proven(kind: str) -> None:
    provable = provable_of(EVERYONE[kind])
    assert provable is not None
    names = [each.name for each in provable.scenarios]
    assert len(names) == len(set(names))
    for each in provable.scenarios:
        assert each.after in ("", *names[: names.index(each.name)]), (
            f"{each.name} comes before what it begins at"
        )


def test_what_is_missing_doubled_or_unsettled_is_found(sandbox: Sandbox) -> None:
    with World(sandbox, EVERYONE[LEAST]) as world:
        scenario, figures = world.provable.scenarios[0], Figures("kill", "x", "kills")
        names = whole, doubled = world.new(2)
        world.begin(names, scenario)
        assert world.settle(names, scenario) == []
        model = world.inventory(whole)
        assert unlike(world.inventory(doubled), model) == []
        resource = world.kind.resources[0].name
        before = world.totals()
        world.evidence.resources[resource].more(world.systems, doubled)
        assert world.totals() != before
        judge(world, scenario, {whole: "whole", doubled: "doubled"}, model, figures)
        assert (figures.tried, figures.converged) == (2, 1)
        assert {each.point for each in figures.shortfalls} == {"doubled"}


def test_a_secret_that_is_printed_is_found(sandbox: Sandbox) -> None:
    sandbox.clear()
    assert cycle_of(sandbox).run().exit_code == 0
    watch = Watch(sandbox, lambda: {"mine": "canary-of-mine"})
    watch.learn()
    assert watch.leaks() == []
    watch.said["planted"] = "oh: canary-of-mine"
    assert watch.leaks() == ["mine in planted"]


def test_only_what_is_not_there_is_lacking() -> None:
    model = {"a": [1], "b": {"c": "d"}}
    assert not lacks({"a": [2, 3], "b": {"c": "e"}, "more": 1}, model)
    for less in ({"a": [], "b": {"c": "d"}}, {"a": [1], "b": {}}, {"a": [1], "b": None}, {}):
        assert lacks(less, model)


def test_inventories_differ_where_something_differs() -> None:
    assert differences({"a": {"b": 1}, "c": [1]}, {"a": {"b": 1}, "c": [1]}) == []
    assert differences({"a": {"b": 2}, "c": [1, 2]}, {"a": {"b": 1}, "c": [1]}) == [
        "a/b is another",
        "c: 2 instead of 1",
    ]
    assert differences({"c": [2, 1]}, {"c": [1, 2]}) == []
    assert [sort for sort, _ in unlike({"c": [1, 2]}, {"c": [1]})] == ["duplicated"]
    assert [sort for sort, _ in unlike({"c": []}, {"c": [1]})] == ["lost"]


def test_answers_are_spoiled_by_their_seed() -> None:
    answer = Answer(
        200, [(b"content-type", b"application/json")], b'{"data": {"a": [1, 2], "b": {"c": "d"}}}'
    )
    for kind in SPOILED:
        assert spoiled(kind, answer, 7) == spoiled(kind, answer, 7)
    assert len({spoiled("mutated", answer, seed).body for seed in range(50)}) > 10
    assert b'"errors"' in spoiled("graphql-partial", answer, 1).body


def test_the_page_has_every_figure_and_shortfall(tmp_path: Path) -> None:
    figures = Figures("kill", "x/onboarding", "kills", most_requests=9, usual_requests=8)
    figures.judge("here", [])
    figures.judge("there", [("lost", f"all of {tmp_path}/mesh-six-proof-x/file")])
    ((part, job, tried, converged, lost, *_),) = rows([figures])
    assert (part, job, tried, converged, lost) == ("kill", "x/onboarding: kills", "2", "1", "1")
    text = page([figures], seed="s", short=True, seconds=1)
    assert "there: lost: all of …/file" in text
    assert all(column in text for column in COLUMNS)
