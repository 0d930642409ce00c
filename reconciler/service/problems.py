"""Errors as `application/problem+json` (RFC 9457): what happened and what to do, never what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from reconciler.errors import (
    ConfigurationError,
    Conflict,
    ReconcilerError,
    SystemFault,
    Unavailable,
    UnknownProject,
    UsageError,
)
from reconciler.model.project_spec import OnboardProjectRequest
from reconciler.project_file import InvalidFiles, explained

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"


class FieldProblem(BaseModel):
    """One field that is wrong: `pointer` is a JSON pointer into the body, or a parameter's name."""

    pointer: str
    detail: str
    remedy: str = ""


class Problem(BaseModel):
    """An error's body."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    remedy: str = ""
    errors: Sequence[FieldProblem] = ()


class ProblemResponse(JSONResponse):
    """A problem as an answer."""

    media_type = MEDIA_TYPE

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        remedy: str = "",
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        title = HTTPStatus(status).phrase
        problem = Problem(title=title, status=status, detail=detail, remedy=remedy, errors=errors)
        super().__init__(problem.model_dump(exclude_defaults=True), status, headers)

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - starlette's own
        """Put `type` first, which is never said otherwise than by default."""
        return super().render({"type": "about:blank", **content})


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of these statuses' answers, for a route's `responses`."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Have every error of this app come out as a problem."""
    app.add_exception_handler(ReconcilerError, _ours)
    app.add_exception_handler(InvalidFiles, _invalid_file)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _plain)
    app.add_exception_handler(Exception, _unexpected)


_STATUSES: tuple[tuple[type[ReconcilerError], int], ...] = (
    (UnknownProject, 404),
    (Conflict, 409),
    (ConfigurationError, 503),
    (UsageError, 422),
    (Unavailable, 503),
    (SystemFault, 502),
)


def _ours(_: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, ReconcilerError)  # noqa: S101 - registered for it
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
    headers = {"Retry-After": "30"} if isinstance(error, Unavailable) else None
    return ProblemResponse(status, error.message, remedy=error.remedy, headers=headers)


def _invalid_file(_: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, InvalidFiles)  # noqa: S101 - registered for it
    # The places are those of a file that nobody sees.
    errors = [FieldProblem(pointer="", detail=each.message, remedy=each.remedy) for each in error.found]
    return ProblemResponse(422, "No project file can be made of this request.", errors=errors)


def _invalid_request(_: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    errors = []
    for each in error.errors():
        where, *keys = (str(part) for part in each["loc"])
        if each["type"] == "json_invalid":
            return ProblemResponse(400, "The body is not JSON.")
        if not keys:
            errors.append(FieldProblem(pointer="", detail="the body must be a JSON object"))
            continue
        detail, remedy = explained(keys, OnboardProjectRequest, each)
        pointer = "/" + "/".join(keys) if where == "body" else keys[-1]
        errors.append(FieldProblem(pointer=pointer, detail=detail, remedy=remedy))
    return ProblemResponse(422, "The request is not valid.", errors=errors)


def _plain(_: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    return ProblemResponse(error.status_code, str(error.detail), headers=error.headers)


def _unexpected(_: Request, error: Exception) -> ProblemResponse:
    log.error("request failed unexpectedly", error=type(error).__name__)
    return ProblemResponse(500, "This is a defect; the log of the service says more.")
