"""What a resource answers when it is planned or applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TypeAlias

from reconciler.model.item import ItemId
from reconciler.model.json import Object


class Action(StrEnum):
    """What a change does to the thing outside."""

    CREATE = "create"
    UPDATE = "update"
    DISABLE = "disable"
    DELETE = "delete"
    ADOPT = "adopt"


@dataclass(frozen=True)
class WaitingReason:
    """What items of a kind may wait for: each kind declares its own.

    `status`: the one word that people and programs read (`waiting_auth`). `meaning`: the same as a sentence
    for the documentation. `person`: somebody has to act; else a machine does, and looking again helps.
    """

    status: str
    meaning: str
    person: bool


@dataclass(frozen=True)
class Change:
    """One write that is wanted. `before` and `after` are what a plan shows: never a secret value."""

    item: ItemId
    resource: str
    action: Action
    summary: str
    before: Object = field(default_factory=dict)
    after: Object = field(default_factory=dict)

    @property
    def slug(self) -> str:
        """The item's slug."""
        return self.item.slug


@dataclass(frozen=True)
class Settled:
    """As desired. `outputs` are kept in the status file and handed to resources that need this one.

    `section` is the resource's own top-level part of the status file, if it has one. `consumed` names keys of
    that section which a person wrote and which are to go, with the text that was used: a key goes only if it
    still holds exactly that.
    """

    outputs: Object = field(default_factory=dict)
    note: str = ""
    section: Object | None = None
    consumed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Waiting:
    """Nothing to do but wait: `again_in` for a machine; None for a person, who is told `todo`."""

    reason: str
    awaits: WaitingReason
    again_in: timedelta | None = None
    todo: str = ""
    outputs: Object = field(default_factory=dict)
    section: Object | None = None
    consumed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Needed:
    """A change is needed. `outputs` are those known already; the rest of `provides` become `Later`."""

    change: Change
    outputs: Object = field(default_factory=dict)


@dataclass(frozen=True)
class Skipped:
    """Not wanted here, or not configured; the reason says what would turn it on.

    `unconfigured`: it is the configuration's doing, the same for every item, not its file's.
    """

    reason: str
    unconfigured: bool = False


@dataclass(frozen=True)
class Failed:
    """Wrong, and only a person can mend it. `conflict` when an unmarked thing of that name is in the way.

    `outputs`: what is still true of it, so that those who need it go on; empty stops them.
    """

    reason: str
    remedy: str = ""
    conflict: bool = False
    section: Object | None = None
    outputs: Object = field(default_factory=dict)


Decision: TypeAlias = Settled | Waiting | Needed | Skipped | Failed
Applied: TypeAlias = Settled | Waiting | Failed
