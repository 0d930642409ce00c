"""The HTTP face: routes, RBAC and refusals of Argo CD's API server, and the seam by which tests move things.

The stream endpoint is not emulated. A manual or deleted application, pauses, faults and skipped time are
ordered under `/_emulator/`, which the original does not have.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from reconciler.sandbox.emulators.argocd.controller import Controller
from reconciler.sandbox.emulators.argocd.setup import Setup
from reconciler.sandbox.emulators.argocd.views import application as application_document
from reconciler.sandbox.emulators.argocd.views import resource_tree as resource_tree_document
from reconciler.sandbox.emulators.store import Store

CODES = {400: 9, 401: 16, 403: 7, 404: 5}
"""gRPC codes by HTTP status: FailedPrecondition, Unauthenticated, PermissionDenied, NotFound."""


class Refused(Exception):
    """An error of the API: `{"error", "code", "message"}`."""

    def __init__(self, status: int, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": message, "code": code or CODES[status], "message": message}


Handler = Callable[[Request, Any], Response]


def create_app(
    store: Store,
    *,
    token: str,
    repository: Path,
    branch: str = "main",
    path: str = "k8s/base",
    application: str = "mesh-six",
    project: str = "default",
    namespace: str = "mesh-six",
    poll_seconds: float = 2.0,
    build_seconds: float = 1.5,
    name_prefix: str = "",
    beside: Sequence[dict[str, str]] = (),
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """Emulate one application over one bare repository; what is there now counts as deployed long ago."""
    setup = Setup(
        repository=repository,
        branch=branch,
        path=path,
        application=application,
        project=project,
        namespace=namespace,
        poll_seconds=poll_seconds,
        build_seconds=build_seconds,
        name_prefix=name_prefix,
        beside=tuple(beside),
    )
    api = _Api(Controller(store, setup, clock), token)
    return Starlette(
        routes=[
            Route("/api/version", api.open(api.version), methods=["GET"]),
            Route("/api/webhook", api.open(api.webhook), methods=["POST"]),
            Route("/api/v1/applications/{name}", api.guarded(api.get), methods=["GET"]),
            Route("/api/v1/applications/{name}/resource-tree", api.guarded(api.tree), methods=["GET"]),
            Route("/api/v1/applications/{name}/sync", api.guarded(api.sync), methods=["POST"]),
            Route("/api/v1/applications/{name}/operation", api.guarded(api.terminate), methods=["DELETE"]),
            Route("/_emulator/{order}", api.open(api.order), methods=["POST"]),
        ]
    )


class _Api:
    def __init__(self, controller: Controller, token: str) -> None:
        self._controller = controller
        self._token = token

    # -- how a request comes in -------------------------------------------------------------------

    def open(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Make an endpoint of a handler of (request, body); it runs apart from the event loop."""

        @functools.wraps(handler)
        async def endpoint(request: Request) -> Response:
            raw = await request.body()
            if (
                request.method != "GET"
                and request.headers.get("content-type", "").lower() != "application/json"
            ):
                return PlainTextResponse("Invalid content type\n", 415)
            try:
                body = json.loads(raw) if raw.strip() else {}
            except ValueError:
                return JSONResponse(Refused(400, "invalid character in request body", 3).body, 400)
            return await run_in_threadpool(self._answer, handler, request, body)

        return endpoint

    def guarded(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Make an endpoint that wants the token and the application."""

        def checked(request: Request, body: Any) -> Response:  # noqa: ANN401 - JSON
            self._authenticate(request)
            named = request.query_params.getlist("project") + request.query_params.getlist("projects")
            self._find(
                request.path_params["name"], [*named, *([body["project"]] if body.get("project") else [])]
            )
            return handler(request, body)

        return self.open(checked)

    def _answer(self, handler: Handler, request: Request, body: Any) -> Response:  # noqa: ANN401 - JSON
        with self._controller.lock:
            try:
                return handler(request, body)
            except Refused as refused:
                return JSONResponse(refused.body, refused.status)

    def _authenticate(self, request: Request) -> None:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not given:
            raise Refused(401, "no session information")
        if given != self._token:
            raise Refused(401, "invalid session: token signature is invalid: signature is invalid")

    def _find(self, name: str, projects: list[str]) -> None:
        """Refuse a missing application as the original: 403 without a project, 404 with one."""
        setup = self._controller.setup
        if len(projects) > 1:
            raise Refused(
                400, "multiple projects specified - the get endpoint accepts either zero or one project", 3
            )
        there = name == setup.application and not self._controller.state["deleted"]
        if not projects and not there:
            raise Refused(403, "permission denied")
        if not there or (projects and projects[0] != setup.project):
            raise Refused(404, f'applications.argoproj.io "{name}" not found')

    # -- the API ----------------------------------------------------------------------------------

    def version(self, _request: Request, _body: Any) -> Response:  # noqa: ANN401 - JSON
        """`GET /api/version`, which needs no token."""
        return JSONResponse({"Version": "v3.2.0+emulated"})

    def get(self, request: Request, _body: Any) -> Response:  # noqa: ANN401 - JSON
        """`GET /api/v1/applications/{name}`; with `refresh` it compares first, which is a write."""
        if request.query_params.get("refresh"):
            request.state.wrote = True
            self._controller.refresh()
        return JSONResponse(application_document(self._controller, self._controller.advance()))

    def tree(self, _request: Request, _body: Any) -> Response:  # noqa: ANN401 - JSON
        """`GET …/resource-tree`; like the original it takes filters and does not apply them."""
        return JSONResponse(resource_tree_document(self._controller, self._controller.advance()))

    def sync(self, request: Request, body: Any) -> Response:  # noqa: ANN401 - JSON
        """`POST …/sync`."""
        controller = self._controller
        now = controller.advance()
        branch = controller.setup.branch
        revision = body.get("revision") or branch
        if controller.state["automated"] and not body.get("dryRun") and revision != branch:
            raise Refused(400, f"Cannot sync to {revision}: auto-sync currently set to {branch}")
        commit = controller.resolve(revision)
        if commit is None:
            raise Refused(
                400, f"error resolving repo revision: unable to resolve '{revision}' to a commit SHA"
            )
        if controller.in_flight:
            raise Refused(400, "another operation is already in progress")
        resources = [_key(item) for item in body.get("resources") or []]
        request.state.wrote = True
        controller.request(
            {
                "revision": commit,
                "automated": False,
                "prune": bool(body.get("prune")),
                "dryRun": bool(body.get("dryRun")),
                "resources": resources or None,
            }
        )
        return JSONResponse(application_document(controller, now))

    def terminate(self, request: Request, _body: Any) -> Response:  # noqa: ANN401 - JSON
        """`DELETE …/operation`."""
        self._controller.advance()
        if not self._controller.terminate():
            raise Refused(400, "Unable to terminate operation. No operation is in progress", 3)
        request.state.wrote = True
        return JSONResponse({})

    def webhook(self, request: Request, body: Any) -> Response:  # noqa: ANN401 - JSON
        """`POST /api/webhook`: a push to our branch asks for a comparison; everything else is ignored."""
        if request.headers.get("x-github-event") == "push":
            if body.get("ref") == f"refs/heads/{self._controller.setup.branch}":
                request.state.wrote = True
                self._controller.refresh()
        elif request.headers.get("x-github-event") != "ping":
            return PlainTextResponse("Webhook processing failed\n", 400)
        return Response(status_code=200)

    # -- the seam ---------------------------------------------------------------------------------

    def order(self, request: Request, body: Any) -> Response:  # noqa: ANN401 - JSON
        """Orders of tests: `set` {paused, automated, deleted}, `skip` {seconds}, `fault` and `heal` {object}.

        A fault's object is `Pod/env-x-0` or `ExternalSecret/name`; it has status, message and reason.
        """
        controller = self._controller
        controller.advance()
        what = request.path_params["order"]
        if what == "set":
            controller.state.update(
                {name: bool(body[name]) for name in ("paused", "automated", "deleted") if name in body}
            )
        elif what == "skip":
            controller.state["skipped"] = controller.state.get("skipped", 0.0) + float(body["seconds"])
        elif what == "fault":
            controller.fault(body["object"], body)
        elif what == "heal":
            controller.fault(body["object"], None)
        else:
            return PlainTextResponse("no such order\n", 404)
        controller.save()
        return JSONResponse({})


def _key(item: dict[str, str]) -> str:
    return "/".join(str(item.get(field) or "") for field in ("group", "kind", "namespace", "name"))
