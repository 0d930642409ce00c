"""git's own HTTP server program behind a small ASGI app: with hooks, passwords and races."""

from __future__ import annotations

import asyncio
import base64
import subprocess
from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Before = Callable[[str], None]


class GitServer:
    """Serves the bare repositories of a folder as `/NAME.git`; an ASGI app.

    `password`: what basic authentication has to carry, if anything. `before_any` is called ahead of every
    request. `before` is called with the path of each that writes, ahead of it: a test makes another writer
    faster there. `faults` are those of the next writes: a status code, or 0 for an answer that is lost after
    the effect.
    """

    def __init__(self, folder: Path, *, password: str | None = None) -> None:
        self.folder = folder
        self.password = password
        self.before: Before = lambda path: None
        self.before_any: Callable[[], object] = lambda: None
        self.faults: list[int] = []
        self.requests: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        body = await request.body()
        self.requests.append(f"{request.method} {request.url.path}")
        await asyncio.to_thread(self.before_any)
        if not self._may(request):
            return Response("no", 401, {"WWW-Authenticate": 'Basic realm="git"'})
        writes = request.method == "POST" and request.url.path.endswith("git-receive-pack")
        fault = self.faults.pop(0) if writes and self.faults else None
        if fault:
            return Response("fault", fault)
        if writes:
            await asyncio.to_thread(self.before, request.url.path)
        response = await asyncio.to_thread(self._run, request, body)
        return Response("gone", 502) if fault == 0 else response

    def _may(self, request: Request) -> bool:
        if self.password is None:
            return True
        given = request.headers.get("authorization", "").removeprefix("Basic ")
        return base64.b64decode(given).partition(b":")[2].decode() == self.password

    def _run(self, request: Request, body: bytes) -> Response:
        environment = {
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "HOME": str(self.folder),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "REMOTE_USER": "tester",
            "PATH_INFO": request.url.path,
            "QUERY_STRING": request.url.query,
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
            "CONTENT_LENGTH": str(len(body)),
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=environment, capture_output=True, check=True, timeout=60
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(headers.pop("Status", "200").split()[0])
        return Response(content, status, headers)


def git(folder: Path, *words: str, **environment: str) -> str:
    """Run git in a folder, as a person would, and return what it says."""
    identity = {
        "GIT_AUTHOR_NAME": "A Person",
        "GIT_AUTHOR_EMAIL": "person@example.com",
        "GIT_COMMITTER_NAME": "A Person",
        "GIT_COMMITTER_EMAIL": "person@example.com",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
    }
    done = subprocess.run(
        ["git", "-C", str(folder), *words],
        capture_output=True,
        text=True,
        env=identity | environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
