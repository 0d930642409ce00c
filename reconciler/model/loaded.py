"""What a pass starts from: the items and status files at one commit of the config repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.model.errors import InvalidFile
from reconciler.model.item import Item, ItemId
from reconciler.model.json import Object


@dataclass(frozen=True)
class Loaded:
    """`statuses` are parsed status files; `broken` are files left out, each with its reason.

    `frozen` are items whose own file is broken: they stay as they are. `gone` are items with a status file
    and no file in `projects/`. `moving`: where status files still lie that belong elsewhere by now.
    """

    commit: str
    items: tuple[Item[Any], ...]
    statuses: Mapping[ItemId, Object]
    broken: tuple[InvalidFile, ...] = ()
    frozen: frozenset[ItemId] = frozenset()
    gone: frozenset[ItemId] = frozenset()
    unreadable_statuses: Mapping[ItemId, InvalidFile] = field(default_factory=dict)
    moving: Mapping[ItemId, str] = field(default_factory=dict)
    branch: str = ""

    def status(self, item: ItemId) -> Object:
        """Return what the item's status file says; empty when there is none that can be read."""
        return self.statuses.get(item, {})
