"""What the API refuses: as problems, with nothing written, nothing echoed, and the service staying up."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from reconciler.clients.github.deliveries import signature_of
from reconciler.faces.http.pushes import Pushes
from reconciler.sandbox.supervisor import Sandbox
from tests.support.reconciling import commits, merge
from tests.support.service import REQUEST, TOKENS, Running, service

READY = "repoOwner: acme\nrepoName: ready\n"
DONE = "repoOwner: acme\nrepoName: done\nskipAuth: true\n"
ROUTES = [
    ("GET", "/onboard", "read"),
    ("GET", "/onboard/acme-ready", "read"),
    ("POST", "/onboard", "write"),
    ("POST", "/onboard/acme-ready/auth-callback", "submit-tokens"),
]
MAY = {"reader": {"read"}, "writer": {"read", "write"}, "courier": {"submit-tokens"}}


@pytest.fixture(scope="module")
def running(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    sandbox.clear()
    merge(sandbox, tmp_path_factory.mktemp("files") / "projects", ready=READY, done=DONE)
    with service(sandbox) as made:
        made.wait("acme-ready", "waiting_auth")
        made.wait("acme-done", "completed")
        yield made


@pytest.fixture(autouse=True)
def nothing_is_written(running: Running, sandbox: Sandbox) -> Iterator[None]:
    before = commits(sandbox)
    yield
    assert commits(sandbox) == before
    assert running.call("GET", "/healthz", by="").status_code == 200


def refused(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = dict(answer.json())
    assert problem["status"] == status
    assert problem["detail"]
    return problem


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_nobody_gets_in_without_a_valid_token(running: Running, method: str, path: str, scope: str) -> None:
    good = running.tokens["writer"]
    for header in (
        "",
        "Bearer",
        "Bearer x",
        f"Basic {good}",
        good,
        f"Bearer {good[:-1]}",
        f"Bearer {good} x",
    ):
        answer = running.call(method, path, by="", headers={"Authorization": header}, content=b"{")
        refused(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
    refused(running.call(method, path, by="late"), 401)


@pytest.mark.parametrize("signature", ["", "sha256=", "sha256=0", "sha1=" + "0" * 40, "sha256=" + "G" * 64])
def test_a_delivery_that_cannot_be_signed_is_refused_before_it_is_read(
    running: Running, signature: str
) -> None:
    address = running.url.removeprefix("http://").split(":")
    head = f"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: {signature}\r\n"
    with socket.create_connection((address[0], int(address[1])), timeout=20) as connection:
        # Of a body that never comes.
        connection.sendall(f"{head}Content-Length: 1000000\r\n\r\n".encode())
        assert connection.recv(64).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain; charset=utf-8", ""])
@pytest.mark.parametrize("path", ["/onboard", "/onboard/acme-ready/auth-callback"])
def test_what_is_not_said_to_be_json_is_not_read(running: Running, path: str, kind: str) -> None:
    by = "writer" if path == "/onboard" else "courier"
    headers = {"content-type": kind} if kind else {}
    answer = running.call("POST", path, by=by, content=json.dumps(REQUEST).encode(), headers=headers)
    assert "application/json" in refused(answer, 415)["detail"]


def test_of_two_tokens_neither_counts(running: Running) -> None:
    pair = [("Authorization", f"Bearer {token}") for token in (running.tokens["writer"], "x")]
    for headers in (pair, pair[::-1]):
        refused(httpx.get(f"{running.url}/onboard", headers=headers), 401)


@pytest.mark.parametrize("path", ["/healthz", "/onboard", "/nowhere"])
def test_no_second_request_hides_in_a_body(running: Running, path: str) -> None:
    hidden = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(hidden) + 5}\r\n"
    address = running.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1])), timeout=30) as connection:
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}".encode())
        answers = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answers.startswith(b"HTTP/1.1 400 ")
    assert answers.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
@pytest.mark.parametrize("who", sorted(MAY))
def test_a_token_opens_what_its_scopes_name(
    running: Running, who: str, method: str, path: str, scope: str
) -> None:
    answer = running.call(method, path, by=who, json={} if method == "POST" else None)
    if scope in MAY[who]:
        assert answer.status_code in {200, 422}
    else:
        assert scope in refused(answer, 403)["detail"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"a":' * 20_000, b"NaN"], ids=lambda b: ascii(b[:8])
)
def test_what_is_no_json_object_is_refused(running: Running, body: bytes) -> None:
    for path, who in (("/onboard", "writer"), ("/onboard/acme-ready/auth-callback", "courier")):
        headers = {"content-type": "application/json"}
        answer = running.call("POST", path, by=who, content=body[:60_000], headers=headers)
        assert answer.status_code in {400, 422}
        refused(answer, answer.status_code)


@pytest.mark.parametrize(
    ("path", "who", "asked"),
    [("/onboard", "writer", REQUEST), ("/onboard/acme-ready/auth-callback", "courier", TOKENS)],
)
def test_a_key_that_is_there_twice_is_refused(
    running: Running, path: str, who: str, asked: dict[str, Any]
) -> None:
    text = json.dumps(asked)
    twice = f"{text[:-1]}, {text[1:]}".encode()
    answer = running.call("POST", path, by=who, content=twice, headers={"content-type": "application/json"})
    assert "twice" in refused(answer, 400)["detail"]


@pytest.mark.parametrize("path", ["/onboard", "/onboard/acme-ready/auth-callback", "/webhooks/github"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(running: Running, path: str, chunked: bool) -> None:
    size = 6 * 1024 * 1024 if path.startswith("/webhooks") else 70_000
    who = "courier" if "auth" in path else "writer"
    pieces = (b" " * 10_000 for _ in range(size // 10_000 + 1))
    content: Any = pieces if chunked else b" " * size
    headers = {"content-type": "application/json", "X-Hub-Signature-256": "sha256=" + "0" * 64}
    refused(running.call("POST", path, by=who, content=content, headers=headers), 413)


@pytest.mark.parametrize(
    "slug", ["nope", "..", "%2e%2e%2fetc", "a" * 200, "%00", "%F0%9F%92%A3", "acme-ready%0A"]
)
def test_an_unknown_run_is_not_there(running: Running, slug: str) -> None:
    for method, path, who in (
        ("GET", f"/onboard/{slug}", "reader"),
        ("POST", f"/onboard/{slug}/auth-callback", "courier"),
    ):
        answer = running.call(method, path, by=who, json=TOKENS if method == "POST" else None)
        refused(answer, 404)


def test_tokens_for_a_project_that_asks_for_none_are_refused(running: Running) -> None:
    refused(running.call("POST", "/onboard/acme-done/auth-callback", by="courier", json=TOKENS), 409)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "status=happy", "after=" + "a" * 49], ids=str
)
def test_a_query_that_makes_no_sense_is_refused(running: Running, query: str) -> None:
    problem = refused(running.call("GET", f"/onboard?{query}"), 422)
    assert [each["pointer"] for each in problem["errors"]] == [query.partition("=")[0]]


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/onboard/acme-ready"), ("PUT", "/onboard"), ("POST", "/metrics")]
)
def test_another_method_is_refused(running: Running, method: str, path: str) -> None:
    refused(running.call(method, path), 405)


def push(running: Running, **changes: Any) -> dict[str, Any]:
    body = json.dumps(
        {
            "ref": "refs/heads/main",
            "after": f"{time.monotonic_ns():040x}",
            "commits": [{"message": "Somebody's"}],
            "repository": {"pushed_at": int(time.time())},
        }
        | changes.pop("payload", {})
    ).encode()
    pushes = running.service.pushes
    assert isinstance(pushes, Pushes)
    headers = {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": f"{time.monotonic_ns()}",
        "X-Hub-Signature-256": signature_of(body, pushes.secret()),
    }
    return {"content": body, "headers": headers | changes}


@pytest.mark.parametrize("signature", ["", "sha256=", "sha256=" + "0" * 64, "sha1=x"])
def test_a_delivery_with_a_wrong_signature_is_refused(running: Running, signature: str) -> None:
    sent = push(running)
    sent["headers"]["X-Hub-Signature-256"] = signature
    refused(running.call("POST", "/webhooks/github", by="", **sent), 401)


@pytest.mark.parametrize(
    ("path", "by", "misspelt", "meant"),
    [
        ("/onboard", "writer", {**REQUEST, "skipAuht": True}, "skipAuth"),
        ("/onboard/acme-ready/auth-callback", "courier", {**TOKENS, "acessToken": "x"}, "accessToken"),
    ],
    ids=["project", "tokens"],
)
def test_a_misspelt_field_is_told_from_those_of_that_body(
    running: Running, path: str, by: str, misspelt: dict[str, Any], meant: str
) -> None:
    (found,) = refused(running.call("POST", path, by=by, json=misspelt), 422)["errors"]
    assert found["remedy"] == f"did you mean {meant}?"


def test_an_old_or_repeated_delivery_is_refused(running: Running) -> None:
    old = push(running, payload={"repository": {"pushed_at": int(time.time()) - 90_000}})
    refused(running.call("POST", "/webhooks/github", by="", **old), 409)
    elsewhere = push(running, payload={"ref": "refs/heads/other"})
    assert running.call("POST", "/webhooks/github", by="", **elsewhere).status_code == 200
    refused(running.call("POST", "/webhooks/github", by="", **elsewhere), 409)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"ref": 1}',
        b"\xff",
        b'{"a":' * 100_000,
        b'{"ref": "refs/heads/main", "repository": {"pushed_at": 1%s}}' % (b"0" * 400),
    ],
    ids=lambda b: ascii(b[:8]),
)
def test_a_signed_delivery_that_makes_no_sense_is_refused(running: Running, body: bytes) -> None:
    pushes = running.service.pushes
    assert pushes is not None
    headers = {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": f"{time.monotonic_ns()}",
        "X-Hub-Signature-256": signature_of(body, pushes.secret()),
    }
    refused(running.call("POST", "/webhooks/github", by="", content=body, headers=headers), 400)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"expiresAt": 1}, ""),
        ({"expiresAt": "yesterday"}, ""),
        ({"expiresAt": None}, "/expiresAt"),
        ({"accessToken": ""}, ""),
        ({"accessToken": "two words"}, ""),
        ({"accessToken": 7}, "/accessToken"),
        ({"more": "x"}, "/more"),
    ],
    ids=str,
)
def test_tokens_that_are_none_change_nothing(running: Running, change: dict[str, Any], field: str) -> None:
    answer = running.call(
        "POST", "/onboard/acme-ready/auth-callback", by="courier", json={**TOKENS, **change}
    )
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json().get("errors", [])] == ([field] if field else [])
    assert "access-1" not in answer.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"repoOwner": "../.."},
        {"repoName": "a b"},
        {"repoName": "x" * 101},
        {"displayName": "two\nlines"},
        {"displayName": "\u202egnp.exe"},
        {"skipAuth": "yes"},
        {"slug": "other"},
        {"kind": "tenant"},
        {"litellm": {"maxBudget": -1}},
        {"litellm": {"maxBudget": 1e400}},
        {"resourceLimits": {"memoryRequest": "9Gi"}},
        {"repoName": "x" * 60},
        {"repoName": "\ud800"},
        {"repoOwner": None},
    ],
    ids=ascii,
)
def test_a_hostile_request_is_refused_and_writes_nothing(running: Running, wrong: dict[str, Any]) -> None:
    before = running.call("GET", "/onboard").json()["total"]
    body = json.dumps({**REQUEST, **wrong}).encode()
    answer = running.call("POST", "/onboard", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert running.call("GET", "/onboard").json()["total"] == before


def test_slow_deliveries_of_strangers_hold_up_none_of_githubs(running: Running) -> None:
    host, port = running.url.removeprefix("http://").split(":")
    head = f"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256={'0' * 64}\r\n"
    with ExitStack() as strangers:
        for _ in range(12):
            slow = strangers.enter_context(socket.create_connection((host, int(port)), timeout=20))
            slow.sendall(f"{head}Content-Length: 1000\r\n\r\n{{".encode())
        sent = push(running, payload={"ref": "refs/heads/other"})
        answer = httpx.post(f"{running.url}/webhooks/github", timeout=5, **sent)
        assert answer.status_code == 200
