"""One request, from its headers to its answer: what is the same for every call.

Handlers are plain functions of a `Call`; they run one at a time on the event loop, so that read and write
of one request are never torn apart by another.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from reconciler.sandbox.emulators.github.errors import Refusal, archived, inaccessible, not_found
from reconciler.sandbox.emulators.github.identity import ANONYMOUS, METADATA, Identity, Need
from reconciler.sandbox.emulators.github.world import World

VERSIONS = ("2022-11-28", "2026-03-10")
NO_USER_AGENT = (
    "Request forbidden by administrative rules. Please make sure your request has a User-Agent header "
    "(https://docs.github.com/rest/overview/resources-in-the-rest-api#user-agent-required)."
)
CACHING = {
    "Cache-Control": "private, max-age=60, s-maxage=60",
    "Vary": "Accept, Authorization, Cookie, X-GitHub-OTP,Accept-Encoding, Accept, X-Requested-With",
}


@dataclass
class Answer:
    """`body` is JSON, or bytes as they are; None is an empty body."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    background: BackgroundTask | None = None


@dataclass
class Call:
    """The request as a handler sees it."""

    request: Request
    world: World
    identity: Identity
    raw: bytes

    @cached_property
    def site(self) -> str:
        """Return where pages for people would be, without a slash at the end."""
        return str(self.request.base_url).rstrip("/")

    @cached_property
    def api(self) -> str:
        """Return the base of REST addresses, as the caller spelled it."""
        return self.site + ("/api/v3" if self.request.url.path.startswith("/api/v3/") else "")

    @cached_property
    def version(self) -> str:
        """Return the REST version that answers."""
        return self.request.headers.get("x-github-api-version", VERSIONS[0])

    @cached_property
    def body(self) -> dict[str, Any]:
        """Return the JSON object that was sent; an empty body is an empty object."""
        if not self.raw.strip():
            return {}
        try:
            body = json.loads(self.raw)
        except ValueError:
            raise Refusal(400, "Problems parsing JSON") from None
        if not isinstance(body, dict):
            raise Refusal(400, "Body should be a JSON object")
        return body

    @property
    def query(self) -> Mapping[str, str]:
        """Return the query parameters."""
        return self.request.query_params

    def parameter(self, name: str) -> Any:  # noqa: ANN401 - text or a number, as the route says
        """Return a part of the path."""
        return self.request.path_params[name]

    def repository(self, need: Need = METADATA) -> dict[str, Any]:
        """Return the repository of the path; raise what GitHub answers if the token may not do that."""
        parameters = self.request.path_params
        if "repository_id" in parameters:
            found = self.world.repositories.get(parameters["repository_id"])
        else:
            found = self.world.repositories.find(parameters["owner"], parameters["repo"])
        if found is None:
            raise not_found()
        self.identity.check(found, METADATA)
        if "repo" in parameters and (parameters["owner"].lower(), parameters["repo"].lower()) != (
            found["owner"].lower(),
            found["name"].lower(),
        ):
            raise self._moved(found)
        if need.writes and found["archived"]:
            raise archived()
        self.identity.check(found, need)
        return found

    def organization(self, access: str) -> dict[str, Any]:
        """Return the organization of the path whose webhooks the token may `read` or `write`."""
        found = self.world.repositories.owner(self.parameter("organization"))
        if found is None or not self.identity.manages_hooks(found, access):
            if found and not self.identity.is_user and not self.identity.anonymous:
                raise inaccessible(self.identity.kind, f"organization_hooks={access}")
            raise not_found()
        return found

    def wrote(self) -> None:
        """Say that something was changed that GitHub would keep."""
        self.request.state.wrote = True

    def page(self, items: list[Any]) -> Answer:
        """Return one page of a list, with the `Link` header that leads on."""
        size = min(100, max(1, self._number("per_page", 30)))
        page = max(1, self._number("page", 1))
        last = max(1, -(-len(items) // size))
        links: dict[str, int] = {}
        if page < last:
            links |= {"next": page + 1, "last": last}
        if page > 1:
            links |= {"prev": page - 1, "first": 1}
        found = items[(page - 1) * size : page * size]
        return Answer(found, headers={"Link": self._links(links)} if links else {})

    def _links(self, pages: Mapping[str, int]) -> str:
        address = str(self.request.url).partition("?")[0]
        given = {key: value for key, value in self.query.items() if key != "page"}
        return ", ".join(
            f'<{address}?{urlencode({**given, "page": number})}>; rel="{name}"'
            for name, number in pages.items()
        )

    def _number(self, name: str, default: int) -> int:
        text = self.query.get(name, "")
        return int(text) if text.isdigit() else default

    def _moved(self, found: Mapping[str, Any]) -> Refusal:
        rest = re.sub(r"^(/api/v3)?/repos/[^/]+/[^/]+", "", self.request.url.path)
        query = f"?{self.request.url.query}" if self.request.url.query else ""
        address = f"{self.api}/repositories/{found['id']}{rest}{query}"
        if self.request.method in {"GET", "HEAD"}:
            return _Moved(301, "Moved Permanently", address)
        return _Moved(307, "Temporary Redirect", address)


class _Moved(Refusal):
    def __init__(self, status: int, message: str, address: str) -> None:
        super().__init__(status, message, headers={"Location": address})
        self.address = address

    def body(self) -> dict[str, Any]:
        return {
            "message": self.message,
            "url": self.address,
            "documentation_url": "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects",
        }


Handler = Callable[[Call], Answer]
Endpoint = Callable[[Request], Awaitable[Response]]


def endpoint(world: World, handler: Handler, *, free: bool = False, own_login: bool = False) -> Endpoint:
    """Return a Starlette endpoint that does what every REST call has in common.

    `free` is not charged; with `own_login` the handler checks the Authorization header itself.
    """

    async def respond(request: Request) -> Response:
        raw = await request.body()
        if not request.headers.get("user-agent"):
            return PlainTextResponse(NO_USER_AGENT, 403)
        identity = ANONYMOUS
        try:
            check_version(request)
            identity = ANONYMOUS if own_login else identify(world, request)
            if not free:
                world.limits.admit(identity, "core")
            answer = handler(Call(request, world, identity, raw))
        except Refusal as refusal:
            answer = Answer(refusal.body(), refusal.status, refusal.headers)
        return _finish(world, request, identity, answer, free=free)

    return respond


def check_version(request: Request) -> None:
    """Raise the 400 of a REST version that nobody knows."""
    version = request.headers.get("x-github-api-version", VERSIONS[0])
    if version not in VERSIONS:
        raise Refusal(
            400, f"'{version}' is not a supported version. Please use one of: {', '.join(VERSIONS)}"
        )


def identify(world: World, request: Request) -> Identity:
    """Return who sent the request; a token that nobody knows is a 401, no token is anonymous."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        return ANONYMOUS
    identity = world.identities.find(token.strip()) if scheme.lower() in {"token", "bearer"} else None
    if identity is None:
        raise Refusal(401, "Bad credentials")
    return identity


def common_headers(world: World, identity: Identity, resource: str) -> dict[str, str]:
    """Return the headers that every answer has."""
    scopes = {"X-OAuth-Scopes": ", ".join(identity.scopes)} if identity.is_user else {}
    return {
        "Server": "github.com",
        "X-GitHub-Request-Id": secrets.token_hex(16).upper(),
        "X-GitHub-Media-Type": "github.v3; format=json",
        **world.limits.headers(identity, resource),
        **scopes,
    }


def _finish(world: World, request: Request, identity: Identity, answer: Answer, *, free: bool) -> Response:
    content = answer.body if isinstance(answer.body, bytes) else _encode(answer.body)
    headers = {"Content-Type": "application/json; charset=utf-8", **answer.headers}
    status = answer.status
    if request.method == "GET" and status == 200:
        tag = f'"{hashlib.sha256(content + headers.get("Link", "").encode()).hexdigest()}"'
        headers |= {"ETag": f"W/{tag}", **CACHING}
        known = request.headers.get("if-none-match", "")
        if tag in known or known == "*":
            status, content = 304, b""
    # An authorized 304 is not charged.
    if not free and not (status == 304 and not identity.anonymous):
        world.limits.charge(identity, "core")
    headers |= {
        "X-GitHub-Api-Version-Selected": request.headers.get("x-github-api-version", VERSIONS[0]),
        **{k: v for k, v in common_headers(world, identity, "core").items() if k not in headers},
    }
    return Response(content, status, headers, background=answer.background)


def _encode(body: object) -> bytes:
    return b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
