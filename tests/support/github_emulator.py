"""The GitHub emulator in the test's own process, with a person's hands (`seam`) and a client's."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconciler.sandbox.emulators.github.app import create_app
from reconciler.sandbox.emulators.store import Store

TOKEN = "the-token-that-may-do-everything"
AGENT = {"User-Agent": "tests", "Accept": "application/vnd.github+json"}


@dataclass
class Clock:
    """A clock that moves when told."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **delta: float) -> None:
        """Move on by that time."""
        self.now += timedelta(**delta)


class ShowsWrites:
    """Adds the header `x-wrote` to the answers of requests that changed something."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start" and scope["state"].get("wrote"):
                message["headers"] = [*message["headers"], (b"x-wrote", b"yes")]
            await send(message)

        await self._app(scope, receive, marked)


class InProcess(httpx.BaseTransport):
    """Hands requests to an app without a server; what runs after the answer has run when it arrives."""

    def __init__(self, app: ASGIApp) -> None:
        self._transport = httpx.ASGITransport(app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def answer() -> httpx.Response:
            given = await self._transport.handle_async_request(request)
            return httpx.Response(given.status_code, headers=given.headers, content=await given.aread())

        return asyncio.run(answer())


class Emulated:
    """One fresh emulator; requests are not redirected by themselves."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.app = ShowsWrites(create_app(Store(), token=TOKEN, clock=self.clock))
        self.http = self.client(TOKEN)

    def client(self, token: str | None) -> httpx.Client:
        """Return a client that sends this token, or none."""
        headers = AGENT if token is None else {**AGENT, "Authorization": f"Bearer {token}"}
        return httpx.Client(transport=InProcess(self.app), base_url="http://github.test", headers=headers)

    def seam(self, path: str, body: object, *, method: str = "POST") -> Any:
        """Do what a person does; the answer must be a success."""
        response = self.client(None).request(method, f"/_emulator/{path}", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def repository(self, name: str = "acme/widgets", **wish: object) -> dict[str, Any]:
        """Make a repository."""
        owner, _, short = name.partition("/")
        made: dict[str, Any] = self.seam("repositories", {"owner": owner, "name": short, **wish})
        return made

    def token(self, token: str, **wish: object) -> httpx.Client:
        """Make a token and return a client that sends it."""
        self.seam("tokens", {"token": token, **wish})
        return self.client(token)

    def graphql(
        self, query: str, *, client: httpx.Client | None = None, **variables: object
    ) -> dict[str, Any]:
        """Ask; the answer is a 200 with data, errors, or both."""
        response = (client or self.http).post("/graphql", json={"query": query, "variables": variables})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer


def encoded(text: str) -> str:
    """Return the text as the contents API wants it."""
    return base64.b64encode(text.encode()).decode()


def wrote(response: httpx.Response) -> bool:
    """Whether the emulator said that it changed something."""
    return "x-wrote" in response.headers


def put(
    client: httpx.Client, path: str, text: str, repository: str = "acme/widgets", **more: object
) -> httpx.Response:
    """Put a file."""
    body: Mapping[str, object] = {"message": "Change it", "content": encoded(text), **more}
    return client.put(f"/repos/{repository}/contents/{path}", json=body)
