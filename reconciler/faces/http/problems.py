"""Errors as `application/problem+json` (RFC 9457): what happened and what to do, never what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from reconciler.engine.item_file import InvalidFiles, explained
from reconciler.model.errors import (
    ConfigurationError,
    Conflict,
    ReconcilerError,
    SystemFault,
    Unavailable,
    UnknownItem,
    UnsafeError,
    UsageError,
)

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
_SCHEMA = "see /openapi.json for what each field takes"


class FieldProblem(BaseModel):
    """One field that is wrong."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    pointer: str
    """A JSON pointer into the body, or a parameter's name; empty for the whole body."""
    detail: str
    """What is wrong with it; never the value."""
    remedy: str = ""
    """What to write."""


class Problem(BaseModel):
    """An error's body (RFC 9457)."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Conflict",
                    "status": 409,
                    "detail": "projects/acme-widgets.yaml asks for something else for acme-widgets",
                    "remedy": "change projects/acme-widgets.yaml by a pull request",
                }
            ]
        },
    )

    type: str = "about:blank"
    """Always this: the status says which kind of error it is."""
    title: str
    """The status in words."""
    status: int
    """The status."""
    detail: str
    """What happened."""
    remedy: str = ""
    """What to do about it, where that is known."""
    errors: Sequence[FieldProblem] = ()
    """Every field that is wrong."""


_MEANINGS = {
    400: "The request cannot be read",
    401: "The token, or the signature, is missing or not valid",
    403: "The token lacks the scope",
    404: "There is no such thing",
    408: "The request was not there in time",
    409: "It does not go with what is there already",
    413: "The body is too large",
    415: "The body is not said to be JSON",
    422: "The request can be read, and is not valid",
    500: "A defect, or a refusal to destroy something",
    502: "A system that is needed refused, or made no sense",
    503: "A system that is needed is not set up, or does not answer now",
}
_HEADERS = {
    401: {"WWW-Authenticate": {"description": "`Bearer`, for a token.", "schema": {"type": "string"}}},
    503: {"Retry-After": {"description": "Seconds, where waiting helps.", "schema": {"type": "integer"}}},
}


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
            "description": _MEANINGS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            **({"headers": _HEADERS[status]} if status in _HEADERS else {}),
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
    (UnknownItem, 404),
    (Conflict, 409),
    (ConfigurationError, 503),
    (UnsafeError, 503),
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
    return ProblemResponse(422, "No file can be made of this request.", errors=errors)


def _invalid_request(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    body = getattr(request.scope.get("route"), "body_field", None)
    model = body.field_info.annotation if body is not None else BaseModel
    errors = []
    for each in error.errors():
        where, *keys = (str(part) for part in each["loc"])
        if each["type"] == "json_invalid":
            return ProblemResponse(400, "The body is not JSON.")
        if not keys:
            errors.append(FieldProblem(pointer="", detail="the body must be a JSON object"))
            continue
        detail, remedy = explained(keys, model, each)
        pointer = "/" + "/".join(keys) if where == "body" else keys[-1]
        errors.append(FieldProblem(pointer=pointer, detail=detail, remedy=remedy or _SCHEMA))
    return ProblemResponse(422, "The request is not valid.", errors=errors)


def _plain(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        # The framework names the methods of one route only, where a path has one for each method.
        path = getattr(request.scope.get("route"), "path", "")
        if methods := request.app.openapi()["paths"].get(path):
            headers["Allow"] = ", ".join(method.upper() for method in methods)
    return ProblemResponse(error.status_code, str(error.detail), headers=headers)


def _unexpected(_: Request, error: Exception) -> ProblemResponse:
    log.error("request failed unexpectedly", error=type(error).__name__)
    return ProblemResponse(500, "This is a defect; the log of the service says more.")
