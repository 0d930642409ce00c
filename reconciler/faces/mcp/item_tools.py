"""The tools that items of every kind have: the operations of the HTTP API below `/items`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, JsonValue

from reconciler.faces.desk import Desk
from reconciler.faces.item_view import ItemView, view_of
from reconciler.faces.mcp.tool import Tool
from reconciler.model.item import ItemId, Strict
from reconciler.settings.program import Scope


class ItemQuery(Strict):
    """Which item is meant."""

    kind: str
    """Its kind, as list-items gives it."""
    slug: str
    """Its name, as list-items gives it."""


class ListQuery(Strict):
    """Which items are meant."""

    kind: str | None = None
    """Only items of this kind."""
    status: str | None = None
    """Only items of this status."""


class ItemRequest(Strict):
    """An item that is asked for."""

    kind: str
    """What is asked for."""
    fields: dict[str, JsonValue]
    """The fields of its file, as the schema of its kind has them."""


class SecretSubmission(ItemQuery):
    """An item, and the secret that it waits for."""

    secret: dict[str, JsonValue]
    """What it asks for, like the tokens of a login."""


class ItemList(BaseModel):
    """Items, without what they have in each system."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: Sequence[ItemView]
    """In the order of kinds and slugs."""


def item_tools(desk: Desk) -> Sequence[Tool]:
    """Return the tools."""
    catalogue = desk.catalogue

    def told(item: ItemId) -> ItemView:
        view = catalogue.view_with(item)
        return view_of(view.reports[item], view.proposed)

    def listed(query: ListQuery) -> ItemList:
        view = catalogue.view() if catalogue.has_read else catalogue.refresh()
        return ItemList(
            items=[
                view_of(each, view.proposed).model_copy(update={"resources": ()})
                for each in view.reports.values()
                if query.kind in {None, each.kind} and query.status in {None, each.status}
            ]
        )

    def asked(request: ItemRequest) -> ItemView:
        made, _ = desk.ask(request.kind, request.fields)
        return view_of(made, catalogue.view().proposed)

    def handed_over(sent: SecretSubmission) -> ItemView:
        made = desk.hand_over(ItemId(sent.kind, sent.slug), json.dumps(sent.secret).encode())
        return view_of(made, catalogue.view().proposed)

    return (
        Tool(
            "list-items",
            "List what was asked for, of every kind, and where each stands.",
            Scope.READ,
            ListQuery,
            ItemList,
            listed,
            writes=False,
        ),
        Tool(
            "get-item",
            "Tell where one item stands: what it has in each system, what failed, what a person has to do.",
            Scope.READ,
            ItemQuery,
            ItemView,
            lambda query: told(ItemId(query.kind, query.slug)),
            writes=False,
        ),
        Tool(
            "ask-for-item",
            "Ask for an item of any kind. Asking twice for the same gives the same item.",
            Scope.WRITE,
            ItemRequest,
            ItemView,
            asked,
        ),
        Tool(
            "hand-over-secret",
            "Hand over the secret that an item waits for. It is sealed at once.",
            Scope.SUBMIT_TOKENS,
            SecretSubmission,
            ItemView,
            handed_over,
        ),
    )
