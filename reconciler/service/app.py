"""The HTTP face: routes of seed 000, probes, metrics, webhook, and MCP at `/mcp`. Decides nothing itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from starlette.concurrency import run_in_threadpool

from reconciler.config import ServeSettings
from reconciler.schedule import Schedule
from reconciler.service import description, onboard_routes, operator_routes, problems
from reconciler.service.access import Access
from reconciler.service.mcp_routes import McpRoutes
from reconciler.service.middleware import LARGEST_BODY, BearerTokens, DeclaredLength, RequestLog
from reconciler.service.onboarding import Onboarding
from reconciler.service.pushes import Pushes


@dataclass(frozen=True)
class Service:
    """What the routes work with. `pushes` is None where no webhook secret is set."""

    settings: ServeSettings
    onboarding: Onboarding
    schedule: Schedule
    access: Access
    pushes: Pushes | None


def application(service: Service) -> FastAPI:
    """Return the whole application. Its lifespan starts the schedule and ends it."""
    mcp = McpRoutes(service.onboarding, largest_body=LARGEST_BODY)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with mcp.running():
            service.schedule.start()
            try:
                yield
            finally:
                await run_in_threadpool(service.schedule.stop)
                await run_in_threadpool(service.onboarding.close)

    app = description.DescribedApp(
        title="mesh-six onboarding",
        summary="One project file becomes a running environment.",
        description=description.TEXT,
        version="1",
        servers=description.SERVERS,
        openapi_tags=description.TAGS,
        generate_unique_id_function=description.operation_id,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        # A redirect would name http, behind whatever speaks TLS, and have callers send their tokens there.
        redirect_slashes=False,
    )
    problems.install(app)
    app.include_router(onboard_routes.router(service.onboarding))
    app.include_router(operator_routes.router(service.settings, service.schedule, service.pushes))
    app.router.routes.extend(mcp.routes)
    # The last one added is the first one that a request meets.
    app.add_middleware(AuthContextMiddleware)
    larger = {operator_routes.WEBHOOK: operator_routes.LARGEST_DELIVERY}
    app.add_middleware(BearerTokens, access=service.access)
    app.add_middleware(DeclaredLength, larger=larger)
    app.add_middleware(RequestLog)
    return app
