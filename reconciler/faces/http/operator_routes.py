"""What machines ask: probes, metrics, and GitHub's deliveries of pushes to the config repository."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response, Security
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import APIKeyHeader
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from reconciler.clients.github.deliveries import SIGNATURE
from reconciler.engine.schedule import Schedule
from reconciler.faces.http.problems import answers
from reconciler.faces.http.pushes import Delivery, Pushes, Verdict
from reconciler.settings.program import ServeSettings

WEBHOOK = "/webhooks/github"
LARGEST_DELIVERY = 5 * 1024 * 1024
"""Bytes. GitHub sends up to 25 MB; a push that large waits for the schedule."""
JUDGED_AT_ONCE = 4
"""Deliveries whose signature is computed; anybody can send one, and only that shows whether it fits."""
READ_WITHIN = 10.0
"""Seconds in which a delivery has to be there: GitHub sends it in one go."""
SMALL_DELIVERY = 64 * 1024
LARGE_AT_ONCE = 32 * 1024 * 1024
"""Bytes beyond the small ones that are held of all deliveries together: no crowd takes the passes' memory."""
_SIGNATURE = APIKeyHeader(
    name="X-Hub-Signature-256",
    scheme_name="GitHubSignature",
    description="`sha256=` and the HMAC of the body with the webhook's secret, as GitHub makes it.",
    auto_error=False,
)
_PUSH = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"type": "object", "description": "GitHub's payload; only that of a push is read."},
            "example": {
                "ref": "refs/heads/main",
                "commits": [{"message": "Add acme/widgets"}],
                "repository": {"pushed_at": 1790000000},
            },
        }
    },
}
_REFUSED = {Verdict.UNSIGNED: 401, Verdict.MALFORMED: 400, Verdict.REPEATED: 409, Verdict.OLD: 409}


class Health(BaseModel):
    """What a probe is answered."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    status: str
    """For people; probes go by the HTTP status."""
    last_pass: datetime | None = None
    """When the last pass ended that ran to its end; null before the first."""


class Delivered(BaseModel):
    """What came of a delivery."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    result: str
    """For people who look at the delivery on GitHub."""


class _Bodies:
    """Reads deliveries, each within a time, and all of them within a number of bytes."""

    def __init__(self) -> None:
        self._held = 0

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """Yield a body; HTTPException when it is late, or when there are too many large ones."""
        body, large = bytearray(), 0
        try:
            try:
                async with asyncio.timeout(READ_WITHIN):
                    async for chunk in request.stream():
                        body += chunk
                        more = max(0, len(body) - SMALL_DELIVERY) - large
                        if self._held + more > LARGE_AT_ONCE:
                            raise HTTPException(503, "Too many large deliveries at once; send it again.")
                        self._held, large = self._held + more, large + more
            except TimeoutError as error:
                late = f"The delivery was not there within {READ_WITHIN:g} seconds."
                raise HTTPException(408, late) from error
            yield bytes(body)
        finally:
            self._held -= large


def router(settings: ServeSettings, schedule: Schedule, pushes: Pushes | None) -> APIRouter:
    """Return the routes that need no bearer token."""
    routes = APIRouter(tags=["operation"])
    judging, bodies = asyncio.Semaphore(JUDGED_AT_ONCE), _Bodies()

    @routes.get("/healthz", response_model=Health, responses={200: {"description": "It answers"}})
    async def get_health() -> Health:
        """Tell that the process answers."""
        return Health(status="alive", last_pass=schedule.last_ended)

    @routes.get(
        "/readyz",
        response_model=Health,
        responses={200: {"description": "Ready"}, 503: {"model": Health, "description": "Not ready"}},
    )
    async def get_readiness() -> Response:
        """Tell whether a pass has ended lately."""
        age = schedule.since_last
        ready = age is not None and age <= settings.ready_within
        last = schedule.last_ended
        health = Health(status="ready" if ready else "no pass has ended lately", last_pass=last)
        return JSONResponse(health.model_dump(mode="json"), 200 if ready else 503)

    @routes.get(
        "/metrics",
        response_class=PlainTextResponse,
        responses={200: {"description": "All metrics in Prometheus's text format"}},
    )
    async def get_metrics() -> Response:
        """Tell Prometheus about passes."""
        # Not in a thread, which requests that wait for git may have taken all of.
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @routes.post(
        WEBHOOK,
        status_code=202,
        response_model=Delivered,
        responses={
            200: {"model": Delivered, "description": "Taken; there is nothing to do"},
            202: {"description": "A pass begins"},
            **answers(400, 401, 408, 409, 413, 503),
        },
        max_body_size=LARGEST_DELIVERY,
        openapi_extra={"requestBody": _PUSH},
    )
    async def receive_delivery(
        request: Request,
        response: Response,
        signature: Annotated[str | None, Security(_SIGNATURE)],
        x_github_event: Annotated[str, Header(description="The event's name.", examples=["push"])] = "",
    ) -> Delivered:
        """Take a delivery of the config repository's webhook; a push begins a pass at once."""
        if pushes is None:
            raise HTTPException(503, "No webhook is configured here: set RECONCILER_WEBHOOK_SECRET.")
        if not SIGNATURE.fullmatch(signature or ""):
            raise HTTPException(401, f"This delivery is refused: {Verdict.UNSIGNED}.")
        # Read before anybody waits in line, so that who sends slowly holds up nobody.
        async with bodies.read(request) as body, judging:
            verdict = await run_in_threadpool(pushes.judge, Delivery(body, x_github_event, signature or ""))
        if status := _REFUSED.get(verdict):
            raise HTTPException(status, f"This delivery is refused: {verdict}.")
        if verdict is Verdict.BEGINS:
            schedule.wake("the config repository was pushed to")
        else:
            response.status_code = 200
        return Delivered(result=verdict)

    return routes
