"""Whose a bearer token is, and until when."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from click.testing import CliRunner

from reconciler.faces.access import Access, fingerprint, new_token
from reconciler.faces.cli.main import reconcile
from reconciler.model.errors import UsageError
from reconciler.model.yaml_read import load_yaml
from reconciler.settings.program import ApiToken, Scope, ServeSettings

ALICE, BOB = new_token(), new_token()
TOKENS = (
    ApiToken(name="alice", scopes=(Scope.READ, Scope.WRITE), sha256=fingerprint(ALICE)),
    ApiToken(name="bob", scopes=(Scope.READ,), sha256=fingerprint(BOB), expires=date(2026, 3, 1)),
)


def at(year: int, month: int, day: int, hour: int = 12) -> Access:
    return Access(TOKENS, clock=lambda: datetime(year, month, day, hour, tzinfo=UTC))


def test_a_caller_is_known_by_the_token() -> None:
    caller = at(2026, 1, 1).caller(ALICE.get_secret_value())
    assert caller is not None
    assert (caller.name, caller.scopes) == ("alice", frozenset({Scope.READ, Scope.WRITE}))


def test_a_token_is_good_through_its_last_day() -> None:
    assert at(2026, 3, 1, 23).caller(BOB.get_secret_value()) is not None
    assert at(2026, 3, 2, 0).caller(BOB.get_secret_value()) is None


@pytest.mark.parametrize(
    "given",
    ["", "x", TOKENS[0].sha256, ALICE.get_secret_value().lower(), "\ud800", "é" * 9],
    ids=["nothing", "short", "a hash", "in lower case", "a surrogate", "not ASCII"],
)
def test_nothing_else_is_a_token(given: str) -> None:
    assert at(2026, 1, 1).caller(given) is None


def test_the_command_prints_a_token_and_the_entry_that_lets_it_in() -> None:
    words = ["token", "ci", "--scope", "read", "--scope", "submit-tokens", "--expires", "2099-01-31"]
    done = CliRunner().invoke(reconcile, words)
    assert done.exit_code == 0
    token = done.stdout.strip()
    entry = next(line for line in done.stderr.splitlines() if line.startswith("  - "))
    values = load_yaml("x", f"tokens:\n{entry}\n".encode()).values
    settings = ServeSettings.load(values, {})
    caller = Access(settings.tokens, clock=lambda: datetime(2026, 1, 1, tzinfo=UTC)).caller(token)
    assert caller is not None
    assert (caller.name, caller.scopes) == ("ci", frozenset({Scope.READ, Scope.SUBMIT_TOKENS}))
    assert token not in done.stderr


def test_a_name_that_is_none_is_refused_before_a_token_is_made() -> None:
    done = CliRunner().invoke(reconcile, ["token", "CI server"])
    assert done.exit_code != 0
    assert done.stdout == ""


def test_a_token_that_is_past_already_is_not_made() -> None:
    done = CliRunner().invoke(reconcile, ["token", "ci", "--expires", "2020-01-01"])
    assert isinstance(done.exception, UsageError)
    assert done.stdout == ""
