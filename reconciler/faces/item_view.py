"""Items as the faces tell of them: what the files in git say, and what pull requests ask for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict

from reconciler.engine.kind import Kinds
from reconciler.engine.stages import report
from reconciler.faces.sealed_entry import next_step
from reconciler.model.item import Item, ItemId
from reconciler.model.loaded import Loaded
from reconciler.model.outcome import ItemReport, Status

PENDING = "Nothing to do: the next pass looks at it for the first time."


@dataclass(frozen=True)
class Proposed:
    """An item that a pull request asks for."""

    item: Item[Any]
    url: str
    state: str
    """`open` or `closed`; a merged one is an item."""


class ResourceView(BaseModel):
    """One thing that an item has in one system."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str
    """What it is called in plans and status files."""
    phase: str
    """The phase that it belongs to."""
    state: str
    """ok, skipped, waiting, blocked or error."""
    reason: str | None = None
    """Why."""
    remedy: str | None = None
    """What to do about it."""


class ItemView(BaseModel):
    """One item, whatever its kind."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    kind: str
    """What its file asks for."""
    slug: str
    """Its name; slugs are one namespace for each kind."""
    status: str
    """The first that applies: suspended, offboarding, failed, what its kind waits for, pending, completed."""
    phase: str | None = None
    """The first phase that is not done."""
    next: str | None = None
    """What a person has to do, in one sentence; null when there is nothing."""
    source: str
    """Its file in the config repository."""
    pull_request: str | None = None
    """The pull request that asks for it, while it is not merged."""
    resources: Sequence[ResourceView] = ()
    """What it has in each system, in the order in which that is made."""


def reports_of(loaded: Loaded, kinds: Kinds, proposed: Mapping[ItemId, Proposed]) -> dict[ItemId, ItemReport]:
    """Return every item's report as git tells it, in the order of their names."""
    found = {item.id: _report(item, kinds, loaded) for item in loaded.items}
    for each, document in loaded.statuses.items():
        if each not in found:
            found[each] = report.written(each, kinds[each.kind], document)
    for each, asked in proposed.items():
        found.setdefault(each, _asked_for(asked))
    return {each: found[each] for each in sorted(found)}


def view_of(each: ItemReport, proposed: Mapping[ItemId, Proposed]) -> ItemView:
    """Return one item as it is told."""
    asked = proposed.get(each.id)
    return ItemView(
        kind=each.kind,
        slug=each.slug,
        status=each.status,
        phase=each.phase or None,
        next=each.todo or None,
        source=each.source,
        pull_request=asked.url
        if asked and asked.item.source.path == each.source and not each.outcomes
        else None,
        resources=[
            ResourceView(
                name=outcome.resource,
                phase=outcome.phase,
                state=str(outcome.condition),
                reason=outcome.reason or None,
                remedy=outcome.remedy or None,
            )
            for outcome in each.outcomes
        ],
    )


def _report(item: Item[Any], kinds: Kinds, loaded: Loaded) -> ItemReport:
    kind = kinds[item.kind]
    if error := loaded.unreadable_statuses.get(item.id):
        return report.unreadable(item, error)
    if document := loaded.status(item.id):
        return replace(report.written(item.id, kind, document), todo=next_step(document, kind))
    return ItemReport(item.id, Status.PENDING, "", PENDING, (), item.source.path)


def _asked_for(asked: Proposed) -> ItemReport:
    if asked.state == "open":
        status, todo = Status.PENDING, f"Review and merge {asked.url}."
    else:
        status = Status.FAILED
        todo = f"{asked.url} was closed without merging. Delete its branch to be able to ask again."
    return ItemReport(asked.item.id, status, "", todo, (), asked.item.source.path)
