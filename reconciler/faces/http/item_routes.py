"""The routes that items of every kind have. What they do is in `faces.desk` and `faces.catalogue`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Body, Depends, HTTPException, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, JsonValue
from starlette.concurrency import run_in_threadpool

from reconciler.faces.catalogue import View
from reconciler.faces.desk import Desk
from reconciler.faces.http.listing import Pages
from reconciler.faces.http.middleware import LARGEST_BODY, allowed
from reconciler.faces.http.problems import answers
from reconciler.faces.http.strict_json import StrictRoute
from reconciler.faces.item_view import ItemView, view_of
from reconciler.model.item import ItemId
from reconciler.settings.program import Scope

PREFIX = "/items"
TAG = ("items", "Ask for items of any kind, see where they stand, hand over what they wait for.")
LONGEST_PAGE = 1_000
KindName = Annotated[str, Path(description="The kind.", max_length=48, examples=["project"])]
Slug = Annotated[str, Path(description="The item's name.", max_length=200, examples=["acme-widgets"])]
_JSON = "application/json"


class ItemPage(BaseModel):
    """Some items."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: Sequence[ItemView]
    """In the order of kinds and slugs."""
    total: int
    """How many items there are on all pages."""
    next: str | None = None
    """What to send as `after` for the page that follows; null on the last one."""


def router(desk: Desk) -> APIRouter:
    """Return the routes below `/items`."""
    routes = APIRouter(prefix=PREFIX, tags=[TAG[0]], responses=answers(401, 403), route_class=StrictRoute)
    catalogue, pages = desk.catalogue, Pages()

    @routes.get(
        "",
        response_model=ItemPage,
        dependencies=[Depends(allowed(Scope.READ))],
        responses={200: {"description": "A page of items"}, **answers(422, 502, 503)},
    )
    async def list_items(
        kind: Annotated[str | None, Query(max_length=48, description="Only items of this kind.")] = None,
        status: Annotated[str | None, Query(max_length=48, description="Only items of this status.")] = None,
        limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE, description="At most so many items.")] = 100,
        after: Annotated[str, Query(max_length=100, description="`next` of the page before.")] = "",
    ) -> Response:
        """List all items, in the order of kinds and slugs."""
        view = catalogue.view() if catalogue.has_read else await run_in_threadpool(catalogue.refresh)
        asked = (kind, status, limit, after)
        return Response(pages.page(view, asked, lambda: _page(view, *asked)), media_type=_JSON)

    @routes.get(
        "/{kind}/{slug}",
        response_model=ItemView,
        dependencies=[Depends(allowed(Scope.READ))],
        responses={200: {"description": "The item"}, **answers(404, 422, 502, 503)},
    )
    async def get_item(kind: KindName, slug: Slug) -> ItemView:
        """Tell where one item stands, with all that it has in each system."""
        item = ItemId(kind, slug)
        view = catalogue.view()
        if item not in view.reports:
            view = await run_in_threadpool(catalogue.view_with, item)
        return view_of(view.reports[item], view.proposed)

    @routes.post(
        "/{kind}",
        status_code=202,
        max_body_size=LARGEST_BODY,
        response_model=ItemView,
        dependencies=[Depends(allowed(Scope.WRITE))],
        responses={
            200: {"model": ItemView, "description": "The same was asked for before"},
            202: {"description": "Asked for; a pass does the rest"},
            **answers(400, 404, 409, 413, 415, 422, 500, 502, 503),
        },
    )
    def ask_for_item(
        kind: KindName,
        fields: Annotated[
            dict[str, JsonValue],
            Body(description="The fields of the file; `reconcile schema` tells those of each kind."),
        ],
        response: Response,
    ) -> ItemView:
        """Ask for an item: opens a pull request with its file, or commits it.

        The same request again gives the same item.
        """
        made, new = desk.ask(kind, fields)
        response.status_code = 202 if new else 200
        response.headers["Location"] = f"{PREFIX}/{made.id}"
        return view_of(made, catalogue.view().proposed)

    @routes.post(
        "/{kind}/{slug}/secret",
        status_code=202,
        max_body_size=LARGEST_BODY,
        response_model=ItemView,
        dependencies=[Depends(allowed(Scope.SUBMIT_TOKENS))],
        responses={
            202: {"description": "Sealed and committed; a pass takes it"},
            **answers(400, 404, 409, 413, 415, 422, 500, 502, 503),
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {_JSON: {"schema": {"type": "object", "description": "What the item asks for."}}},
            }
        },
    )
    async def hand_over_secret(kind: KindName, slug: Slug, request: Request) -> ItemView:
        """Hand over the secret that an item waits for, like a login's tokens: it is sealed and committed.

        The same secret again changes nothing.
        """
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
            raise HTTPException(415, "Send JSON, with the header `Content-Type: application/json`.")
        content = await request.body()
        told = await run_in_threadpool(desk.hand_over, ItemId(kind, slug), content)
        return view_of(told, catalogue.view().proposed)

    return routes


def _page(view: View, kind: str | None, status: str | None, limit: int, after: str) -> bytes:
    matching = [
        each
        for each in view.reports.values()
        if (kind is None or each.kind == kind) and (status is None or each.status == status)
    ]
    following = [each for each in matching if (each.kind, each.slug) > _name(after)]
    shown = following[:limit]
    return (
        ItemPage(
            items=[view_of(each, view.proposed) for each in shown],
            total=len(matching),
            next=str(shown[-1].id) if len(following) > len(shown) else None,
        )
        .model_dump_json()
        .encode()
    )


def _name(after: str) -> tuple[str, str]:
    kind, _, slug = after.partition("/")
    return kind, slug
