"""The description of the HTTP API is whole, and has nothing in it that the service does not mean."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from docs import openapi

DOCUMENT: dict[str, Any] = json.loads(openapi.page())
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
OPEN = {"GET /healthz", "GET /readyz", "GET /metrics"}


def test_the_published_page_is_up_to_date() -> None:
    published = Path(openapi.__file__).with_name("openapi.json")
    assert published.read_text(encoding="utf-8") == openapi.page(), "run `make docs`"


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(DOCUMENT)))
    assert named == set(SCHEMAS)


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(names)) == len(names)
    for operation in OPERATIONS.values():
        assert operation["description"]
        assert all(each["description"] for each in operation.get("parameters", []))
        assert all(each["description"] for each in operation["responses"].values())


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_what_needs_a_secret_says_so(name: str) -> None:
    operation = OPERATIONS[name]
    assert ("security" in operation) == ("401" in operation["responses"]) == (name not in OPEN)
    for scheme in operation.get("security", []):
        assert scheme.keys() <= DOCUMENT["components"]["securitySchemes"].keys()


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_error_is_a_problem(name: str) -> None:
    for status, answer in OPERATIONS[name]["responses"].items():
        if int(status) >= 400 and name != "GET /readyz":
            assert list(answer["content"]) == ["application/problem+json"]


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_field_is_described_and_every_example_fits(name: str) -> None:
    schema = SCHEMAS[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert [key for key, each in schema.get("properties", {}).items() if not each.get("description")] == []
    whole = {**schema, "components": DOCUMENT["components"]}
    for example in schema.get("examples", []):
        jsonschema.validate(example, whole, jsonschema.Draft202012Validator)


def test_every_link_leads_to_an_operation() -> None:
    names = {operation["operationId"] for operation in OPERATIONS.values()}
    links = [
        link["operationId"]
        for operation in OPERATIONS.values()
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    assert links
    assert set(links) <= names
