"""What came of one resource in one pass, and of one project; what `status` says of it (design §2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from reconciler.model.decision import Awaits
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
    """The status of a project: the first that applies, in this order."""

    SUSPENDED = "suspended"
    OFFBOARDING = "offboarding"
    FAILED = "failed"
    WAITING_MERGE = "waiting_merge"
    WAITING_SYNC = "waiting_sync"
    WAITING_AUTH = "waiting_auth"
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"


@dataclass(frozen=True)
class Outcome:
    """What came of one resource. `again_in` is None where only a person can go on, who is told `todo`."""

    resource: str
    phase: str
    condition: Condition
    reason: str = ""
    remedy: str = ""
    todo: str = ""
    awaits: Awaits | None = None
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
class ProjectReport:
    """One project after a pass: its outcomes, its status, and what a person must do next, if anything."""

    slug: str
    kind: str
    status: Status
    phase: str
    todo: str
    outcomes: tuple[Outcome, ...]
    source: str = ""

    @property
    def unreadable(self) -> bool:
        """True when some resource could not be read in this pass."""
        return any(outcome.unreadable for outcome in self.outcomes)

    @property
    def again_in(self) -> timedelta | None:
        """The shortest wait for a machine; None when none is awaited."""
        return min((o.again_in for o in self.outcomes if o.again_in is not None), default=None)


def status_of(conditions: Iterable[tuple[Condition | None, Awaits | None]]) -> Status:
    """Return the status that the written states of a project's resources give; None is one never written."""
    seen = list(conditions)
    if any(condition is Condition.ERROR for condition, _ in seen):
        return Status.FAILED
    waiting = {awaits for condition, awaits in seen if condition is Condition.WAITING}
    for awaits in Awaits:
        if awaits in waiting:
            return Status(awaits)
    settled = {Condition.OK, Condition.SKIPPED}
    return Status.COMPLETED if all(condition in settled for condition, _ in seen) else Status.PENDING
