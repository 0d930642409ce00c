"""Systems that repeat in their answers what they were sent: how secrets get into error messages."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reconciler.clients.http import trusted

METHODS = ["GET", "HEAD", "LIST", "POST", "PUT", "PATCH", "DELETE"]


def create_app(status: int, real: str = "") -> Starlette:
    """Answer with that status, and a body in which every value is all that was sent.

    With `real`, the address of the system itself, only what writes is answered so.
    """

    async def answer(request: Request) -> Response:
        sent = await request.body()
        if real and not _writes(request, sent):
            return await _passed_on(request, sent, real)
        said = f"{request.method} {request.url} {dict(request.headers)} {sent!r}"
        names = ("message", "error", "error_description", "detail", "data", "token", "id", "team_id")
        document = {**dict.fromkeys(names, said), "errors": [{"message": said, "code": said, "field": said}]}
        # Half of a document is no JSON, and errors of parsers like to show what they could not read.
        text = json.dumps(document) if status != 200 else json.dumps(said)[:-1]
        return Response(text, status, {"x-echo": said.encode("ascii", "replace").decode()[:4000]},
                        media_type="application/json")  # fmt: skip

    return Starlette(routes=[Route("/{path:path}", answer, methods=METHODS)])


Handler = Callable[[Request], Awaitable[Response]]


def _writes(request: Request, sent: bytes) -> bool:
    if request.url.path.endswith("graphql"):
        return b"mutation" in sent[:40]
    return request.method not in {"GET", "HEAD", "LIST"}


async def _passed_on(request: Request, sent: bytes, real: str) -> Response:
    headers = [(name, value) for name, value in request.headers.raw if name != b"host"]
    async with httpx.AsyncClient(trust_env=False, verify=trusted()) as client:
        url = f"{real}{request.url.path}?{request.url.query}"
        got = await client.request(request.method, url, content=sent, headers=headers, timeout=30)
    kept = {"content-type", "link", "etag"}
    return Response(got.content, got.status_code, {k: v for k, v in got.headers.items() if k in kept})
