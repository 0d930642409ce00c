"""The HTTP side of the gateway: every request passes here, is logged, and fails when it is told to.

It knows what a request means to the log (`describe`) and nothing of what the systems do with it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import httpcore
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from reconciler.sandbox.false_answers import FALSE, SPOILED, Answer, spoiled
from reconciler.sandbox.faults import Fault, Faults
from reconciler.sandbox.sockets import drop
from reconciler.sandbox.traffic import RequestLog

_HOP_BY_HOP = {b"connection", b"keep-alive", b"transfer-encoding", b"te", b"upgrade", b"date", b"server"}
# Values that make a line of the log readable and can hold no secret.
_SHOWN = {"page", "per_page", "size", "prefix", "delimiter", "list-type", "list", "recurse", "cas", "version"}
_PIECES = 50


Handler = Callable[[Scope, bytes], Awaitable[Answer]]


class Front:
    """One ASGI app for all ports: the port says which system is meant."""

    def __init__(self, systems: Mapping[int, tuple[str, Handler]], faults: Faults, log: RequestLog) -> None:
        self._systems = systems
        self._faults = faults
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        system, handler = self._systems[scope["server"][1]]
        body = await _body(receive)
        method, path = describe(scope, body)
        fault = self._faults.strike(system, f"{method} {path}")
        kind = fault.kind if fault else ""
        if fault and not fault.after:
            self._log.add(system=system, method=method, path=path, status=0, wrote=False, fault=kind)
            return await _fail(fault, scope, receive, send)
        if fault and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        answer = await handler(scope, body)
        self._log.add(
            system=system, method=method, path=path, status=answer.status, wrote=answer.wrote, fault=kind
        )
        if fault and fault.kind == "drip":
            return await _drip(fault, answer, send)
        if fault and fault.kind in SPOILED:
            return await _give(scope, send, spoiled(fault.kind, answer, fault.seed))
        if fault and fault.kind != "slow":
            return await _fail(fault, scope, receive, send)
        return await _send(send, answer)


class Emulated:
    """Hands requests to an emulator, whose handlers say themselves whether they wrote."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, body: bytes) -> Answer:
        """Answer one request."""
        scope = {**scope, "state": {}}
        messages: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            messages.append(message)

        await self.app(scope, receive, send)
        start = messages[0]
        content = b"".join(message.get("body", b"") for message in messages[1:])
        return Answer(start["status"], list(start["headers"]), content, bool(scope["state"].get("wrote")))


class Proxied:
    """Hands requests to a real server, byte for byte and with the Host they came with, as signatures need."""

    def __init__(self, port: int, harmless: str) -> None:
        self._port = port
        self._harmless = re.compile(harmless)
        self._pool = httpcore.AsyncConnectionPool(max_connections=100, max_keepalive_connections=20)

    async def __call__(self, scope: Scope, body: bytes) -> Answer:
        """Answer one request; 502 when the server is down."""
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        headers = [(name, value) for name, value in scope["headers"] if name not in _HOP_BY_HOP]
        if body and not any(name == b"content-length" for name, _ in headers):
            headers.append((b"content-length", str(len(body)).encode()))
        url = httpcore.URL(scheme=b"http", host=b"127.0.0.1", port=self._port, target=target)
        try:
            got = await self._pool.request(scope["method"], url, headers=headers, content=body)
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError):
            return Answer(502, [], b"", wrote=False)
        answer = [(name.lower(), value) for name, value in got.headers if name.lower() not in _HOP_BY_HOP]
        return Answer(got.status, answer, got.content, wrote=self._wrote(scope, got.status))

    def _wrote(self, scope: Scope, status: int) -> bool:
        """Say whether a request changed what the server keeps."""
        if status >= 400 or scope["method"] in {"GET", "HEAD", "LIST", "OPTIONS"}:
            return False
        return self._harmless.match(scope["path"]) is None


class TrackedProtocol(H11Protocol):
    """Keeps every connection at hand, since ASGI has no word for hanging up."""

    transports: ClassVar[dict[tuple[Any, Any], asyncio.Transport]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note the connection."""
        super().connection_made(transport)
        self.transports[self.client, self.server] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.transports.pop((self.client, self.server), None)
        super().connection_lost(exc)


def describe(scope: Scope, body: bytes) -> tuple[str, str]:
    """Return the method and the path of a request as the log shows them: nothing that can be a secret."""
    method, path = scope["method"], scope["path"]
    if path.endswith("/graphql"):
        return method, f"{path} {_operation(body)}"
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    if method == "GET" and dict(query).get("list") == "true":
        # The other way to write Vault's own method.
        method = "LIST"
    shown = "&".join(f"{name}={value}" if name in _SHOWN else name for name, value in query)
    return method, f"{path}?{shown}" if shown else path


def _operation(body: bytes) -> str:
    """Return "query first-field" or "mutation first-field" of a GraphQL request."""
    try:
        document = json.loads(body)["query"]
    except (ValueError, KeyError, TypeError):
        return "unreadable"
    found = re.match(r"\s*(query|mutation)?[^{]*\{\s*(?:\w+\s*:\s*)?(\w*)", str(document))
    return f"{found[1] or 'query'} {found[2]}" if found else "unreadable"


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _send(send: Send, answer: Answer) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _give(scope: Scope, send: Send, answer: Answer) -> None:
    """Send an answer whose body may be shorter than it says; then the connection is cut."""
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    promised = dict(answer.headers).get(b"content-length", b"0")
    whole = int(promised) <= len(answer.body)
    await send({"type": "http.response.body", "body": answer.body, "more_body": not whole})
    if not whole:
        # What was sent gets there before the end of the connection does.
        await asyncio.sleep(0.01)
        _hang_up(scope)


async def _drip(fault: Fault, answer: Answer, send: Send) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    step = max(1, len(answer.body) // _PIECES)
    for at in range(0, len(answer.body), step):
        await send({"type": "http.response.body", "body": answer.body[at : at + step], "more_body": True})
        await asyncio.sleep(fault.seconds)
    await send({"type": "http.response.body", "body": b""})


async def _fail(fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
    """Do to the client what the fault says."""
    kind = fault.kind.removesuffix("-before").removesuffix("-after")
    if answer := FALSE.get(kind):
        return await _send(send, answer)
    if kind == "timeout":
        # After the whole request, the only thing left to receive is that the client went away.
        with suppress(TimeoutError):
            await asyncio.wait_for(receive(), fault.seconds)
    _hang_up(scope)
    return None


def _hang_up(scope: Scope) -> None:
    if transport := TrackedProtocol.transports.get((scope["client"], scope["server"])):
        drop(transport)
