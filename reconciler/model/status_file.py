"""What a status file says, and how an outcome changes it. Knows no YAML: documents are plain mappings.

Written only where the meaning changed: an unreadable resource keeps its last written state, and `since`
moves only with the state. So a quiet pass makes no commit, and git's history of the file is the item's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reconciler.model.decision import WaitingReason
from reconciler.model.item import Identity, ItemId
from reconciler.model.json import Json, Object
from reconciler.model.outcome import Condition, ItemReport, Outcome, Status, status_of

_WRITTEN = {Condition.CHANGED: Condition.OK}


@dataclass(frozen=True)
class StatusChange:
    """A status document that differs from the one in git, and what was consumed of it, by section.

    `gone`: the item is no more, and neither is its document.
    """

    id: ItemId
    document: Mapping[str, Json]
    consumed: Mapping[str, Mapping[str, str]]
    gone: bool = False


def status_path(item: ItemId) -> str:
    """Return where an item's status file is."""
    return f"status/{item.kind}/{item.slug}.yaml"


def mapping(value: Any) -> Object:  # noqa: ANN401 - whatever a person's editor left there
    """Return the value if it is a mapping, else an empty one."""
    # A dict is one without asking the abstract class, which is slow and asked ten thousand times.
    return value if isinstance(value, dict) or isinstance(value, Mapping) else {}  # noqa: SIM101


def entry(document: Object, resource: str) -> Object:
    """Return what a status file says of one resource; empty when it says nothing."""
    return mapping(mapping(document.get("resources")).get(resource))


def outputs(document: Object, resource: str) -> Object:
    """Return the outputs that were remembered for a resource."""
    return mapping(entry(document, resource).get("outputs"))


def identity(document: Object) -> Identity | None:
    """Return what a status file says that its item is; None when it says nothing, or nothing sensible."""
    found = mapping(document.get("identity"))
    claim, proof = found.get("claim"), found.get("proof", "")
    if isinstance(proof, int):
        proof = str(proof)  # some tool wrote the file anew, without the quotes
    return Identity(claim, proof) if isinstance(claim, str) and isinstance(proof, str) else None


def document(
    report: ItemReport, old: Object, *, sections: Mapping[str, str], now: datetime
) -> dict[str, Json]:
    """Return the whole new document; equal to the old one where nothing changed its meaning.

    `sections` maps a resource to its own top-level key.
    """
    resources = {
        outcome.resource: written
        for outcome in report.outcomes
        if (written := _entry(outcome, entry(old, outcome.resource), now, leaving=report.removal is not None))
    }
    new: dict[str, Json] = {"status": report.status, "kind": report.kind, "source": report.source}
    if (known := report.identity or identity(old)) is not None:
        new["identity"] = {"claim": known.claim, **({"proof": known.proof} if known.proof else {})}
    if report.phase:
        new["phase"] = report.phase
    if report.todo:
        new["next"] = report.todo
    if report.removal is not None:
        new["removal"] = dict(report.removal)
    new["resources"] = resources
    for outcome in report.outcomes:
        if key := sections.get(outcome.resource):
            # Two resources may share a section: the later one has the last word, if it says one.
            section = outcome.section if outcome.section is not None else new.get(key, mapping(old.get(key)))
            if section:
                new[key] = dict(mapping(section))
    return new


def restated(report: ItemReport, old: Object) -> dict[str, Json]:
    """Return the old document with another status and nothing else touched (suspended, offboarding)."""
    new = {key: value for key, value in old.items() if key not in {"next", "removal"}}
    first: dict[str, Json] = {
        "status": report.status,
        "kind": report.kind,
        "source": report.source,
        "next": report.todo,
    }
    if report.removal is not None:
        first["removal"] = dict(report.removal)
    return {**first, **{key: value for key, value in new.items() if key not in first}}


def summary(outcomes: Sequence[Outcome], old: Object, waits: Sequence[WaitingReason]) -> tuple[str, str, str]:
    """Return (status, phase, what a person must do next) as the written states give them."""
    rows: list[tuple[Condition | None, str]] = []
    phase = outcomes[-1].phase if outcomes else ""
    for outcome in reversed(outcomes):
        condition, awaits = _written_state(outcome, entry(old, outcome.resource))
        rows.append((condition, awaits))
        if condition not in {Condition.OK, Condition.SKIPPED}:
            phase = outcome.phase
    status = status_of(rows, waits)
    return status, phase, _todo(status, outcomes, old)


def _todo(status: str, outcomes: Sequence[Outcome], old: Object) -> str:
    """Return the sentence about the first resource that gives the status, as it is written now."""
    for outcome in outcomes:
        before = entry(old, outcome.resource)
        condition, awaits = _written_state(outcome, before)
        reason, remedy = outcome.reason, outcome.remedy or outcome.todo
        if outcome.unreadable:
            reason, remedy = str(before.get("reason") or ""), str(before.get("remedy") or "")
        if status == Status.FAILED and condition is Condition.ERROR:
            return f"{outcome.resource}: {reason} — {remedy}" if remedy else f"{outcome.resource}: {reason}"
        if condition is Condition.WAITING and awaits == status:
            return remedy or f"Nothing to do: {reason}."
    return ""


def _written_state(outcome: Outcome, old: Object) -> tuple[Condition | None, str]:
    """Return the state as it will be written, and the status of what it waits for ("" for nothing)."""
    if not outcome.unreadable:
        awaits = outcome.awaits.status if outcome.awaits else ""
        return _WRITTEN.get(outcome.condition, outcome.condition), awaits
    try:
        return Condition(str(old["state"])), str(old.get("awaits") or "")
    except (KeyError, ValueError):
        return None, ""


def _entry(outcome: Outcome, old: Object, now: datetime, *, leaving: bool) -> Object:
    condition, awaits = _written_state(outcome, old)
    if condition is None:
        return {}
    if outcome.unreadable:
        return old
    settled = condition is Condition.OK
    if leaving and settled:
        # As its file is gone it is as it should be; once the file is back, that says nothing of it.
        condition = Condition.BLOCKED
    # A clock that is wrong for a while, whichever way, is no reason to write anything.
    same = old.get("state") == str(condition)
    since = old.get("since") if same and old.get("since") else now.strftime("%Y-%m-%dT%H:%M:%SZ")
    new: dict[str, Json] = {"state": str(condition), "since": since}
    if awaits:
        new["awaits"] = awaits
    if outcome.reason:
        new["reason"] = outcome.reason
    if remedy := outcome.remedy or outcome.todo:
        new["remedy"] = remedy
    # Also of a skipped one: when its file switches it on again, what was made before is still known.
    keeps = not settled and not outcome.outputs
    kept = mapping(old.get("outputs")) if keeps else outcome.outputs
    if kept:
        new["outputs"] = dict(kept)
    return new
