"""Reads of what a system tells of one item only: in which order, and when to leave the rest for later.

Knows nothing of what is read. Nobody whom a system cannot answer is in the way of others for good: those come
first that were not read for longest, and after a fault the other end of the line is asked. So a few broken
items, which are always first, are told from a system that is down.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from reconciler.clients.retry import LONGEST_WAIT
from reconciler.engine.contract import Target
from reconciler.model.errors import Senseless, SystemFault, Unavailable
from reconciler.model.item import SpecT
from reconciler.model.observation import Observation, StateT, Unknown
from reconciler.settings.giving import Reading

PATIENCE = 3
"""So many in a row may get no answer, or none of its own, before the system itself is taken to be down."""
SECONDS = 30.0
"""For such reads of one resource in one pass, which holds the lock: enough for thousands of usual answers."""
STOPPED = Unknown("not read, because the pass was asked to stop", "the next pass reads it")
OUT_OF_TIME = Unknown(
    "not read yet, because there is so much to read one by one", "the next passes go on with it"
)
_NEVER = datetime.min.replace(tzinfo=UTC)


def read_each(
    targets: Sequence[Target[SpecT]], read: Reading, look: Callable[[Target[SpecT]], Observation[StateT]]
) -> dict[str, Observation[StateT]]:
    """Return, by slug, what `look` finds; Unknown where it raises SystemFault, and for those left out.

    For targets only that something has to be asked about: the others have no reason to be left out.
    """
    waiting = deque(sorted(targets, key=_longest_unread_first))
    found: dict[str, Observation[StateT]] = {}
    until, in_a_row = read.clock() + SECONDS, 0
    down: Unknown | None = None
    while waiting:
        if enough := down or _enough(read, until):
            return found | dict.fromkeys((target.slug for target in waiting), enough)
        target = waiting.pop() if in_a_row else waiting.popleft()
        try:
            found[target.slug] = look(target)
            in_a_row = 0
        except SystemFault as fault:
            found[target.slug] = unreadable(fault)
            in_a_row = in_a_row + 1 if isinstance(fault, Unavailable | Senseless) else 0
            if in_a_row == PATIENCE or (fault.retry_after or 0.0) > LONGEST_WAIT:
                reason = f"not asked any more in this pass, since {fault.message}"
                down = Unknown(reason, fault.remedy, fault.retry_after)
    return found


def unreadable(fault: SystemFault) -> Unknown:
    """Return what a failed read of one thing means for its item."""
    return Unknown(fault.message, fault.remedy, fault.retry_after)


def _longest_unread_first(target: Target[SpecT]) -> tuple[datetime, bytes]:
    """Return what to sort by: when it was last read, never counting as the earliest.

    Many have the same time, all new ones to begin with, and a pass may not get through them. In a fixed order
    the same few would be read in every pass until they have a time. So each pass draws lots among equals, by
    a hash of its own time and the slug: that is random enough, and the same for the same pass.
    """
    shuffled = hashlib.sha256(f"{target.now.isoformat()}/{target.slug}".encode()).digest()
    return target.verified_at or _NEVER, shuffled


def _enough(read: Reading, until: float) -> Unknown | None:
    if read.stopping():
        return STOPPED
    return OUT_OF_TIME if read.clock() >= until else None
