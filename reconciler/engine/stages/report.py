"""Stage five: outcomes become states, statuses and status documents; new only where the meaning is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from datetime import datetime
from typing import Any

from reconciler.engine.contract import AnyResource
from reconciler.engine.kind import Kind
from reconciler.git.status_text import merge
from reconciler.model.errors import InvalidFile
from reconciler.model.item import Identity, Item, ItemId
from reconciler.model.json import Json, Object
from reconciler.model.loaded import Loaded
from reconciler.model.outcome import Condition, ItemReport, Outcome, Status
from reconciler.model.status_file import (
    StatusChange,
    document,
    entry,
    identity,
    mapping,
    restated,
    summary,
)

UNREADABLE = "Mend its status file, or delete it and let the next pass write it anew: {error}"
FROZEN = "Frozen as last known: {source} is broken, see its error. Nothing is looked at or changed meanwhile."
SUSPENDED = "Suspended by its file: nothing is looked at or changed. Remove `suspend: true` to go on."


def report(item: Item[Any], kind: Kind, outcomes: tuple[Outcome, ...], loaded: Loaded) -> ItemReport:
    """Return one item's report from its outcomes."""
    old = loaded.status(item.id)
    status, phase, todo = summary(outcomes, old, kind.waits)
    known = _identity(item, kind, outcomes, identity(old))
    return ItemReport(item.id, status, phase, todo, outcomes, item.source.path, known)


def _identity(
    item: Item[Any], kind: Kind, outcomes: Iterable[Outcome], written: Identity | None
) -> Identity | None:
    """Return what this pass knows the item to be; what nothing has confirmed leaves what is written."""
    if kind.proof is None:
        return Identity(item.spec.claim())
    for outcome in outcomes:
        if outcome.resource == kind.proof.resource and outcome.condition in {Condition.OK, Condition.CHANGED}:
            proof = outcome.outputs.get(kind.proof.output)
            if proof is not None:
                return Identity(item.spec.claim(), str(proof))
    return written


def at_rest(loaded: Loaded) -> Iterator[ItemReport]:
    """Yield the reports of items that no resource is asked about."""
    for item in loaded.items:
        if error := loaded.unreadable_statuses.get(item.id):
            yield unreadable(item, error)
        elif item.spec.suspend:
            yield ItemReport(item.id, Status.SUSPENDED, "", SUSPENDED, (), item.source.path)


def as_written(loaded: Loaded, postponed: Set[ItemId], kinds: Mapping[str, Kind]) -> Iterator[ItemReport]:
    """Yield the reports of items whose status file stays as it is, whatever it says."""
    for frozen in sorted(loaded.frozen):
        yield _frozen(frozen, kinds[frozen.kind], loaded.status(frozen))
    for item in sorted(postponed):
        if old := loaded.status(item):
            yield written(item, kinds[item.kind], old)


def unreadable(item: Item[Any], error: InvalidFile) -> ItemReport:
    """Return the report of an item whose status file cannot be read, and so is never written over."""
    todo = UNREADABLE.format(error=error)
    return ItemReport(item.id, Status.FAILED, "", todo, (), item.source.path)


def _frozen(item: ItemId, kind: Kind, old: Object) -> ItemReport:
    """Return the last written report of an item whose file is broken; its status file stays as it is."""
    source = str(old.get("source", ""))
    todo = FROZEN.format(source=source)
    return ItemReport(item, _status(kind, old), str(old.get("phase", "")), todo, (), source)


def written(item: ItemId, kind: Kind, document: Object) -> ItemReport:
    """Return an item's report as its status file gives it; what is strange in there is left out."""
    outcomes = tuple(
        outcome
        for resource in kind.resources
        if (outcome := _written_outcome(resource, kind, document)) is not None
    )
    return ItemReport(
        item,
        _status(kind, document),
        str(document.get("phase", "")),
        str(document.get("next", "")),
        outcomes,
        str(document.get("source", "")),
    )


def _status(kind: Kind, document: Object) -> str:
    found = str(document.get("status"))
    return found if found in set(Status) or kind.waiting(found) else Status.PENDING


def _written_outcome(resource: type[AnyResource], kind: Kind, document: Object) -> Outcome | None:
    found = entry(document, resource.name)
    state = str(found.get("state"))
    if state not in set(Condition):
        return None
    return Outcome(
        resource.name,
        resource.phase,
        Condition(state),
        reason=str(found.get("reason", "")),
        remedy=str(found.get("remedy", "")),
        awaits=kind.waiting(str(found.get("awaits"))),
        outputs=mapping(found.get("outputs")),
        section=mapping(document.get(resource.section)) if resource.section else None,
    )


def status_changes(
    reports: Iterable[ItemReport], loaded: Loaded, kinds: Mapping[str, Kind], *, now: datetime
) -> list[StatusChange]:
    """Return the documents whose meaning changed, or that lie elsewhere than they should.

    A status file that cannot be read is never among them.
    """
    changes: list[StatusChange] = []
    for each in reports:
        if each.id in loaded.unreadable_statuses:
            continue
        if each.status == Status.REMOVED:
            changes.append(StatusChange(each.id, {}, {}, gone=True))
            continue
        kind = kinds[each.kind]
        old = loaded.status(each.id)
        new = _document(each, kind, old, now)
        consumed = {
            kind.sections[outcome.resource]: outcome.consumed for outcome in each.outcomes if outcome.consumed
        }
        nothing_learnt = not old and bool(each.outcomes) and not new.get("resources")
        differs = merge(old, new, kind.human_keys, consumed) != old
        if (differs and not nothing_learnt) or each.id in loaded.moving:
            changes.append(StatusChange(each.id, new, consumed))
    return changes


def _document(each: ItemReport, kind: Kind, old: Object, now: datetime) -> dict[str, Json]:
    if not each.outcomes:
        return restated(each, old)
    return document(each, old, sections=kind.sections, now=now)
