"""What a pass shows when not all is well, off a terminal."""

from __future__ import annotations

import pytest

from reconciler.engine.kind import Kinds
from reconciler.faces.cli import display
from reconciler.faces.cli.console import console
from reconciler.faces.cli.display import Program
from reconciler.faces.cli.progress import brief
from reconciler.model.item import ItemId
from reconciler.model.outcome import Condition, ItemReport, Outcome, Status
from tests.kinds.lamp.kind import LAMP
from tests.kinds.lamp.resources import BULB

KINDS = Kinds((LAMP,))
PROGRAM = Program(".venv/bin/reconcile", " --sandbox")


def outcome(resource: str, condition: Condition, reason: str = "", **more: object) -> Outcome:
    return Outcome(resource, "initialization", condition, reason=reason, **more)  # type: ignore[arg-type]


def report(slug: str, status: str, *outcomes: Outcome, todo: str = "") -> ItemReport:
    return ItemReport(ItemId("lamp", slug), status, "initialization", todo, outcomes)


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_what_many_cannot_read_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    unread = outcome("webhook-secret", Condition.UNKNOWN, "Vault is down", remedy="wait")
    display.troubles(console(), [report(f"p{number}", Status.COMPLETED, unread) for number in range(9)])
    first, second = shown(capsys)
    assert first.startswith("unknown: p0/webhook-secret, p1/webhook-secret, p2/webhook-secret and 6 more")
    assert first.endswith("Vault is down")
    assert second.strip() == "→ wait"


def test_an_error_names_project_resource_and_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    broken = outcome("webhook", Condition.ERROR, "conflict: not ours", remedy="adopt: true")
    display.troubles(console(), [report("acme-widgets", Status.FAILED, broken)])
    assert shown(capsys) == ["error: acme-widgets/webhook: conflict: not ours", "       → adopt: true"]


def test_only_what_nobody_set_up_is_told_as_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    own = outcome("oauth", Condition.SKIPPED, "skipAuth is set")
    follows = outcome("credentials", Condition.SKIPPED, "needs oauth, which is skipped")
    off = outcome("sync", Condition.SKIPPED, "Argo CD is not configured", unconfigured=True)
    display.unconfigured(console(), [report("a", Status.COMPLETED, own, follows, off)] * 2)
    assert shown(capsys) == ["skipped: sync: Argo CD is not configured"]


def test_status_words_are_literal_and_lines_whole(capsys: pytest.CaptureFixture[str]) -> None:
    reports = [report(f"project-{status}", status, todo="do this " * 40) for status in Status]
    display.print_rows(console(), display.rows_of(reports, PROGRAM), KINDS)
    lines = shown(capsys)
    assert [line.split()[2] for line in lines] == sorted(map(str, Status))


def test_commands_are_shown_as_they_are_typed(capsys: pytest.CaptureFixture[str]) -> None:
    todo = "Hand over tokens with `reconcile seal acme-widgets` (docs/sealing.md)."
    waiting = outcome("bulb", Condition.WAITING, awaits=BULB, todo=todo)
    reports = [report("acme-widgets", "waiting_bulb", waiting, todo=todo)]
    (row,) = display.rows_of(reports, PROGRAM)
    assert "`.venv/bin/reconcile seal acme-widgets --sandbox < secret.json`" in row.todo
    display.next_commands(console(), reports, KINDS, PROGRAM, sandbox=False)
    lines = shown(capsys)
    assert "  .venv/bin/reconcile seal acme-widgets --sandbox < secret.json" in lines
    assert not any("made-up" in line for line in lines)


def test_a_device_login_gets_no_command_to_seal(capsys: pytest.CaptureFixture[str]) -> None:
    reports = [report("a", "waiting_bulb", todo="Open https://x and type the code B to log in.")]
    display.next_commands(console(), reports, KINDS, PROGRAM, sandbox=True)
    assert shown(capsys) == []


def test_a_completed_project_that_was_not_read_says_so() -> None:
    unread = outcome("webhook-secret", Condition.UNKNOWN, "Vault is down")
    fine = outcome("registry", Condition.OK)
    (row,) = display.rows_of([report("a", Status.COMPLETED, unread, fine)], PROGRAM)
    assert row.status == "completed"
    assert "1 of 2 resources could not be read" in row.todo


def test_many_that_are_awaited_are_told_in_short() -> None:
    places = [*(f"project/p{number}/sync" for number in range(1000)), "project/x/pod-health"]
    assert brief(places) == "sync of p0, p1, p2 and 997 more, pod-health of x"
