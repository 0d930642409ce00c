"""Which deliveries of GitHub's begin a pass."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr

from reconciler.clients.github.deliveries import signature_of
from reconciler.engine.cycle import new_pass_id
from reconciler.engine.trailers import COMMIT_TRAILER
from reconciler.faces.http.pushes import OLDEST, REMEMBERED, Delivery, Pushes, Verdict

NOW = 1_800_000_000
SECRET = SecretStr("the webhook's secret")
OURS = f"Status: acme-widgets\n\n{COMMIT_TRAILER}: {new_pass_id()}\n"
THEIRS = "Add gears"


def judge(pushes: Pushes, *messages: str, number: str = "1", event: str = "push", **changes: Any) -> Verdict:
    payload = {
        "ref": "refs/heads/main",
        "commits": [{"message": message} for message in messages],
        "after": number,
        "repository": {"pushed_at": NOW},
        **changes,
    }
    body = json.dumps(payload).encode()
    return pushes.judge(Delivery(body, event, signature_of(body, pushes.secret())))


@pytest.fixture
def pushes() -> Pushes:
    return Pushes(lambda: SECRET, "main", clock=lambda: NOW + 5)


def test_a_body_is_signed_as_github_signs_it() -> None:
    """The example of GitHub's page "Validating webhook deliveries"."""
    pushes = Pushes(lambda: SecretStr("It's a Secret to Everybody"), None)
    expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert signature_of(b"Hello, World!", pushes.secret()) == expected


def test_a_push_of_somebody_begins_a_pass(pushes: Pushes) -> None:
    assert judge(pushes, THEIRS) is Verdict.BEGINS


def test_our_own_commits_do_not(pushes: Pushes) -> None:
    assert judge(pushes, OURS, OURS) is Verdict.IGNORED


def test_one_of_somebody_among_ours_does(pushes: Pushes) -> None:
    assert judge(pushes, OURS, THEIRS, OURS) is Verdict.BEGINS


@pytest.mark.parametrize(
    "message",
    [f"Mentions {COMMIT_TRAILER}: abc in a sentence", f"{COMMIT_TRAILER}: abc\n\nand then goes on", ""],
)
def test_only_the_trailer_makes_a_commit_ours(pushes: Pushes, message: str) -> None:
    assert judge(pushes, message) is Verdict.BEGINS


def test_a_push_without_its_commits_might_be_anybodys(pushes: Pushes) -> None:
    assert judge(pushes) is Verdict.BEGINS


def test_another_branch_is_no_matter(pushes: Pushes) -> None:
    assert judge(pushes, THEIRS, ref="refs/heads/feature") is Verdict.IGNORED
    assert judge(Pushes(lambda: SECRET, None, lambda: NOW), THEIRS, ref="refs/heads/trunk") is Verdict.BEGINS


@pytest.mark.parametrize("event", ["ping", "pull_request", ""])
def test_other_events_are_no_matter(pushes: Pushes, event: str) -> None:
    assert judge(pushes, event=event) is Verdict.IGNORED


def test_the_same_delivery_counts_once(pushes: Pushes) -> None:
    assert judge(pushes, THEIRS) is Verdict.BEGINS
    assert judge(pushes, THEIRS) is Verdict.REPEATED
    assert judge(pushes, THEIRS, number="2") is Verdict.BEGINS


def test_what_was_pushed_long_ago_is_refused(pushes: Pushes) -> None:
    assert judge(pushes, THEIRS, repository={"pushed_at": NOW - OLDEST}) is Verdict.OLD


def test_an_unsigned_delivery_is_not_even_remembered(pushes: Pushes) -> None:
    assert pushes.judge(Delivery(b"{}", "push", "sha256=é")) is Verdict.UNSIGNED
    assert judge(pushes, THEIRS, number="1") is Verdict.BEGINS


def test_only_so_many_are_remembered(pushes: Pushes) -> None:
    for number in range(REMEMBERED + 1):
        judge(pushes, THEIRS, event="ping", number=f"n{number}")
    assert judge(pushes, THEIRS, number="n0") is Verdict.BEGINS
    assert judge(pushes, THEIRS, number=f"n{REMEMBERED}") is Verdict.REPEATED
