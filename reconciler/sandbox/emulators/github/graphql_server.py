"""POST /graphql: from text to answer. Errors come inside a 200, next to what is valid."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    execute_sync,
    get_named_type,
    get_operation_ast,
    parse,
    validate,
    visit,
)
from graphql.execution import get_variable_values
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from reconciler.sandbox.emulators.github.call import Call, Endpoint, common_headers, identify
from reconciler.sandbox.emulators.github.errors import GraphQLRefusal, Refusal
from reconciler.sandbox.emulators.github.graphql_cost import Cost, CostWalk
from reconciler.sandbox.emulators.github.graphql_values import Session
from reconciler.sandbox.emulators.github.identity import ANONYMOUS, Identity
from reconciler.sandbox.emulators.github.resolvers import RESOLVERS
from reconciler.sandbox.emulators.github.world import World

REMEMBERED_DOCUMENTS = 64
Body = dict[str, Any]


@dataclass(frozen=True)
class Prepared:
    """A query text, parsed and validated once; `scopes` says which field needs which classic scope."""

    document: DocumentNode
    errors: tuple[Body, ...]
    scopes: tuple[tuple[str, str, Body], ...]


class GraphQLServer:
    """Holds the schema and the last few documents."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._schema = load_schema()
        self._prepared: OrderedDict[str, Prepared] = OrderedDict()

    def endpoint(self) -> Endpoint:
        """Return the Starlette endpoint."""

        async def respond(request: Request) -> Response:
            raw = await request.body()
            identity = ANONYMOUS
            try:
                identity = self._admitted(request)
                self._world.limits.admit(identity, "graphql")
                body, status = self._answer(Call(request, self._world, identity, raw)), 200
                headers: Mapping[str, str] = {}
            except Refusal as refusal:
                body, status, headers = _refused(refusal), refusal.status, refusal.headers
            return JSONResponse(body, status, {**common_headers(self._world, identity, "graphql"), **headers})

        return respond

    def _admitted(self, request: Request) -> Identity:
        if not request.headers.get("user-agent"):
            raise Refusal(403, "Request forbidden by administrative rules.")
        identity = identify(self._world, request)
        if identity.anonymous:
            raise Refusal(401, "This endpoint requires you to be authenticated.")
        return identity

    def _answer(self, call: Call) -> Body:
        query, variables = call.body.get("query"), call.body.get("variables") or {}
        if not isinstance(query, str):
            return {"errors": [{"message": "A query attribute must be specified and must be a string."}]}
        try:
            prepared = self._prepare(query)
            if prepared.errors:
                return {"errors": list(prepared.errors)}
            if missing := _missing_scopes(call.identity, prepared):
                return {"errors": missing}
            return self._execute(call, prepared.document, variables)
        except GraphQLError as error:
            return {"errors": [_shown(error)]}
        except GraphQLRefusal as refusal:
            return {"errors": [{"type": refusal.kind, "message": str(refusal)}]}

    def _execute(self, call: Call, document: DocumentNode, variables: Body) -> Body:
        operation = get_operation_ast(document, call.body.get("operationName"))
        if operation is None:
            return {"errors": [{"message": "An operation name is required"}]}
        cost = self._cost(document, operation, variables)
        self._world.limits.charge(call.identity, "graphql", cost.points)
        result = execute_sync(
            self._schema,
            document,
            variable_values=variables,
            operation_name=call.body.get("operationName"),
            context_value=Session(call, cost),
        )
        errors = {"errors": [_shown(error) for error in result.errors]} if result.errors else {}
        return {"data": result.data, **errors}

    def _cost(self, document: DocumentNode, operation: OperationDefinitionNode, variables: Body) -> Cost:
        values = get_variable_values(self._schema, operation.variable_definitions or (), variables)
        if isinstance(values, list):
            raise values[0]
        return CostWalk(self._schema, document, values.coerced).run(operation)

    def _prepare(self, query: str) -> Prepared:
        if query in self._prepared:
            self._prepared.move_to_end(query)
            return self._prepared[query]
        document = parse(query)
        errors = tuple(_shown(error) for error in validate(self._schema, document))
        prepared = Prepared(document, errors, () if errors else _scopes(self._schema, document))
        self._prepared[query] = prepared
        if len(self._prepared) > REMEMBERED_DOCUMENTS:
            self._prepared.popitem(last=False)
        return prepared


def schema_text() -> str:
    """Return the schema's definition."""
    files = sorted(Path(__file__).parent.glob("*.graphql"))
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


@cache
def load_schema() -> GraphQLSchema:
    """Return the schema with its resolvers."""
    schema = build_schema(schema_text())
    for name, resolver in RESOLVERS.items():
        type_name, _, field = name.partition(".")
        owner = schema.type_map[type_name]
        assert isinstance(owner, GraphQLObjectType)  # noqa: S101 - only those have resolvers
        owner.fields[field].resolve = resolver
    return schema


def _refused(refusal: Refusal) -> Body:
    if refusal.status != 200:
        return refusal.body()
    return {"errors": [{"type": "RATE_LIMITED", "message": refusal.message}]}


def _shown(error: GraphQLError) -> Body:
    original = error.original_error
    if original is not None and not isinstance(original, GraphQLRefusal | GraphQLError):
        raise original
    kind = {"type": original.kind} if isinstance(original, GraphQLRefusal) else {}
    path = {"path": error.path} if error.path else {}
    places = [{"line": one.line, "column": one.column} for one in error.locations or []]
    return {**kind, **path, "locations": places, "message": error.message}


class _ScopeVisitor(Visitor):
    """Collects the fields that need `read:project` or `project`."""

    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self._types = types
        self.found: list[tuple[str, str, Body]] = []

    def enter_field(self, node: FieldNode, *_: object) -> None:
        parent, target = self._types.get_parent_type(), self._types.get_type()
        names = [getattr(parent, "name", ""), get_named_type(target).name if target else ""]
        if parent is None or not (names[1].startswith("ProjectV2") or names[0].startswith("ProjectV2")):
            is_board_mutation = names[0] == "Mutation" and "ProjectV2" in node.name.value
            if not is_board_mutation:
                return
        if names[0] == "ProjectV2Owner" and not names[1].startswith("ProjectV2"):
            return
        scope = "project" if names[0] == "Mutation" else "read:project"
        line, column = (node.loc.start_token.line, node.loc.start_token.column) if node.loc else (1, 1)
        self.found.append((node.name.value, scope, {"line": line, "column": column}))


def _scopes(schema: GraphQLSchema, document: DocumentNode) -> tuple[tuple[str, str, Body], ...]:
    types = TypeInfo(schema)
    visitor = _ScopeVisitor(types)
    visit(document, TypeInfoVisitor(types, visitor))
    return tuple(visitor.found)


def _missing_scopes(identity: Identity, prepared: Prepared) -> list[Body]:
    """Return GitHub's refusal of the whole query, without any data, when a classic token lacks a scope."""
    if not identity.is_user:
        return []
    held = set(identity.scopes) | ({"read:project"} if "project" in identity.scopes else set())
    return [
        {
            "type": "INSUFFICIENT_SCOPES",
            "locations": [place],
            "message": (
                "Your token has not been granted the required scopes to execute this query. "
                f"The '{field}' field requires one of the following scopes: ['{scope}'], but your token has "
                f"only been granted the: {json.dumps(list(identity.scopes))} scopes. Please modify your "
                "token's scopes at: https://github.com/settings/tokens."
            ),
        }
        for field, scope, place in prepared.scopes
        if scope not in held
    ]
