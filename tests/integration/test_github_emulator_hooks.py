"""Webhooks, whose secret never comes out, and deploy keys."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.github_emulator import Emulated, wrote
from tests.support.serve import serve

HOOKS = "/repos/acme/widgets/hooks"
KEYS = "/repos/acme/widgets/keys"
CONFIG = {
    "url": "https://hooks.example/receive",
    "content_type": "json",
    "secret": "canary",
    "insecure_ssl": "0",
}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGd5vVbNlCQ8kFb5Y3Yl0k2m3n4o5p6q7r8s9t0u1v2w"


@pytest.fixture
def github() -> Emulated:
    one = Emulated()
    one.repository()
    return one


def create(github: Emulated, **more: object) -> httpx.Response:
    body = {"name": "web", "active": True, "events": ["push", "issues"], "config": CONFIG, **more}
    return github.http.post(HOOKS, json=body)


def stored(github: Emulated) -> dict[str, Any]:
    [hook] = github.seam("hooks/acme/widgets", None, method="GET")
    found: dict[str, Any] = hook
    return found


def test_a_secret_goes_in_and_never_comes_out(github: Emulated) -> None:
    created = create(github)
    assert (created.status_code, wrote(created)) == (201, True)
    for answer in (created, github.http.get(HOOKS), github.http.get(f"{HOOKS}/{created.json()['id']}")):
        assert "canary" not in answer.text
        assert '"secret":"********"' in answer.text
    assert stored(github)["config"]["secret"] == "canary"


def test_content_type_is_form_when_nobody_says_so(github: Emulated) -> None:
    made = create(github, config={"url": "https://hooks.example/"}).json()
    assert made["config"] == {"url": "https://hooks.example/", "content_type": "form", "insecure_ssl": "0"}


def test_the_same_receiver_of_a_common_event_is_refused(github: Emulated) -> None:
    create(github)
    refused = create(github, events=["push"], config={**CONFIG, "secret": "another"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0] == {
        "resource": "Hook",
        "code": "custom",
        "message": "Hook already exists on this repository",
    }
    assert create(github, events=["release"]).status_code == 201


def test_not_more_than_twenty_hooks_of_one_event(github: Emulated) -> None:
    for number in range(20):
        assert create(github, config={**CONFIG, "url": f"https://hooks.example/{number}"}).status_code == 201
    assert create(github).status_code == 422


@pytest.mark.parametrize(
    "wrong",
    [
        {"events": ["nonsense"]},
        {"config": {}},
        {"config": "text"},
        {"config": {"url": "mailto:a"}},
        {"name": "email"},
    ],
)
def test_bad_hooks_are_422(github: Emulated, wrong: dict[str, object]) -> None:
    assert create(github, **wrong).status_code == 422


def test_patch_without_the_secret_deletes_it(github: Emulated) -> None:
    number = create(github).json()["id"]
    changed = github.http.patch(f"{HOOKS}/{number}", json={"active": False})
    assert (changed.status_code, wrote(changed)) == (200, True)
    assert "secret" not in changed.json()["config"]
    assert "secret" not in stored(github)["config"]


def test_patch_of_the_config_changes_only_what_it_names(github: Emulated) -> None:
    number = create(github).json()["id"]
    changed = github.http.patch(f"{HOOKS}/{number}/config", json={"secret": "rotated"})
    assert changed.json() == {**CONFIG, "secret": "********"}
    assert stored(github)["config"] == {**CONFIG, "secret": "rotated"}


def test_events_replace_and_add_events_add(github: Emulated) -> None:
    number = create(github).json()["id"]
    same = {"config": CONFIG}
    patched = github.http.patch(f"{HOOKS}/{number}", json={**same, "add_events": ["release"]}).json()
    assert patched["events"] == ["issues", "push", "release"]
    patched = github.http.patch(f"{HOOKS}/{number}", json={**same, "events": ["push"]}).json()
    assert patched["events"] == ["push"]


def test_delete(github: Emulated) -> None:
    number = create(github).json()["id"]
    assert github.http.delete(f"{HOOKS}/{number}").status_code == 204
    gone = github.http.delete(f"{HOOKS}/{number}")
    assert (gone.status_code, wrote(gone)) == (404, False)


def test_an_unreachable_receiver_shows_in_last_response_and_deliveries(github: Emulated) -> None:
    number = create(github).json()["id"]
    assert github.http.get(f"{HOOKS}/{number}").json()["last_response"]["status"] == "connection_error"
    pinged = github.http.post(f"{HOOKS}/{number}/pings")
    assert (pinged.status_code, wrote(pinged)) == (204, False)
    deliveries = github.http.get(f"{HOOKS}/{number}/deliveries").json()
    assert [one["event"] for one in deliveries] == ["ping", "ping"]


def test_a_receiver_on_this_machine_gets_a_signed_ping(github: Emulated) -> None:
    received: list[tuple[bytes, str]] = []

    async def receive(request: Request) -> Response:
        received.append((await request.body(), request.headers["x-hub-signature-256"]))
        return Response()

    with serve(Starlette(routes=[Route("/", receive, methods=["POST"])])) as address:
        number = create(github, config={**CONFIG, "url": f"{address}/"}).json()["id"]
    [(body, signature)] = received
    assert signature == f"sha256={hmac.new(b'canary', body, hashlib.sha256).hexdigest()}"
    found = github.http.get(f"{HOOKS}/{number}").json()
    assert found["last_response"] == {"code": 200, "status": "active", "message": "OK"}


def test_hooks_and_keys_are_404_without_admin_rights(github: Emulated) -> None:
    weak = github.token("weak", repositories={"acme/widgets": "write"})
    for path in (HOOKS, KEYS):
        assert weak.get(path).status_code == 404
        assert weak.post(path, json={}).status_code == 404


def test_a_key_is_in_use_once_anywhere(github: Emulated) -> None:
    github.repository("acme/gadgets")
    created = github.http.post(KEYS, json={"title": "pod", "key": f"{KEY} me@here", "read_only": True})
    assert (created.status_code, wrote(created), created.json()["key"]) == (201, True, KEY)
    for path in (KEYS, "/repos/acme/gadgets/keys"):
        refused = github.http.post(path, json={"title": "again", "key": f"{KEY} other@place"})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["message"] == "key is already in use"
    assert github.http.delete(f"{KEYS}/{created.json()['id']}").status_code == 204
    assert github.http.post("/repos/acme/gadgets/keys", json={"key": KEY}).json()["read_only"] is False
    assert github.http.get(KEYS).json() == []


@pytest.mark.parametrize("key", [None, "", "ssh-ed25519", "ssh-ed25519 !!!", "PRIVATE KEY"])
def test_what_is_no_public_key_is_422(github: Emulated, key: str | None) -> None:
    refused = github.http.post(KEYS, json={"title": "t", "key": key})
    assert "OpenSSH public key format" in refused.json()["errors"][0]["message"]
