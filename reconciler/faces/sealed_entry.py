"""What a person seals for an item: which resource asks for it, the sealed text, and its commit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.crypto.sealing import SealingSettings, seal
from reconciler.engine.contract import AnyResource, SealedForm
from reconciler.engine.cycle import Cycle
from reconciler.engine.kind import Kind, Kinds
from reconciler.engine.naming import chosen_item
from reconciler.git.applied_edits import Fate
from reconciler.git.edits import HumanEntry
from reconciler.git.repository import Repository
from reconciler.model.errors import ConfigurationError, Conflict, UnknownItem, UsageError
from reconciler.model.item import ItemId
from reconciler.model.json import Object
from reconciler.model.loaded import Loaded
from reconciler.model.status_file import mapping, status_path
from reconciler.settings.giving import Sections


@dataclass(frozen=True)
class Request:
    """What a status file asks a person to seal: for which resource's `section`, for whom, by which id."""

    form: SealedForm
    section: str
    recipient: str
    request_id: str


def seal_for(cycle: Cycle, name: str, content: bytes, *, only_print: bool) -> str:
    """Return the sealed entry, or the sentence that says where it was committed."""
    loaded = cycle.load()
    item = chosen_item(name, [*loaded.statuses, *(each.id for each in loaded.items)])
    request = request_of(loaded, cycle.kinds, item, cycle.sections)
    text = sealed_text(request, item, content, datetime.now(UTC))
    if only_print:
        return text.rstrip("\n")
    commit = commit_entry(cycle.repositories.config, loaded, item, request, text)
    return f"sealed and committed as {commit[:10]}; the next pass takes it"


def request_of(loaded: Loaded, kinds: Kinds, item: ItemId, sections: Sections) -> Request:
    """Return what a status file asks for; UnknownItem without one, Conflict when it asks for nothing.

    People can write a status file. So it is no ground for sealing to somebody: that one has to be configured.
    """
    status = loaded.statuses.get(item)
    if status is None:
        known = ", ".join(sorted(each.slug for each in loaded.statuses)) or "none yet"
        raise UnknownItem(f"no {item.kind} called {item.slug} has a status file", remedy=f"known: {known}")
    for resource in _sealing(kinds.get(item.kind)):
        found = mapping(status.get(resource.section))
        recipient, request_id = found.get("recipient"), found.get("requestId")
        if resource.sealed and isinstance(recipient, str) and isinstance(request_id, str):
            _check_recipient(recipient, item, sections)
            return Request(resource.sealed, resource.section, recipient, request_id)
    raise Conflict(
        f"{item.slug} does not ask for anything sealed",
        remedy="run a pass first; its status file then says what it asks for, if it does",
    )


def _check_recipient(recipient: str, item: ItemId, sections: Sections) -> None:
    trusted = sections.get(SealingSettings).trusted
    if not trusted:
        raise ConfigurationError(
            "nothing says here to whom may be sealed",
            remedy="write the operator's public key into sealing.recipients of reconciler.yaml",
        )
    if recipient not in trusted:
        raise Conflict(
            f"{status_path(item)} asks to seal to {recipient[:80]}, which is none of the reconciler's keys",
            remedy="tell the operator, and wait for the next pass to put it right",
        )


def sealed_text(request: Request, item: ItemId, content: bytes, now: datetime) -> str:
    """Return what was handed in, sealed for that request; UsageError when it is not what is asked for."""
    fields = request.form.read(content, now)
    if isinstance(fields, str):
        raise UsageError(f"that cannot be sealed: {fields}", remedy=f"give {request.form.what}")
    return seal(request.recipient, fields, item=item, request_id=request.request_id)


def commit_entry(config: Repository, loaded: Loaded, item: ItemId, request: Request, text: str) -> str:
    """Commit a sealed entry to the item's status file and return the commit's id."""
    edit = HumanEntry(
        item=item,
        path=loaded.moving.get(item) or status_path(item),
        section=request.section,
        key=request.form.key,
        value=text,
    )
    result = config.push([edit], f"Seal {request.section} of {item.slug}")
    for written in result.outcomes:
        if written.fate is not Fate.APPLIED:
            raise UsageError(f"nothing was committed: {written.reason}", remedy="look at the status file")
    return result.commit


def next_step(document: Object, kind: Kind | None) -> str:
    """Return what a person has to do by a status file, which has not seen what was sealed after it."""
    for resource in _sealing(kind):
        found = mapping(document.get(resource.section))
        handed_over = resource.sealed is not None and isinstance(found.get(resource.sealed.key), str)
        if resource.sealed and handed_over and found.get("state") != "rejected":
            return resource.sealed.handed_over
    return str(document.get("next", ""))


def _sealing(kind: Kind | None) -> Iterable[type[AnyResource]]:
    return (resource for resource in (kind.resources if kind else ()) if resource.sealed)
