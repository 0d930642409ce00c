"""What a file in `projects/` may ask for: the kinds by name, and their JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.kinds.project import PROJECT
from reconciler.resources.contract import Kind

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (PROJECT,)}


def json_schema(kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """Return the JSON Schema of a file of any of these kinds."""
    schemas = [tidy(kind.spec.model_json_schema(by_alias=True)) for kind in kinds.values()]
    whole = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "mesh-six project file"}
    return {**head, **whole}


def tidy(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """Return it without the titles that pydantic makes of names, and with descriptions in one line."""
    if isinstance(schema, list):
        return [tidy(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: value if key == "examples" else tidy(value)
        for key, value in schema.items()
        if key != "title" or isinstance(value, dict)
    }
    if isinstance(text := made.get("description"), str):
        made["description"] = " ".join(text.split())
    return made
