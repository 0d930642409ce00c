"""Every fault of the sandbox, at every system and at every write.

The project concerned says so, the others finish, nothing is deleted, and the next pass converges.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.engine.result import PassResult
from reconciler.model.outcome import Condition, ItemReport
from reconciler.sandbox.faults import Fault, Kind
from reconciler.sandbox.supervisor import Sandbox
from reconciler.sandbox.systems import systems
from tests.kinds.project.evidence.item import name_of, owner_of, slug_of
from tests.kinds.project.support.inventory import Inventory, inventory
from tests.support.doomed import WRITES, subject
from tests.support.reconciling import cycle_of, merge, settle_at_once, without_kustomize

KINDS: tuple[Kind, ...] = (
    "timeout-before", "timeout-after", "reset", "reset-after", "500", "500-after", "502", "502-after", "429",
    "malformed", "malformed-after", "slow", "refuse",
)  # fmt: skip
"""What a system does that is away; tests/prove/fault.py has false answers, at each single call."""
SYSTEMS = sorted({system.name for system in systems()} - {"oauth-issuer"})
"""A pass asks the issuer only for a login by device flow; that has a test of its own."""
HOLD = 0.02
"""Seconds; a client sees a connection that is dropped, and not its own timeout, which others test."""
ALWAYS = 10_000
UNDISTURBED = slug_of("undisturbed")
OLD = slug_of("settledlongago")
WRONG = {Condition.ERROR, Condition.UNKNOWN}
BEFORE: tuple[Kind, ...] = tuple(kind for kind in KINDS if not kind.endswith("-after") and kind != "refuse")
AFTER: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind.endswith("-after"))


class World:
    """A settled project and new ones; each test's new projects end up like the undisturbed one."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder
        self._new: list[str] = []
        self._numbers = itertools.count()
        self.merge(UNDISTURBED, OLD)
        mark = sandbox.mark()
        assert cycle_of(sandbox).run(only=[OLD]).exit_code == 0
        self.writes = [
            each for each in sandbox.requests(mark) if re.search(WRITES, subject(each)) and not _schema(each)
        ]
        assert settle_at_once(sandbox).exit_code == 0
        self.model = self.of(UNDISTURBED)

    def merge(self, *slugs: str) -> None:
        files = {slug: f"repoOwner: {owner_of(name_of(slug))}\nrepoName: {name_of(slug)}\n" for slug in slugs}
        merge(self.sandbox, self.folder / slugs[0], **files)

    def forget(self) -> None:
        """Leave the new projects of a test that failed to themselves."""
        self._new.clear()

    def new_project(self) -> str:
        slug = slug_of(f"gear{next(self._numbers):03}")
        self._new.append(slug)
        self.merge(slug)
        return slug

    def of(self, slug: str) -> Inventory:
        return inventory(self.sandbox, name_of(slug))

    def strike(self, fault: Fault, *slugs: str, **environment: str) -> PassResult:
        """Run a pass over these projects while the fault is in force."""
        self.sandbox.inject(fault)
        try:
            return cycle_of(self.sandbox, **environment).run(only=slugs)
        finally:
            self.sandbox.clear_faults()

    def converges(self) -> None:
        """Let passes settle the new projects, which are then like the undisturbed one."""
        result = settle_at_once(self.sandbox, only=self._new)
        assert list(said(result)) == []
        assert {each.status for each in result.reports} == {"waiting_auth"}
        while self._new:
            slug = self._new.pop()
            assert self.of(slug) == self.model, slug


def _schema(request: Any) -> bool:
    return request.method in {"CREATE", "ALTER"}


def said(result: PassResult) -> list[str]:
    return [
        *result.problems,
        *(
            f"{each.slug}/{outcome.resource}: {outcome.reason}"
            for each in result.reports
            for outcome in each.outcomes
            if outcome.condition in WRONG
        ),
    ]


def is_explained(result: PassResult) -> bool:
    """Whether something is said of the fault, and nothing of a defect."""
    return (
        result.exit_code == 1
        and bool(said(result))
        and not any("unexpected" in each for each in said(result))
    )


@pytest.fixture(scope="module")
def whole_world(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    sandbox.clear()
    with without_kustomize(sandbox):
        yield World(sandbox, tmp_path_factory.mktemp("projects"))


@pytest.fixture
def world(whole_world: World) -> World:
    whole_world.forget()
    return whole_world


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_that_fails_throughout_a_pass(
    world: World, system: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mark, slug = world.sandbox.mark(), world.new_project()
    # `slow` comes last: it is the only one with which everything is done.
    for kind in sorted(KINDS, key="slow".__eq__):
        result = world.strike(Fault(system, kind, times=ALWAYS, seconds=HOLD), slug, OLD)
        if kind == "slow":
            assert result.exit_code == 0, said(result)
        else:
            assert is_explained(result), (kind, said(result))
    assert _without_run(world.of(OLD)) == _without_run(world.model)
    assert not [each for each in world.sandbox.requests(mark) if each.method == "DELETE"]
    assert "Traceback" not in "".join(capsys.readouterr())
    world.converges()


def _without_run(found: Inventory) -> Inventory:
    """Leave out the run's row and the status, which may say what is wrong."""
    return {**found, "run": None, "status": None}


@pytest.mark.parametrize("kinds", [BEFORE, AFTER], ids=["before", "after"])
def test_a_write_that_fails(
    world: World, kinds: tuple[Kind, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    endless = itertools.cycle(kinds)
    for number, write in enumerate(world.writes):
        kind, slug = next(endless), world.new_project()
        result = world.strike(Fault("*", kind, WRITES, skip=number, seconds=HOLD), slug)
        # A write that is safe to repeat is repeated, and nobody need hear of it.
        assert is_explained(result) or result.exit_code == 0, (kind, write, said(result))
    assert "Traceback" not in "".join(capsys.readouterr())
    world.converges()


@pytest.mark.parametrize("where", ["/repos/.*/hooks$", "contents", "webhooks/", "team/new", "POST /projects"])
def test_other_projects_finish(world: World, where: str) -> None:
    struck, other = world.new_project(), world.new_project()
    match = f"(POST|PUT) .*{where}" if " " not in where else where
    result = world.strike(Fault("*", "500", match, times=4), struck, other)
    reports: dict[str, ItemReport] = {each.slug: each for each in result.reports}
    assert result.exit_code == 1
    assert any(outcome.condition in WRONG for outcome in reports[struck].outcomes)
    wrong = [outcome for outcome in reports[other].outcomes if outcome.condition in WRONG]
    assert len(wrong) <= 1, wrong
    world.converges()


def test_an_issuer_that_fails(world: World) -> None:
    slug = world.new_project()
    for kind in sorted(KINDS, key="slow".__eq__):
        fault = Fault("oauth-issuer", kind, times=ALWAYS, seconds=HOLD)
        result = world.strike(fault, slug, OAUTH_FLOW="device")
        if kind == "slow":
            assert result.exit_code == 0
        else:
            assert is_explained(result), said(result)
            wrong = {o.resource for each in result.reports for o in each.outcomes if o.condition in WRONG}
            assert wrong == {"oauth"}, kind
    again = settle_at_once(world.sandbox, only=[slug], OAUTH_FLOW="device")
    assert [each.status for each in again.reports] == ["waiting_auth"]
