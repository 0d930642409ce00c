"""Runs as the files in git give them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from reconciler.faces.catalogue import View
from reconciler.faces.http.listing import Pages
from reconciler.faces.item_view import Proposed, reports_of
from reconciler.kinds import KINDS
from reconciler.kinds.project.face.onboarding_run import OnboardingRun, runs_of
from reconciler.kinds.project.face.routes import _page
from reconciler.kinds.project.run_row import Recorded
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.model.errors import InvalidFile
from reconciler.model.item import Item, ItemId, Source
from reconciler.model.json import Object
from reconciler.model.loaded import Loaded
from reconciler.model.outcome import ItemReport, Status
from tests.support.toy import NOW

WAITING: Object = {
    "status": "waiting_auth",
    "kind": "project",
    "phase": "auth_settings",
    "next": "Log in.",
    "resources": {
        "validate-repo": {"state": "ok"},
        "webhook": {"state": "skipped", "reason": "webhook is not configured"},
        "manifests": {"state": "ok"},
        "oauth": {"state": "waiting", "awaits": "waiting_auth"},
        "credentials": {"state": "blocked"},
        "from-another-version": {"state": "ok"},
        "sync": "nonsense",
    },
    "repository": {"owner": "acme", "name": "gears", "id": 7},
    "oauth": {"state": "pending", "verificationUri": "https://login.example/device", "userCode": "BCDF-GHJK"},
}
FAILED: Object = {
    "status": "failed",
    "kind": "project",
    "next": "validate-repo: it is archived",
    "resources": {"validate-repo": {"state": "error", "reason": "it is archived"}},
}


def project(name: str = "gears") -> Item[Any]:
    spec = ProjectSpec.model_validate({"repoOwner": "acme", "repoName": name})
    return Item(f"acme-{name}", "project", spec, Source(f"projects/{name}.yaml", "0" * 40))


GEARS = ItemId("project", "acme-gears")


def runs(
    loaded: Loaded,
    recorded: Mapping[str, Recorded] | None = None,
    proposed: Mapping[ItemId, Proposed] | None = None,
) -> dict[str, OnboardingRun]:
    view = View(loaded, reports_of(loaded, KINDS, proposed or {}), proposed or {})
    return runs_of(view, recorded or {})


def run(**loaded: Any) -> OnboardingRun:
    given = {"commit": "c", "items": (project(),), "statuses": {}} | loaded
    return runs(Loaded(**given))["acme-gears"]


def test_a_status_file_gives_the_columns_of_the_table() -> None:
    told = run(statuses={GEARS: WAITING})
    assert told == OnboardingRun(
        id="acme-gears",
        repo_owner="acme",
        repo_name="gears",
        status="waiting_auth",
        current_phase="auth_settings",
        current_activity="oauth",
        completed_activities=("validate-repo", "webhook", "manifests"),
        oauth_device_url="https://login.example/device",
        oauth_user_code="BCDF-GHJK",
        next="Log in.",
    )


def test_one_that_nobody_looked_at_is_pending() -> None:
    assert run().status == Status.PENDING


def test_one_that_failed_says_why() -> None:
    told = run(statuses={GEARS: FAILED})
    assert (told.status, told.error_message) == (Status.FAILED, "it is archived")


def test_one_whose_status_file_is_broken_has_failed_and_says_what_to_mend() -> None:
    error = InvalidFile("status/acme-gears.yaml", "is not YAML", line=3)
    told = run(unreadable_statuses={GEARS: error})
    assert told.status == Status.FAILED
    assert "status/acme-gears.yaml:3" in str(told.error_message)


@pytest.mark.parametrize("status", ["offboarding", "suspended"])
def test_one_without_a_file_is_told_as_it_was_written(status: str) -> None:
    told = run(items=(), statuses={GEARS: {**WAITING, "status": status}})
    assert (told.status, told.repo_owner, told.repo_name) == (Status(status), "acme", "gears")


def test_another_kind_is_no_run() -> None:
    lamp = ItemId("lamp", "acme-gears")
    assert runs_of(View(reports={lamp: ItemReport(lamp, "completed", "", "", ())}), {}) == {}


def test_times_come_from_the_database() -> None:
    recorded = Recorded(NOW, NOW + timedelta(hours=1))
    told = runs(Loaded("c", (project(),), {}), {"acme-gears": recorded})["acme-gears"]
    assert (told.created_at, told.updated_at) == (recorded.created_at, recorded.updated_at)


def test_one_that_a_pass_is_changing_is_running_and_asks_nothing_of_anybody() -> None:
    recorded = {"acme-gears": Recorded(NOW, NOW, running=True)}
    told = runs(Loaded("c", (project(),), {GEARS: WAITING}), recorded)["acme-gears"]
    assert (told.status, told.next) == (Status.RUNNING, None)


@pytest.mark.parametrize(("state", "status"), [("open", Status.PENDING), ("closed", Status.FAILED)])
def test_a_pull_request_is_a_run_until_it_is_merged(state: str, status: Status) -> None:
    asked = {GEARS: Proposed(project(), "https://git.example/pull/1", state)}
    told = runs(Loaded("c", (), {}), proposed=asked)["acme-gears"]
    assert (told.status, told.pull_request) == (status, "https://git.example/pull/1")
    assert "https://git.example/pull/1" in str(told.next)
    merged = runs(Loaded("c", (project(),), {}), proposed=asked)["acme-gears"]
    assert merged.pull_request is None


def test_pages_follow_one_another() -> None:
    told = runs(Loaded("c", tuple(map(project, ["bolts", "cogs", "gears"])), {}))
    assert b'"next":"acme-cogs"' in _page(told, None, "", 2)
    last = _page(told, None, "acme-cogs", 2)
    assert b'"next":null' in last.replace(b" ", b"")[-30:]
    assert b'"total":3' in last


def test_a_page_is_made_once_for_each_view() -> None:
    pages, view = Pages(), object()
    first = pages.page(view, "all", lambda: b"one")
    assert pages.page(view, "all", lambda: b"two") is first
    assert pages.page(object(), "all", lambda: b"two") == b"two"
