"""The auth-service emulator's traps, its client, and the settings resource against it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reconciler.clients.auth_service import AuthServiceSettings, AuthServiceWriter, instant
from reconciler.clients.http import trusted
from reconciler.model.errors import Collision, ConfigurationError, Denied, Missing, Rejected, Unavailable
from reconciler.model.outcome import Status
from reconciler.sandbox.emulators.auth_service.app import create_app
from reconciler.sandbox.emulators.store import Store
from reconciler.settings.giving import Sections
from tests.integration.conftest import VaultCorner
from tests.kinds.project.support.login import LoginWorld, login_world
from tests.support.serve import serve

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SLUG = "acme-widgets"
PUSH = {"accessToken": "a", "refreshToken": "r", "expiresAt": "2026-01-01T08:00:00.000Z"}


@pytest.fixture
def url() -> Iterator[str]:
    with serve(create_app(Store(), token="secret", clock=lambda: NOW)) as address:
        yield address


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": "Bearer secret"}
    with httpx.Client(base_url=url, headers=headers, verify=trusted()) as client:
        yield client


@pytest.fixture
def client(url: str) -> Iterator[AuthServiceWriter]:
    made = AuthServiceWriter.connect(Sections({"authService": {"url": url, "token": "secret"}}, {}))
    yield made
    made.close()


def made(http: httpx.Client, **more: Any) -> httpx.Client:
    assert http.post("/projects", json={"id": SLUG, "displayName": "Widgets", **more}).status_code == 201
    return http


def test_credentials_need_a_project_that_exists(http: httpx.Client) -> None:
    assert http.post(f"/projects/{SLUG}/credentials", json=PUSH).status_code == 404
    assert http.get(f"/projects/{SLUG}/health").status_code == 404
    assert http.put(f"/projects/{SLUG}", json={"displayName": "x"}).status_code == 404


def test_put_changes_only_what_it_is_given(http: httpx.Client) -> None:
    made(http, claudeMd="kept", settingsJson="{}")
    answer = http.put(f"/projects/{SLUG}", json={"displayName": "New", "repoOwner": "dropped"}).json()
    assert answer == http.get(f"/projects/{SLUG}").json()
    assert (answer["displayName"], answer["claudeMd"]) == ("New", "kept")
    assert "repoOwner" not in answer


@pytest.mark.parametrize(
    "body",
    [
        {"id": SLUG},
        {"id": "", "displayName": "x"},
        {"id": SLUG, "displayName": ""},
        {"id": SLUG, "displayName": "x", "settingsJson": {}},
        [],
    ],
)
def test_a_project_that_makes_no_sense_is_refused(http: httpx.Client, body: Any) -> None:
    assert http.post("/projects", json=body).status_code == 400
    assert http.get(f"/projects/{SLUG}").status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"accessToken": None},
        {"expiresAt": 1767225600000},
        {"expiresAt": "2026-01-01T08:00:00+00:00"},
        {"expiresAt": "2026-13-01T08:00:00Z"},
        {"refreshToken": 7},
        {"scopes": "user:inference"},
    ],
)
def test_credentials_that_make_no_sense_are_refused(http: httpx.Client, wrong: dict[str, Any]) -> None:
    made(http)
    assert http.post(f"/projects/{SLUG}/credentials", json={**PUSH, **wrong}).status_code == 400
    assert not http.get(f"/projects/{SLUG}/health").json()["hasValidCredential"]


def test_a_push_sets_the_one_before_aside_and_health_shows_no_token(http: httpx.Client) -> None:
    made(http)
    for access in ("first", "second"):
        answer = http.post(f"/projects/{SLUG}/credentials", json={**PUSH, "accessToken": access})
        assert answer.status_code == 201
    kept = http.get(f"/_emulator/projects/{SLUG}/credentials").json()["credentials"]
    assert ["invalidatedAt" in each for each in kept] == [True, False]
    health = http.get(f"/projects/{SLUG}/health")
    assert "second" not in health.text
    assert health.json() == {
        "projectId": SLUG,
        "hasValidCredential": True,
        "hasRefreshToken": True,
        "expiresAt": PUSH["expiresAt"],
        "expiresInMs": 8 * 3600 * 1000,
    }


def test_the_gateways_token_is_asked_for(url: str) -> None:
    assert httpx.get(f"{url}/projects/{SLUG}").status_code == 401
    wrong = {"Authorization": "Bearer wrong"}
    assert httpx.get(f"{url}/projects/{SLUG}", headers=wrong).status_code == 403


def test_the_client_reads_what_it_wrote(client: AuthServiceWriter) -> None:
    assert client.project(SLUG) is None
    assert client.health(SLUG) is None
    client.create_project(SLUG, display_name="Widgets", settings_json='{"a":1}')
    with pytest.raises(Collision):
        client.create_project(SLUG, display_name="Widgets", settings_json="{}")
    client.update_project(SLUG, display_name="Gadgets", settings_json='{"a":2}')
    found = client.project(SLUG)
    assert found is not None
    assert (found.display_name, found.settings_json) == ("Gadgets", '{"a":2}')
    before = client.health(SLUG)
    assert before is not None
    assert not before.present
    push(client, expires_at=NOW + timedelta(hours=1))
    after = client.health(SLUG)
    assert after is not None
    assert after.present
    assert after.has_valid_credential


def push(client: AuthServiceWriter, *, expires_at: datetime) -> None:
    client.push_credentials(
        SLUG, access_token=SecretStr("canary"), refresh_token=SecretStr("canary"), expires_at=expires_at
    )


def test_errors_name_the_system_and_hold_no_secret(client: AuthServiceWriter, url: str) -> None:
    with pytest.raises(Missing) as missing:
        push(client, expires_at=NOW)
    with pytest.raises(Missing):
        client.update_project(SLUG, display_name="x", settings_json="{}")
    with pytest.raises(Rejected):
        client.create_project(SLUG, display_name="", settings_json="{}")
    stranger = AuthServiceWriter.connect(Sections({"authService": {"url": url, "token": "canary"}}, {}))
    with pytest.raises(Denied) as denied:
        stranger.project(SLUG)
    stranger.close()
    for caught in (missing, denied):
        assert "auth-service" in str(caught.value)
        assert "canary" not in str(caught.value)


def test_no_answer_is_unavailable() -> None:
    nobody = AuthServiceWriter.connect(Sections({"authService": {"url": "http://127.0.0.1:9"}}, {}))
    with pytest.raises(Unavailable):
        push(nobody, expires_at=NOW)
    nobody.close()


@pytest.mark.parametrize("url", ["ftp://x", "auth-service", "http://user:canary@x"])
def test_a_url_that_is_none_is_said_so(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AuthServiceSettings.load({"url": url}, {}).check()
    assert "canary" not in str(caught.value)


def test_instants_are_written_in_the_only_form_that_is_taken() -> None:
    assert instant(NOW + timedelta(microseconds=1999)) == "2026-01-01T00:00:00.001Z"


# The settings resource


@pytest.fixture
def world(vault: VaultCorner) -> Iterator[LoginWorld]:
    with login_world(vault) as running:
        yield running


def entry(world: LoginWorld) -> dict[str, Any]:
    headers = {"Authorization": "Bearer auth-service-token"}
    found = httpx.get(f"{world.service_url}/projects/{SLUG}", headers=headers, verify=trusted()).json()
    return {**found, "settings": json.loads(found["settingsJson"])}


def put(world: LoginWorld, method: str, path: str, **body: Any) -> None:
    headers = {"Authorization": "Bearer auth-service-token"}
    httpx.request(method, f"{world.service_url}{path}", headers=headers, json=body).raise_for_status()


def bundles(world: LoginWorld) -> int:
    answer = httpx.get(f"{world.service_url}/_emulator/projects/{SLUG}/credentials").json()
    return int(answer["bundleRevision"])


def test_settings_follow_the_file_without_touching_what_is_not_ours(world: LoginWorld) -> None:
    world.specs[SLUG] = {"skipAuth": True, "settings": {"cloudflareDomain": "w.example.com"}}
    assert world.run()[SLUG].status is Status.COMPLETED
    assert entry(world)["displayName"] == "widgets"
    assert entry(world)["settings"]["cloudflareDomain"] == "w.example.com"
    world.quiet()
    theirs = {**entry(world)["settings"], "permissions": {"deny": ["x"]}}
    put(world, "PUT", f"/projects/{SLUG}", settingsJson=json.dumps(theirs), claudeMd="theirs")
    world.specs[SLUG] = {"skipAuth": True, "displayName": "W", "settings": {"terminalStreamingRate": 250}}
    world.run()
    found = entry(world)
    assert found["displayName"] == "W"
    assert found["claudeMd"] == "theirs"
    assert found["settings"] == {
        "meshSix": {
            "managedBy": "mesh-six-reconciler",
            "project": "acme-widgets",
            "identity": "4242",
            "repository": "acme/widgets",
            "sets": ["terminalStreamingRate"],
        },
        "permissions": {"deny": ["x"]},
        "terminalStreamingRate": 250,
    }
    world.quiet()


def test_drift_is_mended_by_the_next_audit(world: LoginWorld) -> None:
    world.specs[SLUG] = {"skipAuth": True, "settings": {"terminalStreamingRate": 250}}
    world.run()
    world.run()  # reads what the first pass made; from then on it is remembered
    put(
        world,
        "PUT",
        f"/projects/{SLUG}",
        settingsJson=json.dumps({**entry(world)["settings"], "terminalStreamingRate": 1}),
    )
    world.run()
    assert entry(world)["settings"]["terminalStreamingRate"] == 1
    world.run(later=timedelta(days=2))
    assert entry(world)["settings"]["terminalStreamingRate"] == 250


def test_without_its_status_file_an_entry_is_recognised_and_not_written(world: LoginWorld) -> None:
    world.specs[SLUG] = {"skipAuth": True, "settings": {"terminalStreamingRate": 250}}
    world.run()
    world.statuses.clear()
    before = bundles(world), world.service.wrote
    world.run()
    assert (bundles(world), world.service.wrote) == before
    world.quiet()


def test_a_foreign_entry_survives_and_gets_no_tokens_until_adopted(world: LoginWorld) -> None:
    put(world, "POST", "/projects", id=SLUG, displayName="Theirs", settingsJson='{"mine": 1}')
    report = world.run()[SLUG]
    assert report.status is Status.FAILED
    world.drop(world.seal())
    world.run()
    assert world.pushed() == []
    assert (entry(world)["displayName"], entry(world)["settings"]) == ("Theirs", {"mine": 1})
    held = world.in_vault()
    assert held is not None
    world.specs[SLUG] = {"adopt": True}
    assert world.run()[SLUG].status is Status.COMPLETED
    assert entry(world)["settings"]["mine"] == 1
    assert world.pushed() == ["canary-access"]
    world.quiet()


@pytest.mark.parametrize("status", [301, 302, 307])
@pytest.mark.parametrize("place", ["/login", "https://login.example/sso?next=x", "http://[", ""])
def test_a_redirect_is_neither_followed_nor_taken_for_done(status: int, place: str) -> None:
    asked: list[str] = []

    def redirect(request: Request) -> Response:
        asked.append(request.url.path)
        return Response(status_code=status, headers={"location": place} if place else {})

    app = Starlette(routes=[Route("/{path:path}", redirect, methods=["GET", "POST", "PUT"])])
    with serve(app) as address:
        client = AuthServiceWriter.connect(Sections({"authService": {"url": address, "token": "secret"}}, {}))
        with pytest.raises(Rejected, match=f"answered {status}, which leads to") as refused:
            client.create_project(SLUG, display_name="Widgets", settings_json="{}")
        assert "address" in refused.value.remedy
        with pytest.raises(Rejected, match=f"answered {status}"):
            client.project(SLUG)
        client.close()
    assert len(asked) == 2
