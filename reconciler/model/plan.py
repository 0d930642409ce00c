"""All that a pass would do: for every item, what each resource answered, and a digest of the changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from reconciler.model.decision import Change, Decision, Needed
from reconciler.model.item import ItemId
from reconciler.model.json import Json, digest
from reconciler.model.observation import Unknown


@dataclass(frozen=True)
class Blocked:
    """Cannot be decided before another resource is there; `because_unknown` when that one was not read."""

    by: str
    because_unknown: bool = False


Planned: TypeAlias = Decision | Blocked | Unknown


@dataclass(frozen=True)
class ItemPlan:
    """One item's answers by resource name, in the order in which they are applied."""

    id: ItemId
    planned: Mapping[str, Planned]

    @property
    def changes(self) -> tuple[Change, ...]:
        """The changes, in order."""
        return tuple(answer.change for answer in self.planned.values() if isinstance(answer, Needed))


@dataclass(frozen=True)
class Plan:
    """The plan of a pass."""

    items: tuple[ItemPlan, ...] = field(default_factory=tuple)

    def __iter__(self) -> Iterator[ItemPlan]:
        return iter(self.items)

    @property
    def changes(self) -> tuple[Change, ...]:
        """Every change of every item, in order."""
        return tuple(change for item in self.items for change in item.changes)

    @property
    def digest(self) -> str:
        """SHA-256 over all changes: two plans with one digest do the same."""
        rows: list[Json] = [
            {
                "kind": change.item.kind,
                "slug": change.item.slug,
                "resource": change.resource,
                "action": change.action,
                "before": change.before,
                "after": change.after,
            }
            for change in self.changes
        ]
        return digest(rows)
