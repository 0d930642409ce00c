"""The routes of mesh-six's onboarding service. What they do is in `faces.desk`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from reconciler.faces.desk import Desk
from reconciler.faces.http.listing import Pages
from reconciler.faces.http.middleware import LARGEST_BODY, allowed
from reconciler.faces.http.problems import answers
from reconciler.faces.http.strict_json import StrictRoute
from reconciler.kinds.project.face.onboarding_run import STATUSES, OnboardingRun
from reconciler.kinds.project.face.requests import TokenSubmission
from reconciler.kinds.project.face.runs import Runs
from reconciler.kinds.project.spec import OnboardProjectRequest
from reconciler.model.item import LONGEST_SLUG
from reconciler.settings.program import Scope

PREFIX = "/onboard"
TAG = ("onboarding", "Ask for projects, see where they stand, hand over a login's tokens.")
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
    status: Annotated[str, Field(json_schema_extra={"enum": list(STATUSES)})]
    """Where it stands."""
    next: str | None = None
    """What a person has to do, in one sentence; null when there is nothing."""
    pull_request: str | None = None
    """The pull request that asks for it, while it is not merged."""


class Page(BaseModel):
    """Some runs."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    runs: Sequence[OnboardingRun]
    """In the order of their ids."""
    total: int
    """How many runs there are on all pages."""
    next: str | None = None
    """What to send as `after` for the page that follows; null on the last one."""


def router(desk: Desk) -> APIRouter:
    """Return the routes below `/onboard`."""
    routes = APIRouter(prefix=PREFIX, tags=[TAG[0]], responses=answers(401, 403), route_class=StrictRoute)
    runs, pages = Runs(desk), Pages()

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
        run, new = runs.start(request)
        response.status_code = 202 if new else 200
        response.headers["Location"] = f"{PREFIX}/{run.id}"
        return Started.model_validate(run.model_dump())

    @routes.get(
        "",
        response_model=Page,
        dependencies=[Depends(allowed(Scope.READ))],
        responses={200: {"description": "A page of runs"}, **answers(422, 502, 503)},
    )
    async def list_runs(
        status: Annotated[
            str | None,
            Query(
                description="Only runs of this status.",
                pattern=f"^(?:{'|'.join(STATUSES)})$",
                json_schema_extra={"enum": list(STATUSES)},
            ),
        ] = None,
        limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE, description="At most so many runs.")] = 100,
        after: Annotated[str, Query(max_length=LONGEST_SLUG, description="`next` of the page before.")] = "",
    ) -> Response:
        """List all runs, in the order of their ids."""
        catalogue = desk.catalogue
        view = catalogue.view() if catalogue.has_read else await run_in_threadpool(catalogue.refresh)
        asked = (status, after, limit)
        page = pages.page(view, asked, lambda: _page(runs.of(view), *asked))
        return Response(page, media_type=_JSON)

    @routes.get(
        "/{id}",
        response_model=OnboardingRun,
        dependencies=[Depends(allowed(Scope.READ))],
        responses={200: {"description": "The run"}, **answers(404, 422, 502, 503)},
    )
    async def get_run(id: RunId) -> OnboardingRun:  # noqa: A002 - mesh-six's name
        """Tell where one run stands."""
        if found := runs.of(desk.catalogue.view()).get(id):
            return found
        return await run_in_threadpool(runs.run, id)

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
    def submit_tokens(id: RunId, tokens: TokenSubmission) -> OnboardingRun:  # noqa: A002 - mesh-six's name
        """Hand over the tokens of a login to a run that waits for them: they are sealed and committed.

        The same tokens again change nothing.
        """
        return runs.submit(id, tokens.content())

    return routes


def _page(runs: Mapping[str, OnboardingRun], status: str | None, after: str, limit: int) -> bytes:
    matching = [run for run in runs.values() if status is None or run.status == status]
    following = [run for run in matching if run.id > after]
    shown = following[:limit]
    more = shown[-1].id if len(following) > len(shown) else None
    return Page(runs=shown, total=len(matching), next=more).model_dump_json().encode()
