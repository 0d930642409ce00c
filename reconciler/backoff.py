"""Which failing projects the schedule leaves alone for a while, so that one broken repository costs little.

Knows statuses and what people wrote; no clock, no schedule, no system. Kept in memory only: a restarted
reconciler tries everything once. A pass that a person starts on the command line postpones nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from reconciler.model.loaded import Loaded
from reconciler.model.outcome import Condition, ProjectReport
from reconciler.model.project import Project
from reconciler.model.status_file import mapping

LONGEST = timedelta(hours=1)


@dataclass(frozen=True)
class _Failing:
    times: int
    until: datetime
    written: object
    """What people wrote when it failed; with another text it is tried at once."""


class Backoff:
    """`first` is how long a project rests after its second failure in a row; that doubles, up to an hour.

    `human`: by top-level key of the status file, the keys in it that people write.
    """

    def __init__(self, first: timedelta, human: Mapping[str, Sequence[str]]) -> None:
        self._first = first
        self._human = human
        self._failing: dict[str, _Failing] = {}
        self._written: dict[str, object] = {}

    def postponed(self, loaded: Loaded, now: datetime) -> frozenset[str]:
        """Return the projects that a pass is to leave alone."""
        self._written = {project.slug: self._words(project, loaded) for project in loaded.projects}
        return frozenset(
            slug
            for slug, failing in self._failing.items()
            if now < failing.until and self._written.get(slug) == failing.written
        )

    def learn(self, reports: Iterable[ProjectReport], postponed: frozenset[str], now: datetime) -> None:
        """Take note of a pass that left `postponed` alone; call it after `postponed`."""
        before, self._failing = self._failing, {}
        for each in reports:
            old = before.get(each.slug)
            if each.slug in postponed and old is not None:
                self._failing[each.slug] = old
            elif any(outcome.condition is Condition.ERROR for outcome in each.outcomes):
                written = self._written.get(each.slug)
                times = old.times + 1 if old is not None and old.written == written else 1
                # The first failure rests for nothing: what failed by chance is mended by the very next pass.
                rest = self._first * (2 ** min(times - 2, 20)) if times > 1 else timedelta()
                self._failing[each.slug] = _Failing(times, now + min(rest, LONGEST), written)

    def _words(self, project: Project[Any], loaded: Loaded) -> object:
        document = loaded.statuses.get(project.slug, {})
        entries = [
            mapping(document.get(section)).get(key) for section, keys in self._human.items() for key in keys
        ]
        return (project.source.blob, *map(str, entries))
