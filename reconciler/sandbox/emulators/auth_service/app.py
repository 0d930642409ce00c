"""The auth-service of mesh-six, as its public source answers (docs/auth-service.md).

Kept traps: credentials need a project that exists; PUT changes only the fields it is given and never makes a
project; unknown fields are dropped without a word; `settingsJson` is a text; times are ISO 8601 with `Z`;
credentials cannot be read back, only their health. Every PUT with a configuration field, and every push of
credentials, makes the pods fetch their files anew (`bundleRevision`).

The original has no log-in of its own; `token`, when given, stands for the gateway before it. The gateway lets
the reconciler in by that token, and a pod by its own (pod_tokens.py), which opens its project's bundles only.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.sandbox.emulators.auth_service import bodies
from reconciler.sandbox.emulators.auth_service.bundles import Bundles
from reconciler.sandbox.emulators.auth_service.pod_tokens import AUDIENCE, PodTokens
from reconciler.sandbox.emulators.store import Store

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

    def for_pods(handler: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            given = request.headers.get("authorization", "")
            refused = service.tokens.refusal(given, request.path_params["id"])
            if token is not None and refused:
                return _error(refused, "Unauthorized")
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
            Route("/projects/{id}/provision", for_pods(service.provision), methods=["POST"]),
            Route("/projects/{id}/provision/{bundle}", for_pods(service.bundle), methods=["GET"]),
            Route("/_emulator/pod-tokens", service.pod_token, methods=["POST"]),
            Route("/_emulator/projects/{id}/credentials", service.peek, methods=["GET"]),
            Route("/_emulator/projects/{id}/credentials", service.forget, methods=["DELETE"]),
        ]
    )


class _AuthService:
    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._bundles = Bundles(store)
        self.tokens = PodTokens(store)

    async def healthz(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok", "service": "auth-service"})

    async def create_project(self, request: Request) -> Response:
        body = await bodies.read(request)
        if body is None:
            return _error(400, "Invalid JSON")
        if issues := bodies.project_issues(body, required=("id", "displayName")):
            return _error(400, "Validation error", issues)
        slug = body["id"]
        if self._store.get("auth_projects", slug):
            return _error(409, f"Project '{slug}' already exists")
        now = self._now()
        given = {key: body[key] for key in bodies.PROJECT_TEXTS if key in body}
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
        body = await bodies.read(request)
        if body is None:
            return _error(400, "Invalid JSON")
        if issues := bodies.project_issues(body, required=()):
            return _error(400, "Validation error", issues)
        slug = request.path_params["id"]
        project = self._store.get("auth_projects", slug)
        if project is None:
            return _no_project(request)
        given = {key: body[key] for key in ("displayName", *bodies.PROJECT_TEXTS) if key in body}
        self._store.put("auth_projects", slug, {**project, **given, "updatedAt": self._now()})
        if bodies.CONFIGURATION & given.keys():
            self._bundles.expire(slug)
            self._store.next_number(f"auth_bundle/{slug}")
        request.state.wrote = True
        return JSONResponse(self._store.get("auth_projects", slug))

    async def push(self, request: Request) -> Response:
        slug = request.path_params["id"]
        if self._store.get("auth_projects", slug) is None:
            return _no_project(request)
        body = await bodies.read(request)
        if body is None:
            return _error(400, "Invalid JSON")
        if issues := bodies.credential_issues(body):
            return _error(400, "Validation error", issues)
        now = self._now()
        kept = self._credentials(slug)
        for each in kept:
            each["invalidatedAt"] = each.get("invalidatedAt") or now
        given = {key: body[key] for key in bodies.CREDENTIAL_TEXTS if key in body}
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
        self._bundles.expire(slug)
        self._store.next_number(f"auth_bundle/{slug}")
        request.state.wrote = True
        return JSONResponse(credential, 201)

    async def health(self, request: Request) -> Response:
        slug = request.path_params["id"]
        if self._store.get("auth_projects", slug) is None:
            return _no_project(request)
        valid = self._valid(slug)
        answer: dict[str, Any] = {
            "projectId": slug,
            "hasValidCredential": valid is not None,
            "hasRefreshToken": any(each.get("refreshToken") for each in self._credentials(slug)),
        }
        if valid:
            left = bodies.moment(valid["expiresAt"]) - self._clock()
            answer["expiresAt"] = valid["expiresAt"]
            answer["expiresInMs"] = int(left.total_seconds() * 1000)
        if active := self._bundles.active(slug):
            answer["activeBundleId"] = active["id"]
        return JSONResponse(answer)

    async def provision(self, request: Request) -> Response:
        slug = request.path_params["id"]
        project = self._store.get("auth_projects", slug)
        if project is None:
            return JSONResponse({"status": "no_credentials", "message": f"Project '{slug}' not found"})
        body = await bodies.read(request)
        if body is None:
            return _error(400, "Invalid JSON")
        if issues := bodies.provision_issues(body):
            return _error(400, "Validation error", issues)
        answer = self._bundles.provision(
            project, self._valid(slug), body.get("currentBundleId"), self._clock()
        )
        request.state.wrote = answer["status"] == "provisioned"
        return JSONResponse(answer)

    async def bundle(self, request: Request) -> Response:
        name = request.path_params["bundle"]
        found = self._bundles.fetch(request.path_params["id"], name)
        if found is None:
            return _error(404, f"Bundle '{name}' not found")
        headers = {"Content-Disposition": f'attachment; filename="bundle-{name}.tar.gz"'}
        return Response(found, media_type="application/octet-stream", headers=headers)

    async def pod_token(self, request: Request) -> Response:
        """For tests and people: a pod's token as plain text, by default a good one of `env-<project>`."""
        body = await bodies.read(request) or {}
        token = self.tokens.make(
            body.get("namespace", "mesh-six"),
            body.get("account", f"env-{body.get('project')}"),
            audience=body.get("audience", AUDIENCE),
            seconds=int(body.get("seconds", 3600)),
        )
        return Response(token, media_type="text/plain")

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

    def _valid(self, slug: str) -> dict[str, Any] | None:
        now = self._clock()
        valid = [
            each
            for each in self._credentials(slug)
            if "invalidatedAt" not in each and bodies.moment(each["expiresAt"]) > now
        ]
        return valid[-1] if valid else None

    def _credentials(self, slug: str) -> list[dict[str, Any]]:
        found = self._store.get("auth_credentials", slug) or {"all": []}
        return list(found["all"])

    def _now(self) -> str:
        return self._clock().isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _no_project(request: Request) -> Response:
    return _error(404, f"Project '{request.path_params['id']}' not found")


def _error(status: int, message: str, details: list[dict[str, Any]] | None = None) -> Response:
    return JSONResponse({"error": message, **({"details": details} if details else {})}, status)
