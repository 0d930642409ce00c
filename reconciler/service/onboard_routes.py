"""Seed 000's routes. What they do is in `onboarding.py`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from reconciler.config import Scope
from reconciler.model.outcome import Status
from reconciler.model.project import LONGEST_SLUG
from reconciler.model.project_spec import OnboardProjectRequest
from reconciler.service.bodies import StrictRoute
from reconciler.service.listing import Page, Pages
from reconciler.service.middleware import LARGEST_BODY, allowed
from reconciler.service.onboarding import Onboarding
from reconciler.service.problems import answers
from reconciler.service.requests import TokenSubmission
from reconciler.service.runs import OnboardingRun

LONGEST_PAGE = 1_000
RunId = Annotated[
    str, Path(description="The run's id: the project's slug.", max_length=200, examples=["acme-widgets"])
]
_JSON = "application/json"
_REQUESTS = {
    "two lines are enough": {"value": {"repoOwner": "acme", "repoName": "widgets"}},
    "with preferences": {
        "value": {
            "repoOwner": "acme",
            "repoName": "gears",
            "displayName": "Gears & Cogs",
            "resourceLimits": {"memoryLimit": "4Gi", "cpuLimit": "2"},
            "litellm": {"maxBudget": 50},
        }
    },
}
_FOUND = {"id": "$response.body#/id"}
_STARTED: dict[str, Any] = {
    "headers": {"Location": {"description": "The run.", "schema": {"type": "string"}}},
    "links": {
        "run": {"operationId": "getRun", "parameters": _FOUND, "description": "Where it stands."},
        "tokens": {"operationId": "submitTokens", "parameters": _FOUND, "description": "Log it in."},
    },
}


class Started(BaseModel):
    """What came of asking for a project."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: str
    """The run's id: the project's slug."""
    status: Status
    """Where it stands."""
    next: str | None = None
    """What a person has to do, in one sentence; null when there is nothing."""
    pull_request: str | None = None
    """The pull request that asks for it, while it is not merged."""


def router(onboarding: Onboarding) -> APIRouter:
    """Return the routes below `/onboard`."""
    routes = APIRouter(
        prefix="/onboard", tags=["onboarding"], responses=answers(401, 403), route_class=StrictRoute
    )
    pages = Pages()

    @routes.post(
        "",
        status_code=202,
        max_body_size=LARGEST_BODY,
        response_model=Started,
        dependencies=[Depends(allowed(Scope.WRITE))],
        responses={
            200: {"model": Started, "description": "The same was asked for before", **_STARTED},
            202: {"description": "Asked for; a pass does the rest", **_STARTED},
            **answers(400, 409, 413, 415, 422, 500, 502, 503),
        },
    )
    def onboard_project(
        request: Annotated[OnboardProjectRequest, Body(openapi_examples=_REQUESTS)],
        response: Response,
    ) -> Started:
        """Ask for a repository to be onboarded: opens a pull request with its project file, or commits it.

        The same request again gives the same run.
        """
        run, new = onboarding.start(request)
        response.status_code = 202 if new else 200
        response.headers["Location"] = f"/onboard/{run.id}"
        return Started.model_validate(run.model_dump())

    @routes.get(
        "",
        response_model=Page,
        dependencies=[Depends(allowed(Scope.READ))],
        responses={200: {"description": "A page of runs"}, **answers(422, 502, 503)},
    )
    async def list_runs(
        status: Annotated[Status | None, Query(description="Only runs of this status.")] = None,
        limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE, description="At most so many runs.")] = 100,
        after: Annotated[str, Query(max_length=LONGEST_SLUG, description="`next` of the page before.")] = "",
    ) -> Response:
        """List all runs, in the order of their ids."""
        read = onboarding.has_read
        view = onboarding.view() if read else await run_in_threadpool(onboarding.refresh)
        page = pages.page(view, status=status, after=after, limit=limit)
        return Response(page, media_type=_JSON)

    @routes.get(
        "/{id}",
        response_model=OnboardingRun,
        dependencies=[Depends(allowed(Scope.READ))],
        responses={200: {"description": "The run"}, **answers(404, 422, 502, 503)},
    )
    async def get_run(id: RunId) -> OnboardingRun:  # noqa: A002 - the seed's name
        """Tell where one run stands."""
        if found := onboarding.view().runs.get(id):
            return found
        return await run_in_threadpool(onboarding.run, id)

    @routes.post(
        "/{id}/auth-callback",
        status_code=202,
        max_body_size=LARGEST_BODY,
        response_model=OnboardingRun,
        dependencies=[Depends(allowed(Scope.SUBMIT_TOKENS))],
        responses={
            202: {"description": "Sealed and committed; a pass stores them"},
            **answers(400, 404, 409, 413, 415, 422, 500, 502, 503),
        },
    )
    def submit_tokens(id: RunId, tokens: TokenSubmission) -> OnboardingRun:  # noqa: A002 - the seed's name
        """Hand over the tokens of a login to a run that waits for them: they are sealed and committed.

        The same tokens again change nothing.
        """
        return onboarding.submit(id, tokens.content())

    return routes
