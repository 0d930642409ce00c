"""Stage two: each resource reads all items of its kind at once. Never writes, and plans nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime, timedelta
from typing import Any

import structlog

from reconciler.clients.pass_store import Verification, Verifications
from reconciler.engine.contract import AnyResource, Target
from reconciler.engine.one_by_one import STOPPED
from reconciler.engine.result import KindView
from reconciler.model.errors import (
    DEFECT,
    ConfigurationError,
    InvalidFile,
    NotConfigured,
    ReconcilerError,
    SystemFault,
    of_this_machine,
)
from reconciler.model.item import Item, ItemId
from reconciler.model.loaded import Loaded
from reconciler.model.observation import Absent, Finding, Known, Remembered, Unconfigured, Unknown
from reconciler.model.outcome import Condition
from reconciler.model.status_file import entry, identity, mapping, outputs
from reconciler.settings.giving import Reading

log = structlog.get_logger()

MOST_SEARCHES = 40
"""Reads of a resource in search of the item that it cannot digest: to find one among 1,000 takes 20."""


def targets(
    resource: AnyResource,
    items: Sequence[Item[Any]],
    loaded: Loaded,
    verifications: Verifications | None,
    proofs: Mapping[str, str],
    places: str = "",
    leaving: Set[str] = frozenset(),
    *,
    now: datetime,
    verify_within: timedelta,
) -> list[Target[Any]]:
    """Return items, all of one kind, as one resource is asked about them.

    `verifications` None means that nobody keeps them, so everything is read. `proofs`: by slug, what each
    item was proven to be; what was read of another item, which had the slug before, does not count. Nor does
    what was read at other places, as when an address was wrong for a while. `leaving`: slugs of those whose
    file is gone.
    """
    kinds = {item.kind for item in items}
    siblings = {
        each.slug: mapping(document.get(resource.section))
        for each, document in loaded.statuses.items()
        if resource.section and each.kind in kinds
    }
    made: list[Target[Any]] = []
    for item in items:
        document = loaded.status(item.id)
        proof = proofs.get(item.slug, "")
        last = (verifications or {}).get((item.id, resource.name))
        # A moment that is still to come was read off a clock that was wrong, and says nothing.
        counts = (
            last is not None and last.proof == proof and places in {"", last.places} and last.moment <= now
        )
        verified_at = last.moment if last and counts else None
        trusted = (
            resource.audited
            and verifications is not None
            and entry(document, resource.name).get("state") in (str(Condition.OK), str(Condition.BLOCKED))
            and bool(outputs(document, resource.name))
            and not audit_due(item.id, resource.name, verified_at, now=now, within=verify_within)
        )
        made.append(
            Target(
                item=item,
                now=now,
                remembered=outputs(document, resource.name),
                section=mapping(document.get(resource.section)) if resource.section else {},
                identity=identity(document),
                proof=proof,
                verify=not trusted,
                verified_at=verified_at,
                siblings=siblings,
                leaving=item.slug in leaving,
            )
        )
    return made


def audit_due(
    item: ItemId, resource: str, verified_at: datetime | None, *, now: datetime, within: timedelta
) -> bool:
    """Tell whether to read it again: spread by name over the second half of the bound.

    So things that were made together are not all read again in one pass, and nothing is older than the bound.
    """
    if verified_at is None or verified_at > now:
        return True
    number = int.from_bytes(hashlib.sha256(f"{item}/{resource}".encode()).digest()[:4], "big")
    return now - verified_at >= within * (0.5 + 0.5 * number / 2**32)


def verified(view: KindView, now: datetime, places: str = "") -> dict[tuple[ItemId, str], Verification]:
    """Return the audited resources, each with its item, that were really read in this pass."""
    return {
        (ItemId(view.kind.name, slug), resource.name): Verification(
            now, view.targets[resource.name][slug].proof, places
        )
        for resource in view.resources
        if resource.audited
        for slug, finding in view.findings[resource.name].items()
        if isinstance(finding, Known)
    }


def longest_ago(views: Iterable[KindView], now: datetime) -> dict[tuple[str, str], datetime]:
    """Return, by kind and audited resource, when the item that it was longest ago for was really read."""
    found: dict[tuple[str, str], datetime] = {}
    for view in views:
        for resource in view.resources:
            moments = [
                now if isinstance(finding, Known) else finding.verified_at
                for finding in (view.findings[resource.name].values() if resource.audited else ())
                if isinstance(finding, Known | Remembered)
            ]
            known = [moment for moment in moments if moment is not None]
            if known:
                found[view.kind.name, resource.name] = min(known)
    return found


def observe(
    resource: AnyResource, wanted: Sequence[Target[Any]], read: Reading
) -> Mapping[str, Finding[Any]]:
    """Return, by slug, one finding for each target of one resource."""
    if not wanted:
        return {}
    if read.stopping():
        return dict.fromkeys((target.slug for target in wanted), STOPPED)
    found: dict[str, Finding[Any]] = {}
    asked: list[Target[Any]] = []
    for target in wanted:
        answer = _unasked(resource, target)
        if answer is None:
            asked.append(target)
        else:
            found[target.slug] = answer
    return {**found, **(_ask(resource, asked, read) if asked else {})}


def _unasked(resource: AnyResource, target: Target[Any]) -> Finding[Any] | None:
    """Return what stands for an item that the resource is not asked about; None when it is."""
    if target.leaving:
        return None  # whatever its file said in the end, of what was made before that much may be there
    try:
        return None if resource.unwanted(target) is None else Absent()
    except ConfigurationError:
        return None  # which is then said of those only that the settings had to be asked for
    except Exception as error:  # noqa: BLE001 - a defect that one item meets is that item's
        return _defect(resource, error)


def _ask(resource: AnyResource, asked: Sequence[Target[Any]], read: Reading) -> Mapping[str, Finding[Any]]:
    everyone: Finding[Any]
    try:
        for section in resource.settings:
            resource.sections.get(section)  # so that what plans later can rely on them
        return _answers(resource, asked, read)
    except NotConfigured as error:
        everyone = Unconfigured(error.message, error.remedy)
    except ConfigurationError as error:
        everyone = Unconfigured(error.message, error.remedy, half=True)
    except SystemFault as error:
        everyone = Unknown(error.message, error.remedy, error.retry_after)
    except InvalidFile as error:
        everyone = Unknown(f"{error.place}: {error.message}", error.remedy)
    except ReconcilerError as error:
        everyone = Unknown(error.message, error.remedy)
    except Exception as error:  # noqa: BLE001 - a defect that one resource meets is that one's
        everyone = _defect(resource, error)
    return {target.slug: everyone for target in asked}


def _answers(
    resource: AnyResource, asked: Sequence[Target[Any]], read: Reading
) -> Mapping[str, Finding[Any]]:
    """Observe; where that meets a defect, find the items that it is about, so that the others are read.

    Bulk reads are remembered by their clients, so that looking again costs little.
    """
    found: dict[str, Finding[Any]] = {}
    groups = [list(asked)]
    for _ in range(MOST_SEARCHES):
        if not groups:
            return found
        group = groups.pop()
        try:
            seen = resource.observe(group, read)
            found |= {target.slug: seen[target.slug] for target in group}
        except ReconcilerError:
            raise
        except Exception as error:  # noqa: BLE001 - and never the pass's
            if len(group) == 1:
                found[group[0].slug] = _defect(resource, error)
            else:
                middle = len(group) // 2
                groups += [group[middle:], group[:middle]]
    return found | {target.slug: TOO_MANY_DEFECTS for group in groups for target in group}


TOO_MANY_DEFECTS = Unknown("not read, after too many unexpected errors", DEFECT)


def _defect(resource: AnyResource, error: Exception) -> Unknown:
    if want := of_this_machine(error):
        return Unknown(*want)
    log.error("observe failed unexpectedly", resource=resource.name, error=type(error).__name__)
    log.debug("traceback", exc_info=True)
    return Unknown(f"{resource.name}: unexpected {type(error).__name__}", DEFECT)
