"""Which failing items the schedule leaves alone for a while, so that one broken thing costs little.

Knows statuses and what people wrote; no clock, no schedule, no system. Kept in memory only: a restarted
reconciler tries everything once. A pass that a person starts on the command line postpones nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from reconciler.engine.kind import Kind
from reconciler.model.item import Item, ItemId
from reconciler.model.loaded import Loaded
from reconciler.model.outcome import Condition, ItemReport
from reconciler.model.status_file import mapping

LONGEST = timedelta(hours=1)


@dataclass(frozen=True)
class _Failing:
    times: int
    until: datetime
    written: object
    """What people wrote when it failed; with another text it is tried at once."""

    def rests(self, now: datetime) -> bool:
        """Whether it is left alone now; what is farther off than any rest was read off a wrong clock."""
        return now < self.until <= now + LONGEST


class Backoff:
    """`first` is how long an item rests after its second failure in a row; that doubles, up to an hour."""

    def __init__(self, first: timedelta, kinds: Mapping[str, Kind]) -> None:
        self._first = first
        self._kinds = kinds
        self._failing: dict[ItemId, _Failing] = {}
        self._written: dict[ItemId, object] = {}

    def postponed(self, loaded: Loaded, now: datetime) -> frozenset[ItemId]:
        """Return the items that a pass is to leave alone."""
        self._written = {item.id: self._words(item, loaded) for item in loaded.items}
        return frozenset(
            item
            for item, failing in self._failing.items()
            if failing.rests(now) and self._written.get(item) == failing.written
        )

    def learn(self, reports: Iterable[ItemReport], postponed: frozenset[ItemId], now: datetime) -> None:
        """Take note of a pass that left `postponed` alone; call it after `postponed`."""
        before, self._failing = self._failing, {}
        for each in reports:
            old = before.get(each.id)
            if each.id in postponed and old is not None:
                self._failing[each.id] = old
            elif any(outcome.condition is Condition.ERROR for outcome in each.outcomes):
                written = self._written.get(each.id)
                times = old.times + 1 if old is not None and old.written == written else 1
                # The first failure rests for nothing: what failed by chance is mended by the very next pass.
                rest = self._first * (2 ** min(times - 2, 20)) if times > 1 else timedelta()
                self._failing[each.id] = _Failing(times, now + min(rest, LONGEST), written)

    def _words(self, item: Item[Any], loaded: Loaded) -> object:
        document = loaded.status(item.id)
        entries = [
            mapping(document.get(section)).get(key)
            for section, keys in self._kinds[item.kind].human_keys.items()
            for key in keys
        ]
        return (item.source.blob, *map(str, entries))
