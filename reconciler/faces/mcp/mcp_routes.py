"""MCP over HTTP: streamable at `/mcp`, and the older transport by SSE at `/mcp/sse`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress

import anyio
from mcp.server.sse import SseServerTransport
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from reconciler.faces.mcp.mcp_server import server
from reconciler.faces.mcp.tool import Tool

PATH = "/mcp"


class McpRoutes:
    """The routes of one MCP server.

    Streamable requests stand for themselves: no session of one caller can be taken over by another, and any
    instance can answer. Host and origin are not checked: a page that lures a browser here has no token.
    """

    def __init__(self, tools: Sequence[Tool], *, largest_body: int) -> None:
        self._server = server(tools, local=False)
        streamable = self._server.streamable_http_app(
            streamable_http_path=PATH,
            stateless_http=True,
            json_response=True,
            max_request_body_size=largest_body,
            host="",
        )
        self._sse = SseServerTransport(f"{PATH}/messages/", max_request_body_size=largest_body)
        self.routes: list[BaseRoute] = [
            *streamable.routes,
            Route(f"{PATH}/sse", self._events, methods=["GET"]),
            Mount(f"{PATH}/messages/", self._message),
        ]

    def running(self) -> AbstractAsyncContextManager[None]:
        """Serve streamable requests for the length of an `async with`."""
        return self._server.session_manager.run()

    async def _message(self, scope: Scope, receive: Receive, send: Send) -> None:
        # It has been answered already when its session turns out to have gone meanwhile.
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            await self._sse.handle_post_message(scope, receive, send)

    async def _events(self, request: Request) -> Response:
        async with self._sse.connect_sse(request.scope, request.receive, request._send) as streams:  # noqa: SLF001 - it answers by itself
            reading, writing = streams
            await self._server.run(reading, writing, self._server.create_initialization_options())
        return Response()
