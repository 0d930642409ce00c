"""Serve an ASGI app on a free port of this machine for the length of a test."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp


@contextmanager
def serve(
    app: ASGIApp, *, key: Path | None = None, certificate: Path | None = None, lifespan: bool = False
) -> Iterator[str]:
    """Yield the base URL, `http://127.0.0.1:PORT`; https with a key and a certificate."""
    # named as TCP, else asyncio leaves Nagle on and every answer waits 40 ms
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app,
            log_level="error",
            lifespan="on" if lifespan else "off",
            ws="none",
            ssl_keyfile=key,
            ssl_certfile=certificate,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        try:
            yield f"{'https' if key else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
