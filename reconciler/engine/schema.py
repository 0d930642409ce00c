"""The JSON Schema of the files that kinds take: what editors complete and check by."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from reconciler.engine.kind import Kinds

_REFERENCE = "#/$defs/{model}"


def json_schema(kinds: Kinds) -> dict[str, Any]:
    """Return the JSON Schema of a file of any of these kinds.

    Every kind's schema is in `$defs`, where references lead; which one counts is told by `kind`, or by its
    absence for the kind of files that name none. So an editor complains about the fields of that kind alone.
    """
    specs = [(kind.spec, "validation") for kind in kinds.values()]
    references, whole = models_json_schema(specs, by_alias=True, ref_template=_REFERENCE)  # type: ignore[arg-type]
    definitions = tidy(whole.get("$defs", {}))
    branches: list[dict[str, Any]] = []
    for name, kind in kinds.items():
        named = {"properties": {"kind": {"const": name}}}
        # Where `kind` is left out, `properties` alone holds too.
        required = {} if kind is kinds.first else {"required": ["kind"]}
        reference = references[kind.spec, "validation"]
        branches.append({"if": {**named, **required}, "then": reference})
        properties = definitions[reference["$ref"].rpartition("/")[2]]["properties"]
        properties["onRemove"]["propertyNames"] = {"enum": [each.name for each in kind.resources]}
        properties["kind"] = {
            "const": name,
            "description": "What the file asks for.",
            **({"default": name} if kind is kinds.first else {}),
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "File in projects/ of the mesh-six reconciler",
        "type": "object",
        "properties": {"kind": {"enum": list(kinds), "description": "What the file asks for."}},
        **({} if kinds.first else {"required": ["kind"]}),
        **({"allOf": branches} if branches else {}),
        "$defs": definitions,
    }


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
