"""What OpenAPI tells callers of this service beyond what FastAPI makes of the routes. Serves nothing.

FastAPI describes its own errors, which nobody here ever gets: every error is a problem (`problems.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from reconciler.engine.schema import tidy
from reconciler.faces.http.item_routes import TAG
from reconciler.faces.http.problems import FieldProblem, Problem

TEXT = (
    "Makes what is asked for around mesh-six, and keeps it so. "
    "Everything that is asked for becomes a file in the config repository, and everything that is told is "
    "read from there: a person with git sees and does the same. The same request again gives the same answer."
)
SERVERS = [{"url": "/", "description": "Where this description was read from."}]
_THEIRS = ("HTTPValidationError", "ValidationError")
_TOKEN = "BearerToken"  # noqa: S105 - the scheme's name
_REFERENCE = "#/components/schemas/{model}"


class DescribedApp(FastAPI):
    """An app whose description says what the service really answers."""

    _description: dict[str, Any] | None = None

    def __init__(self, guarded: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401 - FastAPI's own
        """`guarded`: how the paths begin that need a token."""
        super().__init__(**options)
        self._guarded = guarded

    def openapi(self) -> dict[str, Any]:
        """Return the description; made once, for all routes are there before anybody asks."""
        if self._description is None:
            self._description = _whole(super().openapi(), self._guarded)
        return self._description


def tags(of_kinds: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return the groups of operations, each with its sentence."""
    operation = ("operation", "What probes, Prometheus and GitHub ask.")
    return [{"name": name, "description": sentence} for name, sentence in (TAG, *of_kinds, operation)]


def operation_id(route: APIRoute) -> str:
    """Return the name that generated clients give a call: the function's, in camel case."""
    first, *more = route.name.split("_")
    return first + "".join(word.capitalize() for word in more)


def _whole(document: dict[str, Any], guarded: tuple[str, ...]) -> dict[str, Any]:
    schemas = document["components"]["schemas"]
    for name in _THEIRS:
        schemas.pop(name, None)
    for each in (FieldProblem, Problem):
        schemas[each.__name__] = each.model_json_schema(ref_template=_REFERENCE, mode="serialization")
        schemas[each.__name__].pop("$defs", None)
    document["components"]["schemas"] = dict(sorted(tidy(schemas).items()))
    document["components"]["securitySchemes"][_TOKEN] = {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of `serve.tokens`; `reconcile token` makes one.",
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _describe(operation)
            if path.startswith(guarded):
                operation["security"] = [{_TOKEN: []}]
    return document


def _describe(operation: dict[str, Any]) -> None:
    """Head an operation with its first sentence, and put what it takes and answers in order."""
    operation["summary"] = operation["description"].partition("\n")[0].rstrip(".")
    operation["responses"] = {
        status: answer
        for status, answer in sorted(operation["responses"].items())
        if _THEIRS[0] not in str(answer)
    }
    for parameter in operation.get("parameters", ()):
        schema = tidy(parameter["schema"])
        schema.pop("description", None)
        # What is left out of a query is not there; no query says null.
        parameter["schema"] = schema["anyOf"][0] if {"type": "null"} in schema.get("anyOf", ()) else schema
