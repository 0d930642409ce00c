"""The one process that clients talk to: `python -m reconciler.sandbox.gateway --directory .sandbox`.

It hosts the emulators, stands in front of the real servers, keeps the request log and carries out faults.
Everything listens on 127.0.0.1; the supervisor chose the ports.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from reconciler.sandbox.emulation import Emulators
from reconciler.sandbox.faults import Faults, fault_from
from reconciler.sandbox.http_front import Front, Handler, Proxied, TrackedProtocol
from reconciler.sandbox.layout import Layout, SandboxState, Secrets
from reconciler.sandbox.postgres_front import PostgresFront
from reconciler.sandbox.system import Site
from reconciler.sandbox.systems import systems
from reconciler.sandbox.traffic import RequestLog


class Control:
    """The supervisor's way in, behind a token of its own; never logged."""

    def __init__(self, token: str, emulators: Emulators, faults: Faults) -> None:
        self._token = token
        self._emulators = emulators
        self._faults = faults
        everything = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        self.app = Starlette(
            routes=[
                Route("/health", self._health),
                Route("/faults", self._add_fault, methods=["POST"]),
                Route("/faults", self._clear_faults, methods=["DELETE"]),
                Route("/clear", self._clear, methods=["POST"]),
                Route("/emulators/{system}/{path:path}", self._call, methods=everything),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, if it comes from the supervisor."""
        given = dict(scope["headers"]).get(b"x-control-token", b"").decode("latin-1")
        allowed = hmac.compare_digest(given, self._token)
        app: ASGIApp = self.app if allowed else PlainTextResponse("not for you", status_code=401)
        await app(scope, receive, send)

    async def _health(self, _: Request) -> Response:
        return PlainTextResponse("up")

    async def _add_fault(self, request: Request) -> Response:
        try:
            self._faults.add(fault_from(await request.json()))
        except (ValueError, TypeError) as error:
            return PlainTextResponse(str(error), status_code=400)
        return Response(status_code=204)

    async def _clear_faults(self, _: Request) -> Response:
        self._faults.clear()
        return Response(status_code=204)

    async def _clear(self, _: Request) -> Response:
        self._faults.clear()
        self._emulators.clear()
        return Response(status_code=204)

    async def _call(self, request: Request) -> Response:
        handler = self._emulators.handlers.get(request.path_params["system"])
        if handler is None:
            return JSONResponse({"message": "no such emulator"}, status_code=404)
        transport = httpx.ASGITransport(handler.app)
        passed = {
            name: value
            for name, value in request.headers.items()
            if name in {"authorization", "content-type"}
        }
        async with httpx.AsyncClient(transport=transport, base_url="http://emulator") as client:
            got = await client.request(
                request.method,
                f"/{request.path_params['path']}",
                params=request.query_params,
                content=await request.body(),
                headers=passed,
            )
        return Response(got.content, got.status_code, media_type=got.headers.get("content-type"))


def _listener(port: int) -> socket.socket:
    """Return a socket that listens there; it fails at once when a stranger has the port."""
    # asyncio turns Nagle off only for sockets that name TCP; with it every answer waits 40 ms for an ACK
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


async def _run(layout: Layout) -> None:
    state, secrets = SandboxState.load(layout), Secrets(layout)
    if state is None:
        raise SystemExit(f"{layout.directory} is not a sandbox")
    ports = state.ports
    faults, log = Faults(), RequestLog(layout.requests)
    emulators = Emulators(Site(layout, ports, secrets))
    control = Control(secrets["control_token"], emulators, faults)
    handlers: dict[str, Handler] = {**emulators.handlers}
    databases: dict[str, PostgresFront] = {}
    for name, server in ((system.name, system.server) for system in systems() if system.server):
        if server.protocol == "postgres":
            databases[name] = PostgresFront(name, ports[f"{name}-server"], faults, log)
        else:
            handlers[name] = Proxied(ports[f"{name}-server"], server.harmless)
    front = Front({ports[name]: (name, handler) for name, handler in handlers.items()}, faults, log)

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        app: Any = control if scope["server"][1] == ports["control"] else front
        await app(scope, receive, send)

    listeners = [_listener(ports[name]) for name in (*handlers, "control")]
    config = uvicorn.Config(
        dispatch,
        http=TrackedProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        server_header=False,
        timeout_keep_alive=300,
        timeout_graceful_shutdown=1,
    )
    async with AsyncExitStack() as stack:
        for name, database in databases.items():
            await stack.enter_async_context(await asyncio.start_server(database, "127.0.0.1", ports[name]))
        await uvicorn.Server(config).serve(sockets=listeners)
    log.close()


def main() -> None:
    """Run until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--directory", type=Path, required=True)
    asyncio.run(_run(Layout(parser.parse_args().directory.resolve())))


if __name__ == "__main__":
    main()
