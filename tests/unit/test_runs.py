"""Runs as the files in git give them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from reconciler.faces.http.onboarding import View
from reconciler.faces.http.runs import OnboardingRun, Proposed, runs_of

from reconciler.faces.http.listing import Pages
from reconciler.kinds import KINDS
from reconciler.kinds.project.run_row import Recorded
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.model.errors import InvalidFile
from reconciler.model.item import Item, Source
from reconciler.model.json import Object
from reconciler.model.loaded import Loaded
from reconciler.model.outcome import Status
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


def run(**loaded: Any) -> OnboardingRun:
    given = {"commit": "c", "projects": (project(),), "statuses": {}} | loaded
    return runs_of(Loaded(**given), KINDS, {}, {})["acme-gears"]


def test_a_status_file_gives_the_columns_of_the_table() -> None:
    told = run(statuses={"acme-gears": WAITING})
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
    assert run().status is Status.PENDING


def test_one_that_failed_says_why() -> None:
    told = run(statuses={"acme-gears": FAILED})
    assert (told.status, told.error_message) == (Status.FAILED, "it is archived")


def test_one_whose_status_file_is_broken_has_failed_and_says_what_to_mend() -> None:
    error = InvalidFile("status/acme-gears.yaml", "is not YAML", line=3)
    told = run(unreadable_statuses={"acme-gears": error})
    assert told.status is Status.FAILED
    assert "status/acme-gears.yaml:3" in str(told.error_message)


@pytest.mark.parametrize("status", ["offboarding", "suspended"])
def test_one_without_a_file_is_told_as_it_was_written(status: str) -> None:
    told = run(projects=(), statuses={"acme-gears": {**WAITING, "status": status}})
    assert (told.status, told.repo_owner, told.repo_name) == (Status(status), "acme", "gears")


def test_a_status_file_of_an_unknown_kind_is_no_run() -> None:
    statuses: dict[str, Object] = {"acme-gears": {**WAITING, "kind": "tenant"}}
    assert runs_of(Loaded("c", (), statuses), KINDS, {}, {}) == {}


def test_times_come_from_the_database() -> None:
    recorded = Recorded(NOW, NOW + timedelta(hours=1))
    told = runs_of(Loaded("c", (project(),), {}), KINDS, {"acme-gears": recorded}, {})["acme-gears"]
    assert (told.created_at, told.updated_at) == (recorded.created_at, recorded.updated_at)


def test_one_that_a_pass_is_changing_is_running_and_asks_nothing_of_anybody() -> None:
    recorded = {"acme-gears": Recorded(NOW, NOW, running=True)}
    told = runs_of(Loaded("c", (project(),), {"acme-gears": WAITING}), KINDS, recorded, {})["acme-gears"]
    assert (told.status, told.next) == (Status.RUNNING, None)


@pytest.mark.parametrize(("state", "status"), [("open", Status.PENDING), ("closed", Status.FAILED)])
def test_a_pull_request_is_a_run_until_it_is_merged(state: str, status: Status) -> None:
    asked = {"acme-gears": Proposed(project(), "https://git.example/pull/1", state)}
    told = runs_of(Loaded("c", (), {}), KINDS, {}, asked)["acme-gears"]
    assert (told.status, told.pull_request) == (status, "https://git.example/pull/1")
    assert "https://git.example/pull/1" in str(told.next)
    merged = runs_of(Loaded("c", (project(),), {}), KINDS, {}, asked)["acme-gears"]
    assert merged.pull_request is None


def test_pages_follow_one_another_and_a_new_view_makes_new_ones() -> None:
    pages = Pages()
    names = ["bolts", "cogs", "gears"]
    view = View(runs=runs_of(Loaded("c", tuple(map(project, names)), {}), KINDS, {}, {}))
    first = pages.page(view, status=None, after="", limit=2)
    assert pages.page(view, status=None, after="", limit=2) is first
    assert b'"next":"acme-cogs"' in first
    assert (
        b'"next":null' in pages.page(view, status=None, after="acme-cogs", limit=2).replace(b" ", b"")[-30:]
    )
    fewer = View(runs=runs_of(Loaded("d", (project("bolts"),), {}), KINDS, {}, {}))
    assert b'"total":1' in pages.page(fewer, status=None, after="", limit=2)
