"""What every request goes through: a line in the log, and the caller's token where one is needed."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPMethod
from typing import Any

import structlog
from fastapi import Request
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from reconciler.faces.access import Access
from reconciler.faces.http.problems import ProblemResponse
from reconciler.settings.program import Scope

log = structlog.get_logger()

LARGEST_BODY = 64 * 1024
"""Bytes; nothing that is asked for needs a tenth of it."""


class BearerTokens:
    """Lets nobody without a valid token near a guarded path, before a byte of the body is read."""

    def __init__(self, app: ASGIApp, access: Access, guarded: tuple[str, ...]) -> None:
        """`guarded`: how the paths begin that need a token."""
        self._app = app
        self._access = access
        self._guarded = guarded

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"].startswith(self._guarded):
            given = Headers(scope=scope).getlist("authorization")
            # Of two, something in front of us may have looked at the other one.
            kind, _, token = (given[0] if len(given) == 1 else "").partition(" ")
            caller = self._access.caller(token.strip()) if kind.lower() == "bearer" else None
            if caller is None:
                answer = ProblemResponse(
                    401,
                    "A valid bearer token is needed.",
                    remedy="send `Authorization: Bearer …` with a token of serve.tokens",
                    headers={"WWW-Authenticate": "Bearer"},
                )
                await answer(scope, receive, send)
                return
            # The form that the MCP transports know; without the token itself.
            known = AccessToken(token="", client_id=caller.name, scopes=sorted(map(str, caller.scopes)))
            scope["user"] = AuthenticatedUser(known)
        await self._app(scope, receive, send)


def allowed(needed: Scope) -> Callable[..., Coroutine[Any, Any, None]]:
    """Return a dependency that lets only tokens with that scope pass."""

    async def check(request: Request) -> None:
        user = request.scope.get("user")
        if not isinstance(user, AuthenticatedUser) or needed not in user.scopes:
            raise HTTPException(403, f"This token lacks the scope {needed}.")

    return check


class DeclaredLength:
    """Refuses a body that says it is too large; one that lies, or says nothing, is cut off when it is.

    One that gives its length in two ways is no request, but an attempt to hide a second one in it.
    """

    def __init__(self, app: ASGIApp, larger: Mapping[str, int]) -> None:
        """`larger`: other bounds than the usual one, by path."""
        self._app = app
        self._larger = larger

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            declared = headers.get("content-length", "")
            if declared and "transfer-encoding" in headers:
                close = {"Connection": "close"}
                answer = ProblemResponse(400, "The body's length is given in two ways.", headers=close)
                await answer(scope, receive, send)
                return
            bound = self._larger.get(scope["path"], LARGEST_BODY)
            if declared.isdigit() and int(declared) > bound:
                await ProblemResponse(413, f"The body may have {bound} bytes.")(scope, receive, send)
                return
        await self._app(scope, receive, send)


class AccessLog:
    """One line for each request: what was asked for, by whom, what came of it; never a body or a query."""

    def __init__(self, app: ASGIApp, guarded: tuple[str, ...]) -> None:
        """`guarded`: how the paths begin that are named in the log although no route was reached."""
        self._app = app
        self._guarded = guarded

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.monotonic()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            # The route and not the path, in which anything may have been pasted. What was refused before
            # it got to a route, or is MCP's, is told by what guards it.
            route = getattr(scope.get("route"), "path", "")
            route = route or next(
                (f"{each}…" for each in self._guarded if scope["path"].startswith(each)), ""
            )
            write = log.debug if route in {"/healthz", "/readyz", "/metrics"} else log.info
            user = scope.get("user")
            write(
                "request",
                method=scope["method"] if scope["method"] in HTTPMethod.__members__ else "?",
                route=route or "unknown",
                status=status,
                milliseconds=round((time.monotonic() - begun) * 1000, 1),
                peer=(scope.get("client") or ("",))[0],
                caller=user.access_token.client_id if isinstance(user, AuthenticatedUser) else None,
            )
