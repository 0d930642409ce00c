"""The auth-service of mesh-six, as its public source answers (docs/auth-service.md).

Kept traps: credentials need a project that exists; PUT changes only the fields it is given and never makes a
project; unknown fields are dropped without a word; `settingsJson` is a text; times are ISO 8601 with `Z`;
credentials cannot be read back, only their health. Every PUT with a configuration field, and every push of
credentials, makes the pods fetch their files anew (`bundleRevision`).

The original has no log-in of its own; `token`, when given, stands for the gateway before it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.sandbox.emulators.store import Store

_TEXTS = (
    "claudeAccountUuid",
    "claudeOrgUuid",
    "claudeEmail",
    "settingsJson",
    "claudeJson",
    "mcpJson",
    "claudeMd",
)
_CONFIGURATION = {"settingsJson", "claudeJson", "mcpJson", "claudeMd"}
_CREDENTIAL_TEXTS = (
    "refreshToken", "accountUuid", "emailAddress", "organizationUuid", "billingType", "displayName",
    "subscriptionType", "rateLimitTier",
)  # fmt: skip
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z")

Handler = Callable[[Request], Awaitable[Response]]


def create_app(
    store: Store, *, token: str | None = None, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Starlette:
    """Return the app. `token` None lets everybody in, as the original does."""
    service = _AuthService(store, clock)

    def guarded(handler: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            given = request.headers.get("authorization", "")
            if token is not None and given != f"Bearer {token}":
                return _error(403 if given else 401, "Unauthorized")
            return await handler(request)

        return answer

    return Starlette(
        routes=[
            Route("/healthz", service.healthz),
            Route("/projects", guarded(service.create_project), methods=["POST"]),
            Route("/projects/{id}", guarded(service.get_project), methods=["GET"]),
            Route("/projects/{id}", guarded(service.put_project), methods=["PUT"]),
            Route("/projects/{id}/credentials", guarded(service.push), methods=["POST"]),
            Route("/projects/{id}/health", guarded(service.health), methods=["GET"]),
            Route("/_emulator/projects/{id}/credentials", service.peek, methods=["GET"]),
            Route("/_emulator/projects/{id}/credentials", service.forget, methods=["DELETE"]),
        ]
    )


class _AuthService:
    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    async def healthz(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok", "service": "auth-service"})

    async def create_project(self, request: Request) -> Response:
        body = await _json(request)
        if body is None:
            return _error(400, "Invalid JSON")
        if issues := _project_issues(body, required=("id", "displayName")):
            return _error(400, "Validation error", issues)
        slug = body["id"]
        if self._store.get("auth_projects", slug):
            return _error(409, f"Project '{slug}' already exists")
        now = self._now()
        given = {key: body[key] for key in _TEXTS if key in body}
        project = {
            "id": slug,
            "displayName": body["displayName"],
            **given,
            "createdAt": now,
            "updatedAt": now,
        }
        self._store.put("auth_projects", slug, project)
        request.state.wrote = True
        return JSONResponse(project, 201)

    async def get_project(self, request: Request) -> Response:
        project = self._store.get("auth_projects", request.path_params["id"])
        return JSONResponse(project) if project else _no_project(request)

    async def put_project(self, request: Request) -> Response:
        body = await _json(request)
        if body is None:
            return _error(400, "Invalid JSON")
        if issues := _project_issues(body, required=()):
            return _error(400, "Validation error", issues)
        slug = request.path_params["id"]
        project = self._store.get("auth_projects", slug)
        if project is None:
            return _no_project(request)
        given = {key: body[key] for key in ("displayName", *_TEXTS) if key in body}
        self._store.put("auth_projects", slug, {**project, **given, "updatedAt": self._now()})
        if _CONFIGURATION & given.keys():
            self._store.next_number(f"auth_bundle/{slug}")
        request.state.wrote = True
        return JSONResponse(self._store.get("auth_projects", slug))

    async def push(self, request: Request) -> Response:
        slug = request.path_params["id"]
        if self._store.get("auth_projects", slug) is None:
            return _no_project(request)
        body = await _json(request)
        if body is None:
            return _error(400, "Invalid JSON")
        if issues := _credential_issues(body):
            return _error(400, "Validation error", issues)
        now = self._now()
        kept = self._credentials(slug)
        for each in kept:
            each["invalidatedAt"] = each.get("invalidatedAt") or now
        given = {key: body[key] for key in _CREDENTIAL_TEXTS if key in body}
        credential = {
            "billingType": "stripe_subscription",
            "displayName": "mesh-six",
            **given,
            "id": str(uuid.uuid4()),
            "projectId": slug,
            "accessToken": body["accessToken"],
            "expiresAt": body["expiresAt"],
            "source": "push",
            "createdAt": now,
        }
        self._store.put("auth_credentials", slug, {"all": [*kept, credential]})
        self._store.next_number(f"auth_bundle/{slug}")
        request.state.wrote = True
        return JSONResponse(credential, 201)

    async def health(self, request: Request) -> Response:
        slug = request.path_params["id"]
        if self._store.get("auth_projects", slug) is None:
            return _no_project(request)
        kept = self._credentials(slug)
        now = self._clock()
        valid = [each for each in kept if "invalidatedAt" not in each and _moment(each["expiresAt"]) > now]
        answer: dict[str, Any] = {
            "projectId": slug,
            "hasValidCredential": bool(valid),
            "hasRefreshToken": any(each.get("refreshToken") for each in kept),
        }
        if valid:
            ends = _moment(valid[-1]["expiresAt"])
            answer["expiresAt"] = valid[-1]["expiresAt"]
            answer["expiresInMs"] = int((ends - now).total_seconds() * 1000)
        return JSONResponse(answer)

    async def peek(self, request: Request) -> Response:
        """For tests: the credential in force, all of them (newest last), and how often pods fetched anew."""
        slug = request.path_params["id"]
        numbers = self._store.get("numbers", f"auth_bundle/{slug}") or {"last": 0}
        kept = self._credentials(slug)
        current: dict[str, Any] = next((each for each in reversed(kept) if "invalidatedAt" not in each), {})
        return JSONResponse({**current, "credentials": kept, "bundleRevision": numbers["last"]})

    async def forget(self, request: Request) -> Response:
        """For tests: lose every credential of a project."""
        self._store.delete("auth_credentials", request.path_params["id"])
        return Response(status_code=204)

    def _credentials(self, slug: str) -> list[dict[str, Any]]:
        found = self._store.get("auth_credentials", slug) or {"all": []}
        return list(found["all"])

    def _now(self) -> str:
        return self._clock().isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _project_issues(body: dict[str, Any], *, required: tuple[str, ...]) -> list[dict[str, Any]]:
    issues = [_issue(key, "Required") for key in required if key not in body]
    issues += [
        _issue(key, "Expected a string of at least 1 character")
        for key in (required or ("displayName",))
        if key in body and (not isinstance(body[key], str) or not body[key])
    ]
    issues += [_issue(key, "Expected string") for key in _TEXTS if not isinstance(body.get(key, ""), str)]
    return issues


def _credential_issues(body: dict[str, Any]) -> list[dict[str, Any]]:
    issues = [_issue(key, "Required") for key in ("accessToken", "expiresAt") if key not in body]
    texts = ("accessToken", "expiresAt", *_CREDENTIAL_TEXTS)
    issues += [_issue(key, "Expected string") for key in texts if not isinstance(body.get(key, ""), str)]
    if isinstance(body.get("expiresAt"), str) and _moment_or_none(body["expiresAt"]) is None:
        issues.append(_issue("expiresAt", "Invalid datetime"))
    scopes = body.get("scopes", [])
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        issues.append(_issue("scopes", "Expected array of string"))
    return issues


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _moment_or_none(text: str) -> datetime | None:
    try:
        return _moment(text) if _INSTANT.fullmatch(text) else None
    except ValueError:
        return None


def _issue(key: str, message: str) -> dict[str, Any]:
    return {"path": [key], "message": message}


async def _json(request: Request) -> dict[str, Any] | None:
    """Return the body's object; an empty one for other JSON, which then fails validation; None if no JSON."""
    try:
        body = await request.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else {"displayName": None, "accessToken": None}


def _no_project(request: Request) -> Response:
    return _error(404, f"Project '{request.path_params['id']}' not found")


def _error(status: int, message: str, details: list[dict[str, Any]] | None = None) -> Response:
    return JSONResponse({"error": message, **({"details": details} if details else {})}, status)
