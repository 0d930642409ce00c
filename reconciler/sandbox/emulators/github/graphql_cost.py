"""What a query costs before it runs: points, nodes, and paging that GitHub insists on.

Points: one request per instance of a connection, every `first` taken as full, divided by 100. Knows only
the schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_composite_type,
)

from reconciler.sandbox.emulators.github.errors import GraphQLRefusal

MOST_NODES = 500_000
MOST_PER_PAGE = 100


@dataclass
class Cost:
    """Connection requests and nodes so far."""

    requests: int = 0
    nodes: int = 0

    @property
    def points(self) -> int:
        """Return the points that the query is charged."""
        return max(1, round(self.requests / 100))


class CostWalk:
    """Walks one operation; raises GraphQLRefusal where paging is missing or too much is asked."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._schema = schema
        self._variables = variables
        self._fragments = {
            one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
        }
        self._cost = Cost()

    def run(self, operation: OperationDefinitionNode) -> Cost:
        """Return the operation's cost."""
        root = self._schema.get_root_type(operation.operation)
        assert root is not None  # noqa: S101 - the document was validated
        self._selection(operation.selection_set, root, 1)
        if self._cost.nodes > MOST_NODES:
            raise GraphQLRefusal(
                "MAX_NODE_LIMIT_EXCEEDED",
                f"This query requests up to {self._cost.nodes:,} possible nodes which exceeds the maximum "
                f"limit of {MOST_NODES:,}.",
            )
        return self._cost

    def _selection(self, selections: SelectionSetNode, parent: GraphQLCompositeType, times: int) -> None:
        for node in selections.selections:
            if isinstance(node, FieldNode):
                self._field(node, parent, times)
            elif isinstance(node, InlineFragmentNode):
                self._selection(node.selection_set, self._type(node, parent), times)
            elif isinstance(node, FragmentSpreadNode):
                fragment = self._fragments[node.name.value]
                self._selection(fragment.selection_set, self._type(fragment, parent), times)

    def _type(
        self, node: InlineFragmentNode | FragmentDefinitionNode, parent: GraphQLCompositeType
    ) -> GraphQLCompositeType:
        found = self._schema.get_type(node.type_condition.name.value) if node.type_condition else parent
        return found if is_composite_type(found) else parent

    def _field(self, node: FieldNode, parent: GraphQLCompositeType, times: int) -> None:
        if node.selection_set is None or not isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
            return
        definition = parent.fields.get(node.name.value)
        if definition is None:
            return
        if "first" in definition.args:
            size = self._size(node)
            self._cost.requests += times
            self._cost.nodes += times * size
            times *= size
        target = get_named_type(definition.type)
        if is_composite_type(target):
            self._selection(node.selection_set, target, times)

    def _size(self, node: FieldNode) -> int:
        given = {one.name.value: one.value for one in node.arguments or ()}
        name = node.name.value
        for bound in ("first", "last"):
            value = given.get(bound)
            size = (
                int(value.value) if isinstance(value, IntValueNode)
                else self._variables.get(value.name.value) if isinstance(value, VariableNode)
                else None
            )  # fmt: skip
            if size is None:
                continue
            # The published lower bound is 1, but gh asks for 0 where it wants only a count.
            if not 0 <= size <= MOST_PER_PAGE:
                raise GraphQLRefusal(
                    "EXCESSIVE_PAGINATION",
                    f"Requesting {size} records on the `{name}` connection exceeds the `{bound}` limit of "
                    f"{MOST_PER_PAGE} records.",
                )
            return int(size)
        raise GraphQLRefusal(
            "MISSING_PAGINATION_BOUNDARIES",
            f"You must provide a `first` or `last` value to properly paginate the `{name}` connection.",
        )
