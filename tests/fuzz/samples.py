"""One good file of each kind, in the ways in which people and tools write YAML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, get_args

import yaml
from pydantic import BaseModel

from reconciler.engine.kind import Kind
from reconciler.git.status_text import dump_status
from reconciler.model.yaml_read import load_yaml
from tests.support.evidence import evidence_of

Path = tuple[str, ...]
"""The keys that lead to a field."""


def sample_text(kind: Kind, name: str) -> str:
    """Return the file that asks for all that the kind has, for an item of that name."""
    evidence = evidence_of(kind)
    assert evidence is not None, f"tests/kinds/{kind.name}: shows no evidence, so there is no sample to go by"
    return evidence.sample(name)


def sample(kind: Kind, name: str) -> dict[str, Any]:
    """Return what that file says."""
    return load_yaml("projects/sample.yaml", sample_text(kind, name).encode()).values


def slug_of(kind: Kind, name: str) -> str:
    """Return the slug of the item that it asks for."""
    evidence = evidence_of(kind)
    assert evidence is not None
    return evidence.slug(name)


def styles(values: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the same file as different people and tools would write it."""
    block = dump_status(values, "# asked for by the platform team\n").decode()
    lines = block.splitlines()
    yield block.encode()
    yield block.replace("\n", "\r\n").encode()
    yield b"\xef\xbb\xbf---\n" + block.encode()
    yield block.rstrip("\n").encode()
    yield "".join(f'{line}   # why: "because" it\'s so\n\n' for line in lines[1:]).encode()
    yield json.dumps(values).encode()
    yield json.dumps(values, indent=2, ensure_ascii=False).encode() + b"\n"
    for style in (None, '"', "'"):
        for flow in (False, True, None):
            yield yaml.safe_dump(
                dict(values), default_style=style, default_flow_style=flow, allow_unicode=True, width=40
            ).encode()
    yield ("%YAML 1.2\n---\n" + block + "...\n").encode()
    yield "".join(f'? "{key}"\n: {json.dumps(value)}\n' for key, value in values.items()).encode()
    yield ("x-defaults: &defaults {suspend: false}\n<<: *defaults\n" + block).encode()


def fields(model: type[BaseModel], above: Path = ()) -> Iterator[Path]:
    """Yield every field of a file that is no mapping of further ones, as a file names it."""
    for name, field in model.model_fields.items():
        path = (*above, field.alias or name)
        inner = [each for each in (field.annotation, *get_args(field.annotation)) if _is_model(each)]
        if not inner:
            yield path
        for each in inner:
            yield from fields(each, path)


def examples(model: type[BaseModel], path: Path) -> list[Any]:
    """Return the examples that a field declares, and words that most fields take."""
    schema = model.model_json_schema()
    found: dict[str, Any] = schema
    for key in path:
        while "$ref" in found:
            found = schema["$defs"][found["$ref"].rpartition("/")[2]]
        found = found["properties"][key]
    shapes = [found, *found.get("anyOf", ())]
    return [*(each for shape in shapes for each in shape.get("examples", ())), "benign", "benign.example.org"]


def with_value(values: Mapping[str, Any], path: Path, value: object) -> dict[str, Any]:
    """Return the file with another value of one field."""
    head, *rest = path
    below = values.get(head)
    inner = with_value(below if isinstance(below, Mapping) else {}, tuple(rest), value) if rest else value
    return {**values, head: inner}


def of_kind(kind: Kind) -> ModuleType | None:
    """Return the module with what only one kind has, `tests/kinds/<kind>/fuzz.py`, where there is one."""
    place = f"tests.kinds.{kind.name}.fuzz"
    found = find_spec(f"tests.kinds.{kind.name}") and find_spec(place)
    return import_module(place) if found else None


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
