"""What a call may say, and how LiteLLM refuses what it may not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

MOST = 100


class Refusal(Exception):
    """An answer that is an error. Its shape depends on where in LiteLLM it comes from."""

    def __init__(self, status: int, message: str, kind: str, param: str | None = None) -> None:
        super().__init__(message)
        error = {"message": message, "type": kind, "param": param, "code": str(status)}
        self.response: Response = JSONResponse({"error": error}, status)


class Detail(Refusal):
    """An error as LiteLLM's web framework writes it; a body or query of the wrong form is one."""

    def __init__(self, status: int, detail: object) -> None:
        super().__init__(status, "", "")
        self.response = JSONResponse({"detail": detail}, status)


class Crash(Refusal):
    """A body that is JSON and no object is more than LiteLLM expects."""

    def __init__(self) -> None:
        super().__init__(500, "", "")
        error = {"message": "Internal server error", "type": "internal_server_error"}
        self.response = JSONResponse({"error": error}, 500)


def bad(message: str, status: int = 400) -> Refusal:
    """Refuse as most routes do: the message is the repr of a dict."""
    return Refusal(status, str({"error": message}), "internal_server_error")


def masked(value: str) -> str:
    """Return a value as LiteLLM quotes one that is no key."""
    return f"{value[:4]}****{value[-4:]}" if len(value) > 8 else "****"


class _Call(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    def given(self) -> dict[str, Any]:
        """Return only the fields that were sent."""
        return self.model_dump(exclude_unset=True)


class _Budget(_Call):
    max_budget: float | None = None
    soft_budget: float | None = None
    budget_duration: str | None = None
    tpm_limit: int | None = None
    rpm_limit: int | None = None


class NewTeam(_Budget):
    """Body of `/team/new`."""

    team_id: str | None = None
    team_alias: str | None = None
    models: list[Any] = []
    metadata: dict[str, Any] | None = None
    model_aliases: dict[str, Any] | None = None
    blocked: bool = False


class TeamUpdate(_Budget):
    """Body of `/team/update`."""

    team_id: str
    team_alias: str | None = None
    models: list[Any] | None = None
    metadata: dict[str, Any] | None = None
    model_aliases: dict[str, Any] | None = None
    blocked: bool | None = None


class _KeyFields(_Budget):
    key: str | None = None
    key_alias: str | None = None
    team_id: str | None = None
    models: list[Any] | None = []
    aliases: dict[str, Any] | None = {}
    metadata: dict[str, Any] | None = {}
    blocked: bool | None = None


class NewKey(_KeyFields):
    """Body of `/key/generate`."""


class KeyUpdate(_KeyFields):
    """Body of `/key/update`; names the key by its value, its hash or its alias."""

    @model_validator(mode="after")
    def _names_one(self) -> KeyUpdate:
        if not self.key and not self.key_alias:
            raise ValueError("either key or key_alias must be provided")
        return self


class KeyDeletion(_Call):
    """Body of `/key/delete`."""

    keys: list[str] | None = None
    key_aliases: list[str] | None = None

    @model_validator(mode="after")
    def _names_something(self) -> KeyDeletion:
        if not self.keys and not self.key_aliases:
            raise ValueError("At least one of 'keys' or 'key_aliases' must be provided.")
        return self


class TeamQuery(_Call):
    """Query of `/v2/team/list`."""

    team_id: str | None = None
    team_alias: str | None = None
    page: int = Field(1, ge=1)
    page_size: int = Field(10, ge=1, le=MOST)


class KeyQuery(_Call):
    """Query of `/key/list`."""

    team_id: str | None = None
    key_alias: str | None = None
    return_full_object: bool = False
    page: int = Field(1, ge=1)
    size: int = Field(10, ge=1, le=MOST)


CallT = TypeVar("CallT", bound=_Call)


async def read_body(request: Request, form: type[CallT]) -> CallT:
    """Return the body in that form; refuse it as LiteLLM does."""
    content = await request.body()
    if not content:
        raise Detail(422, [{"type": "missing", "loc": ["body"], "msg": "Field required"}])
    try:
        body = json.loads(content)
    except json.JSONDecodeError as error:
        problem = {"type": "json_invalid", "loc": ["body", error.pos], "msg": "JSON decode error"}
        raise Detail(422, [problem]) from None
    if not isinstance(body, dict):
        raise Crash
    return _read(form, body, "body")


def read_query(request: Request, form: type[CallT]) -> CallT:
    """Return the query in that form; refuse it as LiteLLM does."""
    return _read(form, request.query_params, "query")


def _read(form: type[CallT], values: Mapping[str, Any], where: str) -> CallT:
    try:
        return form.model_validate(dict(values))
    except ValidationError as error:
        raise Detail(
            422,
            [
                {"type": problem["type"], "loc": [where, *problem["loc"]], "msg": problem["msg"]}
                for problem in error.errors(include_url=False, include_input=False, include_context=False)
            ],
        ) from None


def page_of(rows: list[dict[str, Any]], page: int, size: int) -> tuple[list[dict[str, Any]], int]:
    """Return one page of the rows, newest first, and how many pages there are."""
    rows = sorted(rows, key=lambda row: str(row["created_at"]), reverse=True)
    return rows[(page - 1) * size : page * size], -(-len(rows) // size)
