"""What becomes of an item's things when its file is gone: the words for it. Decides nothing.

An item leaves in steps: what it has is disabled at once, waits for a while in case the file comes back, and
is then taken away, each thing as its resource and the file say.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from reconciler.model.item import Identity, Item
from reconciler.model.json import Json


class OnRemove(StrEnum):
    """What may become of a thing. `DISABLE`: it stays, and does nothing any more."""

    KEEP = "keep"
    DISABLE = "disable"
    DELETE = "delete"


class Step(StrEnum):
    """How far an item has come on its way out, in this order.

    `HELD`: nothing is done, since something has to be made sure of first. `DISABLED`: everything is still
    there and can be had back. `ENDING`: the time for that is nearly over. `REMOVING`: things are taken away.
    """

    HELD = "held"
    DISABLED = "disabled"
    ENDING = "ending"
    REMOVING = "removing"


@dataclass(frozen=True)
class Leaving:
    """One item whose file is gone, as one pass sees it.

    `item`: as its file last was; None where nobody can tell. `commit`: what took the file away, "" while that
    was not found. `since`: when the present step began. `until`: when the next one begins. `reason`: why it
    is held, and `remedy` what to do. `alarm`: that is one of so many that a person has to look.
    `acknowledged`: a commit names it as one that is to go.
    """

    step: Step
    since: datetime
    item: Item[Any] | None = None
    identity: Identity | None = None
    commit: str = ""
    until: datetime | None = None
    reason: str = ""
    remedy: str = ""
    alarm: bool = False
    acknowledged: bool = False

    @property
    def goes(self) -> bool:
        """Whether its things are to be looked at, since something may have to be done about them."""
        return self.step is not Step.HELD and self.item is not None

    @property
    def section(self) -> dict[str, Json]:
        """What the status file remembers of it."""
        written: dict[str, Json] = {"state": str(self.step), "since": stamp(self.since)}
        if self.commit:
            written["commit"] = self.commit
        if self.until is not None:
            written["until"] = stamp(self.until)
        if self.reason:
            written["reason"] = self.reason
        if self.alarm:
            written["tooMany"] = True
        return written


def stamp(moment: datetime) -> str:
    """Return a time as status files have it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
