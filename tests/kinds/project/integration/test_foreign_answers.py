"""What answers in a system's place is not believed: not that a thing is absent, nor that it is empty."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from reconciler.clients.argocd import ArgoCD
from reconciler.clients.auth_service import AuthService
from reconciler.clients.github import GitHub, RepositoryName
from reconciler.clients.litellm import LiteLLMWriter
from reconciler.clients.oauth_issuer import OAuthIssuerWriter
from reconciler.clients.s3 import ObjectStore
from reconciler.clients.vault import Vault
from reconciler.model.errors import Missing, SystemFault
from reconciler.settings.giving import Reader, Sections
from tests.kinds.project.support.passes import target
from tests.support.serve import serve

JSON, HTML = "application/json", "text/html"
PAGE = b"<html><body>nothing here</body></html>"
ANSWERS: dict[str, tuple[int, str, bytes]] = {
    "404 page": (404, HTML, PAGE),
    "404 nothing": (404, JSON, b""),
    "404 {}": (404, JSON, b"{}"),
    "404 []": (404, JSON, b"[]"),
    "404 of Go": (404, "text/plain", b"404 page not found\n"),
    "404 of another": (404, JSON, b'{"error": "Not Found", "status": 404}'),
    "404 with a message": (404, JSON, b'{"message": "Not Found"}'),
    "404 of Kubernetes": (404, JSON, b'{"kind": "Status", "code": 404, "message": "gone"}'),
    "404 of FastAPI": (404, JSON, b'{"detail": "Not Found"}'),
    "302": (302, HTML, PAGE),
    "200 page": (200, HTML, PAGE),
    "200 page that claims to be JSON": (200, JSON, PAGE),
    "200 nothing": (200, JSON, b""),
    "204": (204, JSON, b""),
    "200 {}": (200, JSON, b"{}"),
    "200 []": (200, JSON, b"[]"),
    "200 null": (200, JSON, b"null"),
    "200 a text": (200, JSON, b'"ok"'),
    "200 a list of nothing": (200, JSON, b"[{}]"),
    "200 data that is none": (200, JSON, b'{"data": {}, "errors": []}'),
    "200 a null node": (200, JSON, b'{"data": {"node": null, "r0": null, "nodes": null}}'),
    "200 deep": (200, JSON, b"[" * 100_000 + b"]" * 100_000),
    "200 deep object": (200, JSON, b'{"data":' * 100_000 + b"1" + b"}" * 100_000),
    "200 twice": (200, JSON, b'{"data": 1, "data": {}}'),
    "200 not a number": (200, JSON, b'{"data": NaN}'),
    "200 cut off": (200, JSON, b'{"data": {"keys": ["a"'),
    "200 in another charset": (200, "application/json; charset=latin-1", '{"data": "ü"}'.encode("latin-1")),
    "200 half a character": (200, JSON, b'{"data": {"keys": ["\\ud800"]}}'),
    "500 page": (500, HTML, PAGE),
    "200 XML": (200, "application/xml", b"<other><Contents/></other>"),
}  # fmt: skip
WIDGETS = RepositoryName("acme", "widgets")
TEAM = target().slug


def sections(url: str) -> Sections:
    return Sections(
        {
            "github": {"apiUrl": url, "token": "ghp_x", "writePause": 0},
            "vault": {"address": url, "token": "t"},
            "litellm": {"url": url, "adminKey": "sk-0123456789abcdef"},
            "argocd": {"server": url, "token": "t"},
            "authService": {"url": url},
            "s3": {"endpoint": url, "accessKey": "a", "secretKey": "b"},
            "oauth": {"flow": "device", "issuer": url, "clientId": "us"},
        },
        {},
    )


READS: dict[str, tuple[type[Reader], Callable[[Any], Any]]] = {
    "repositories": (GitHub, lambda github: github.repositories([WIDGETS])),
    "default branch": (GitHub, lambda github: github.default_branch("acme/widgets")),
    "linked boards": (GitHub, lambda github: github.linked_boards("R_1")),
    "owned boards": (GitHub, lambda github: github.owned_boards("acme", "title")),
    "board": (GitHub, lambda github: github.board("PVT_1")),
    "items": (GitHub, lambda github: github.items_of(["PVT_1"])),
    "hooks": (GitHub, lambda github: github.hooks("repos/acme/widgets")),
    "deploy keys": (GitHub, lambda github: github.deploy_keys("acme/widgets")),
    "pull requests": (GitHub, lambda github: github.pull_requests("acme/widgets", head="a", base="b")),
    "restrictions": (GitHub, lambda github: github.branch_restrictions("acme/widgets", "main")),
    "branch": (GitHub, lambda github: github.branch_head("acme/widgets", "main")),
    "file": (GitHub, lambda github: github.file("acme/widgets", "a.json", "main")),
    "names": (Vault, lambda vault: vault.names("mesh-six/a")),
    "secret": (Vault, lambda vault: vault.read("mesh-six/a/b")),
    "metadata": (Vault, lambda vault: vault.metadata("mesh-six/a/b")),
    "teams": (LiteLLMWriter, lambda client: client.teams),
    "keys": (LiteLLMWriter, lambda client: client.keys),
    "team": (LiteLLMWriter, lambda client: client.team("gh-7")),
    "key": (LiteLLMWriter, lambda client: client.key(SecretStr("sk-x"))),
    "keys named": (LiteLLMWriter, lambda client: client.keys_named("mesh-six/a")),
    "application": (ArgoCD, lambda argo: argo.application()),
    "tree": (ArgoCD, lambda argo: argo.resource_tree()),
    "project": (AuthService, lambda service: service.project("acme-widgets")),
    "health": (AuthService, lambda service: service.health("acme-widgets")),
    "objects": (ObjectStore, lambda store: store.keys("repos/acme")),
    "discovery": (OAuthIssuerWriter, lambda issuer: issuer._metadata()),  # noqa: SLF001 - it has no other read
}
ABSENT = {"teams", "keys", "application", "tree", "default branch"}
"""What is never taken to be absent, so that an unbelievable 404 may be told as one."""


@pytest.fixture(scope="module")
def answering() -> Iterator[tuple[str, list[Response]]]:
    """Serve whatever is put into the list, on every path."""
    said: list[Response] = []

    async def answer(_: Request) -> Response:
        return said[0]

    methods = ["GET", "POST", "PUT", "LIST", "HEAD", "DELETE", "PATCH"]
    with serve(Starlette(routes=[Route("/{path:path}", answer, methods=methods)])) as url:
        yield url, said


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.clients.retry.ATTEMPTS", 1)


def faults_of(answering: tuple[str, list[Response]], read: str, answer: Response) -> SystemFault | None:
    url, said = answering
    said[:] = [answer]
    kind, call = READS[read]
    client = kind.connect(sections(url))
    try:
        call(client)
    except SystemFault as fault:
        return fault
    finally:
        client.close()
    return None


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("read", READS)
def test_nothing_is_believed(answering: tuple[str, list[Response]], read: str, answer: str) -> None:
    status, content_type, body = ANSWERS[answer]
    headers = {"content-type": content_type, **({"location": "/login"} if status == 302 else {})}
    fault = faults_of(answering, read, Response(body, status, headers=headers))
    assert fault is not None, f"{read} was taken from {answer}"
    assert read in ABSENT or not isinstance(fault, Missing)
    assert "nothing here" not in str(fault)


@pytest.mark.parametrize("read", ["hooks", "names", "teams", "application", "project", "objects"])
def test_what_is_packed_is_not_unpacked_without_end(
    answering: tuple[str, list[Response]], read: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.clients.answers.LARGEST", 1_000_000)
    packed = gzip.compress(b'{"data": "' + b"0" * 50_000_000 + b'"}')
    answer = Response(packed, 200, headers={"content-type": JSON, "content-encoding": "gzip"})
    fault = faults_of(answering, read, answer)
    assert fault is not None
    assert "without an end" in str(fault)


@pytest.mark.parametrize("read", ["hooks", "names", "teams", "application", "project", "objects"])
def test_what_trickles_in_is_not_waited_for_without_end(
    answering: tuple[str, list[Response]], read: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.clients.answers.LONGEST", 0.2)

    async def trickle() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b" "
            await asyncio.sleep(0.02)

    headers = {"content-type": JSON, "content-length": "1000"}
    fault = faults_of(answering, read, StreamingResponse(trickle(), 200, headers=headers))
    assert fault is not None
    assert "without an end" in str(fault)


@pytest.mark.parametrize(
    "said",
    ["100000000000000", "9" * 400, "-5", "1.5", "nan", "inf", "soon", "Mon, 01 Jan 2035 00:00:00", "²", ""],
)
@pytest.mark.parametrize("read", ["repositories", "names", "teams", "application", "project"])
def test_no_pause_is_one_that_nobody_can_reckon_with(
    answering: tuple[str, list[Response]], read: str, said: str
) -> None:
    headers = {"retry-after": said.encode("latin-1"), "x-ratelimit-reset": said.encode("latin-1")}
    answer = Response(json.dumps({"message": "slow down", "errors": []}), 429, media_type=JSON)
    answer.raw_headers += [(name.encode(), value) for name, value in headers.items()]
    answer.raw_headers.append((b"x-ratelimit-remaining", b"0"))
    fault = faults_of(answering, read, answer)
    assert fault is not None
    assert fault.retry_after is None or 0 <= fault.retry_after <= 86_400
