"""The auth-service emulator towards pods: who may ask, which bundle they get, and what is in it."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from reconciler.sandbox.emulators.auth_service.app import create_app
from reconciler.sandbox.emulators.store import Store
from tests.support.serve import serve

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SLUG = "acme-widgets"
PUSH = {
    "accessToken": "a",
    "refreshToken": "r",
    "expiresAt": "2026-01-01T08:00:00.000Z",
    "scopes": ["user:inference"],
    "subscriptionType": "max",
}
GATEWAY = {"Authorization": "Bearer secret"}


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with (
        serve(create_app(Store(), token="secret", clock=lambda: NOW)) as url,
        httpx.Client(base_url=url) as client,
    ):
        made = {"id": SLUG, "displayName": "Widgets", "settingsJson": '{"a": 1}'}
        assert client.post("/projects", json=made, headers=GATEWAY).status_code == 201
        yield client


def push(http: httpx.Client, **other: Any) -> None:
    answer = http.post(f"/projects/{SLUG}/credentials", json={**PUSH, **other}, headers=GATEWAY)
    assert answer.status_code == 201


def pod(http: httpx.Client, **claims: Any) -> dict[str, str]:
    token = http.post("/_emulator/pod-tokens", json={"project": SLUG, **claims}).text
    return {"Authorization": f"Bearer {token}"}


def provision(http: httpx.Client, current: str | None = None, slug: str = SLUG) -> dict[str, Any]:
    body = {"podName": "env-acme-widgets-0", **({"currentBundleId": current} if current else {})}
    headers = pod(http, project=slug)
    answer = http.post(f"/projects/{slug}/provision", json=body, headers=headers)
    assert answer.status_code == 200
    return dict(answer.json())


def files(http: httpx.Client, bundle: str) -> dict[str, str]:
    answer = http.get(f"/projects/{SLUG}/provision/{bundle}", headers=pod(http))
    assert answer.headers["content-type"] == "application/octet-stream"
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(answer.content))) as archive:
        members = archive.getmembers()
        assert {member.mode for member in members} == {0o644}
        return {member.name: archive.extractfile(member).read().decode() for member in members}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"project": "acme-gears"}, 403),
        ({"account": "default"}, 403),
        ({"audience": "https://kubernetes.default.svc"}, 401),
        ({"seconds": -60}, 401),
    ],
)
def test_only_the_projects_own_pod_is_let_in(http: httpx.Client, claims: Any, status: int) -> None:
    push(http)
    bundle = provision(http)["bundleId"]
    strangers = [{"Authorization": "Bearer no.such.token"}, GATEWAY, {}]
    for headers, expected in [(pod(http, **claims), status), *((each, 401) for each in strangers)]:
        asked = http.post(f"/projects/{SLUG}/provision", json={"podName": "x"}, headers=headers)
        fetched = http.get(f"/projects/{SLUG}/provision/{bundle}", headers=headers)
        assert (asked.status_code, fetched.status_code) == (expected, expected)


def test_a_pods_token_opens_nothing_but_bundles(http: httpx.Client) -> None:
    headers = pod(http)
    assert http.get(f"/projects/{SLUG}", headers=headers).status_code == 403
    assert http.post(f"/projects/{SLUG}/credentials", json=PUSH, headers=headers).status_code == 403


def test_nothing_to_hand_out_is_no_error(http: httpx.Client) -> None:
    assert provision(http) == {"status": "no_credentials", "message": "No valid credentials available"}
    assert provision(http, slug="acme-gears")["message"] == "Project 'acme-gears' not found"
    push(http, expiresAt="2025-12-31T23:59:59Z")
    assert provision(http)["status"] == "no_credentials"


def test_a_bundle_is_current_until_something_in_it_changes(http: httpx.Client) -> None:
    push(http)
    first = provision(http)
    assert first["status"] == "provisioned"
    assert provision(http, first["bundleId"]) == {**first, "status": "current"}
    health = http.get(f"/projects/{SLUG}/health", headers=GATEWAY).json()
    assert health["activeBundleId"] == first["bundleId"]
    http.put(f"/projects/{SLUG}", json={"displayName": "x"}, headers=GATEWAY)
    assert provision(http, first["bundleId"])["status"] == "current"
    http.put(f"/projects/{SLUG}", json={"claudeMd": "x"}, headers=GATEWAY)
    second = provision(http, first["bundleId"])
    assert second["status"] == "provisioned"
    push(http)
    third = provision(http, second["bundleId"])
    assert third["status"] == "provisioned"
    # Who names no bundle sets aside what the others have.
    fourth = provision(http)
    assert provision(http, third["bundleId"])["bundleId"] not in {third["bundleId"], fourth["bundleId"]}
    assert files(http, first["bundleId"])


def test_a_bundle_holds_the_files_of_the_command_line(http: httpx.Client) -> None:
    push(http)
    found = files(http, provision(http)["bundleId"])
    login = json.loads(found[".claude/.credentials.json"])["claudeAiOauth"]
    assert login == {
        "accessToken": "a",
        "refreshToken": "r",
        "expiresAt": 1767254400000,
        "billingType": "stripe_subscription",
        "displayName": "mesh-six",
    }
    assert json.loads(found[".config/claude/config.json"]) == {"oauthToken": "a"}
    assert found[".claude/settings.json"] == '{"a": 1}'
    assert json.loads(found[".claude.json"])["hasCompletedOnboarding"] is True


@pytest.mark.parametrize("body", [{}, {"podName": 7}, {"podName": "x", "currentBundleId": 7}, []])
def test_a_request_that_makes_no_sense_is_refused(http: httpx.Client, body: Any) -> None:
    answer = http.post(f"/projects/{SLUG}/provision", json=body, headers=pod(http))
    assert (answer.status_code, answer.json()["error"]) == (400, "Validation error")
    answer = http.post(f"/projects/{SLUG}/provision", content=b"{", headers=pod(http))
    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid JSON")


def test_a_bundle_of_another_project_is_not_found(http: httpx.Client) -> None:
    push(http)
    bundle = provision(http)["bundleId"]
    other = pod(http, project="acme-gears")
    assert http.get(f"/projects/acme-gears/provision/{bundle}", headers=other).status_code == 404
    assert http.get(f"/projects/{SLUG}/provision/none", headers=pod(http)).status_code == 404
