"""The HTTP face: routes of items and of kinds, probes, metrics, webhook, MCP at `/mcp`. Decides nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from starlette.concurrency import run_in_threadpool

from reconciler.engine.schedule import Schedule
from reconciler.faces.access import Access
from reconciler.faces.desk import Desk
from reconciler.faces.http import description, item_routes, operator_routes, problems
from reconciler.faces.http.middleware import LARGEST_BODY, AccessLog, BearerTokens, DeclaredLength
from reconciler.faces.http.pushes import Pushes
from reconciler.faces.kind_face import KindFace
from reconciler.faces.mcp.item_tools import item_tools
from reconciler.faces.mcp.mcp_routes import PATH as MCP_PATH
from reconciler.faces.mcp.mcp_routes import McpRoutes
from reconciler.faces.mcp.tool import Tool
from reconciler.settings.program import ServeSettings


@dataclass(frozen=True)
class Service:
    """What the routes work with. `pushes` is None where no webhook secret is set."""

    settings: ServeSettings
    desk: Desk
    faces: Sequence[KindFace]
    schedule: Schedule
    access: Access
    pushes: Pushes | None


def application(service: Service) -> FastAPI:
    """Return the whole application. Its lifespan starts the schedule and ends it."""
    mcp = McpRoutes(all_tools(service.desk, service.faces), largest_body=LARGEST_BODY)
    guarded = (item_routes.PREFIX, MCP_PATH, *(face.prefix for face in service.faces))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with mcp.running():
            service.schedule.start()
            try:
                yield
            finally:
                await run_in_threadpool(service.schedule.stop)
                await run_in_threadpool(service.desk.catalogue.close)

    app = description.DescribedApp(
        guarded,
        title="mesh-six onboarding",
        summary="One file becomes a working thing, and stays one.",
        description=description.TEXT,
        version="1",
        servers=description.SERVERS,
        openapi_tags=description.tags([face.tag for face in service.faces]),
        generate_unique_id_function=description.operation_id,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        # A redirect would name http, behind whatever speaks TLS, and have callers send their tokens there.
        redirect_slashes=False,
    )
    problems.install(app)
    app.include_router(item_routes.router(service.desk))
    for face in service.faces:
        app.include_router(face.routes(service.desk))
    app.include_router(operator_routes.router(service.settings, service.schedule, service.pushes))
    app.router.routes.extend(mcp.routes)
    # The last one added is the first one that a request meets.
    app.add_middleware(AuthContextMiddleware)
    larger = {operator_routes.WEBHOOK: operator_routes.LARGEST_DELIVERY}
    app.add_middleware(BearerTokens, access=service.access, guarded=guarded)
    app.add_middleware(DeclaredLength, larger=larger)
    app.add_middleware(AccessLog, guarded=guarded)
    return app


def all_tools(desk: Desk, faces: Iterable[KindFace]) -> list[Tool]:
    """Return the tools of every kind, and each kind's own."""
    return [*item_tools(desk), *(tool for face in faces for tool in face.tools(desk))]
