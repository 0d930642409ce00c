"""What OpenAPI tells callers of this service beyond what FastAPI makes of the routes. Serves nothing.

FastAPI describes its own errors, which nobody here ever gets: every error is a problem (`problems.py`).
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from reconciler.kinds import tidy
from reconciler.service.middleware import GUARDED
from reconciler.service.problems import FieldProblem, Problem

TEXT = (
    "Onboards GitHub repositories to mesh-six. A run is one project; its id is the project's slug. "
    "Everything that is asked for becomes a file in the config repository, and everything that is told is "
    "read from there: a person with git sees and does the same. The same request again gives the same run."
)
TAGS = [
    {
        "name": "onboarding",
        "description": "Ask for projects, see where they stand, hand over a login's tokens.",
    },
    {"name": "operation", "description": "What probes, Prometheus and GitHub ask."},
]
SERVERS = [{"url": "/", "description": "Where this description was read from."}]
_THEIRS = ("HTTPValidationError", "ValidationError")
_TOKEN = "BearerToken"  # noqa: S105 - the scheme's name
_REFERENCE = "#/components/schemas/{model}"


class DescribedApp(FastAPI):
    """An app whose description says what the service really answers."""

    _description: dict[str, Any] | None = None

    def openapi(self) -> dict[str, Any]:
        """Return the description; made once, for all routes are there before anybody asks."""
        if self._description is None:
            self._description = _whole(super().openapi())
        return self._description


def operation_id(route: APIRoute) -> str:
    """Return the name that generated clients give a call: the function's, in camel case."""
    first, *more = route.name.split("_")
    return first + "".join(word.capitalize() for word in more)


def _whole(document: dict[str, Any]) -> dict[str, Any]:
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
            if path.startswith(GUARDED):
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
