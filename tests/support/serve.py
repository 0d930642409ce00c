"""Serve an ASGI app on a free port of this machine for the length of a test."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp


@contextmanager
def serve(
    app: ASGIApp,
    *,
    port: int = 0,
    key: Path | None = None,
    certificate: Path | None = None,
    lifespan: bool = False,
) -> Iterator[str]:
    """Yield the base URL, `http://127.0.0.1:PORT`; https with a key and a certificate."""
    # named as TCP, else asyncio leaves Nagle on and every answer waits 40 ms
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        config = uvicorn.Config(
            app,
            log_level="error",
            lifespan="on" if lifespan else "off",
            ws="none",
            ssl_keyfile=key,
            ssl_certfile=certificate,
            timeout_graceful_shutdown=1,
        )
        server = _Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        try:
            yield f"{'https' if key else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.stop()
            thread.join()


class _Server(uvicorn.Server):
    """Ends as soon as it is told to; uvicorn looks ten times a second, and then gives clients 0.1 s more."""

    _loop: asyncio.AbstractEventLoop
    _told: asyncio.Event

    def stop(self) -> None:
        """Make it end, from another thread."""
        self.should_exit = True
        self._loop.call_soon_threadsafe(self._told.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop, self._told = asyncio.get_running_loop(), asyncio.Event()
        await super().startup(sockets)

    async def main_loop(self) -> None:
        ticks = itertools.count()
        while not await self.on_tick(next(ticks)):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), 0.1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while self.server_state.connections or self.server_state.tasks:
            await asyncio.sleep(0.001)
