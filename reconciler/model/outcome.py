"""What came of one resource in one pass, and of one item; what `status` says of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from reconciler.model.decision import WaitingReason
from reconciler.model.item import Identity, ItemId
from reconciler.model.json import Object


class Condition(StrEnum):
    """The state of a resource. `changed` and `unknown` are never written to a status file."""

    OK = "ok"
    CHANGED = "changed"
    SKIPPED = "skipped"
    WAITING = "waiting"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"
    ERROR = "error"


class Status(StrEnum):
    """The statuses that items of every kind may have; a kind adds those of its waiting reasons.

    In this order the first that applies is an item's status, with the waiting reasons of its kind, in the
    kind's order, behind `failed`.
    """

    SUSPENDED = "suspended"
    OFFBOARDING = "offboarding"
    FAILED = "failed"
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    REMOVED = "removed"


@dataclass(frozen=True)
class Outcome:
    """What came of one resource. `again_in` is None where only a person can go on, who is told `todo`."""

    resource: str
    phase: str
    condition: Condition
    reason: str = ""
    remedy: str = ""
    todo: str = ""
    awaits: WaitingReason | None = None
    again_in: timedelta | None = None
    outputs: Object = field(default_factory=dict)
    section: Object | None = None
    consumed: Mapping[str, str] = field(default_factory=dict)
    because_unknown: bool = False
    """Blocked, in the end, only by something that could not be read."""
    unconfigured: bool = False
    """Skipped, because nobody has set its system up."""

    @property
    def unreadable(self) -> bool:
        """True when this pass learnt nothing about it."""
        return self.condition is Condition.UNKNOWN or self.because_unknown


@dataclass(frozen=True)
class ItemReport:
    """One item after a pass: its outcomes, its status, and what a person must do next, if anything."""

    id: ItemId
    status: str
    phase: str
    todo: str
    outcomes: tuple[Outcome, ...]
    source: str = ""
    identity: Identity | None = None
    """What the item is, as far as this pass knows; None leaves what its status file says."""
    removal: Object | None = None
    """What the status file is to say of its way out; None for an item that has a file."""

    @property
    def slug(self) -> str:
        """The item's slug."""
        return self.id.slug

    @property
    def kind(self) -> str:
        """The item's kind."""
        return self.id.kind

    @property
    def unreadable(self) -> bool:
        """True when some resource could not be read in this pass."""
        return any(outcome.unreadable for outcome in self.outcomes)

    @property
    def again_in(self) -> timedelta | None:
        """The shortest wait for a machine; None when none is awaited."""
        return min((o.again_in for o in self.outcomes if o.again_in is not None), default=None)


def status_of(conditions: Iterable[tuple[Condition | None, str]], waits: Sequence[WaitingReason]) -> str:
    """Return the status that the written states of an item's resources give.

    `conditions`: each with the status of its waiting reason, "" for none; a condition None is one that was
    never written. `waits`: the reasons of the item's kind, the one that counts first in front.
    """
    seen = list(conditions)
    if any(condition is Condition.ERROR for condition, _ in seen):
        return Status.FAILED
    waiting = {awaits for condition, awaits in seen if condition is Condition.WAITING}
    for reason in waits:
        if reason.status in waiting:
            return reason.status
    settled = {Condition.OK, Condition.SKIPPED}
    return Status.COMPLETED if all(condition in settled for condition, _ in seen) else Status.PENDING
