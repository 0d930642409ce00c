"""The emulator's GraphQL schema, proven a subset of the one that GitHub publishes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    is_introspection_type,
    is_specified_scalar_type,
)

from reconciler.sandbox.emulators.github.graphql_server import schema_text
from tests.support.npm import npm_package

ADDITIONS = {
    # The option's id is in GitHub's documentation and not yet in the published schema.
    "ProjectV2SingleSelectFieldOptionInput.id is not GitHub's",
}


@pytest.fixture(scope="module")
def original() -> GraphQLSchema:
    text = (npm_package("@octokit/graphql-schema", "15.26.1") / "schema.graphql").read_text(encoding="utf-8")
    # It has a field twice, which validation would refuse.
    return build_schema(text, assume_valid=True)


def test_the_schema_is_a_subset_of_the_published_one(original: GraphQLSchema) -> None:
    ours = build_schema(schema_text())
    assert set(differences(ours, original)) == ADDITIONS


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("readme: String\n", "readme: String!\n"), "ProjectV2.readme is String!, GitHub's is String"),
        (("readme: String\n", "notes: String\n"), "ProjectV2.notes is not GitHub's"),
        (("title: String!\n}", "titel: String!\n}"), "CreateProjectV2Input.titel is not GitHub's"),
        (("  ownerId: ID!\n", ""), "CreateProjectV2Input.ownerId is required by GitHub"),
        (("  PINK\n", "  BEIGE\n"), "ProjectV2SingleSelectFieldOptionColor.BEIGE is not GitHub's"),
        (("node(id: ID!)", "node(id: ID)"), "Query.node(id) is ID, GitHub's is ID!"),
        (("first: Int", "primary: Int"), "Repository.deployKeys(primary) is not GitHub's"),
        (("scalar URI", "scalar URI\nscalar Colour"), "Colour is not GitHub's"),
    ],
)
def test_the_proof_notices_departures(original: GraphQLSchema, change: tuple[str, str], says: str) -> None:
    text = schema_text()
    assert change[0] in text
    assert says in set(differences(build_schema(text.replace(*change)), original))


def differences(ours: GraphQLSchema, original: GraphQLSchema) -> Iterator[str]:
    """Yield one sentence for everything in our schema that GitHub's does not have, or has otherwise."""
    for name, kind in ours.type_map.items():
        if is_introspection_type(kind) or is_specified_scalar_type(kind):
            continue
        theirs = original.type_map.get(name)
        if theirs is None:
            yield f"{name} is not GitHub's"
        elif type(theirs) is not type(kind):
            yield f"{name} is a {type(kind).__name__}, GitHub's is a {type(theirs).__name__}"
        else:
            yield from _members(kind, theirs)


def _members(kind: GraphQLNamedType, theirs: Any) -> Iterator[str]:
    match kind:
        case GraphQLEnumType():
            yield from _missing(kind.name, set(kind.values), set(theirs.values))
        case GraphQLUnionType():
            yield from _missing(kind.name, {t.name for t in kind.types}, {t.name for t in theirs.types})
        case GraphQLInputObjectType():
            yield from _inputs(f"{kind.name}.{{}}", kind.fields, theirs.fields)
        case GraphQLObjectType() | GraphQLInterfaceType():
            interfaces = {one.name for one in kind.interfaces}
            yield from _missing(kind.name, interfaces, {one.name for one in theirs.interfaces})
            for name, field in kind.fields.items():
                if name not in theirs.fields:
                    yield f"{kind.name}.{name} is not GitHub's"
                    continue
                if str(field.type) != str(theirs.fields[name].type):
                    yield f"{kind.name}.{name} is {field.type}, GitHub's is {theirs.fields[name].type}"
                yield from _inputs(f"{kind.name}.{name}({{}})", field.args, theirs.fields[name].args)


def _inputs(
    place: str, ours: dict[str, Any], theirs: dict[str, GraphQLArgument] | dict[str, GraphQLInputField]
) -> Iterator[str]:
    for name, one in ours.items():
        if name not in theirs:
            yield f"{place.format(name)} is not GitHub's"
        elif str(one.type) != str(theirs[name].type):
            yield f"{place.format(name)} is {one.type}, GitHub's is {theirs[name].type}"
        elif one.default_value != theirs[name].default_value:
            yield f"{place.format(name)} has another default than GitHub's"
    for name, one in theirs.items():
        if name not in ours and str(one.type).endswith("!"):
            yield f"{place.format(name)} is required by GitHub"


def _missing(place: str, ours: set[str], theirs: set[str]) -> Iterator[str]:
    for name in sorted(ours - theirs):
        yield f"{place}.{name} is not GitHub's"
