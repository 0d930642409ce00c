"""What a pass asks PostgreSQL for besides its resources: lock, times of verification, run history.

A pass works without any of it: without a database it reads everything and warns that nothing keeps a second
pass off; with a database that does not answer it says so and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Self, TypeVar

import structlog

from reconciler.clients.run_store import RunStore, RunStoreWriter
from reconciler.errors import NotConfigured, ReconcilerError, Unavailable
from reconciler.model.run import RunRow
from reconciler.shipped import shipped
from reconciler.systems import Reading, Sections, Writing

log = structlog.get_logger()

StoreT = TypeVar("StoreT", bound=RunStore)


class History:
    """`verifications` is None when nobody keeps them; `alone` is False when another pass holds the lock.

    `problems` are all that a pass has to tell; others put theirs there too.
    """

    def __init__(self, store: RunStore | None) -> None:
        self._store = store
        self._runs: Mapping[str, RunRow] = {}
        self.alone = True
        self._locked = False
        self._answers = True
        self.verifications: Mapping[tuple[str, str], datetime] | None = None
        self.problems: list[str] = []

    @classmethod
    def reading(cls, sections: Sections) -> Self:
        """Read for a plan: no lock, no migration, nothing written."""
        made = cls(_store(Reading(sections), RunStore))
        made._try_to(made._read)
        return made

    @classmethod
    def writing(cls, sections: Sections) -> Self:
        """Take the lock, bring the schema up to date, and read."""
        store = _store(Writing(sections), RunStoreWriter)
        made = cls(store)
        if store is None:
            log.warning("no database is configured, so nothing keeps a second pass off")
            return made

        def take() -> None:
            made.alone = made._locked = store.acquire()
            if made.alone:
                store.migrate(shipped("migrations"))
                made._read()

        made._try_to(take)
        return made

    def is_lost(self) -> bool:
        """Tell whether the lock that this pass took is gone: another pass may be at work by now."""
        return self._locked and isinstance(self._store, RunStoreWriter) and not self._store.still_held()

    def confirm(self) -> None:
        """Raise Unavailable when the lock is lost."""
        if self._store is not None and self.is_lost():
            raise Unavailable(
                self._store.system,
                "lost the connection that held this pass's lock, so nothing more is pushed",
                remedy="the next pass goes on from what is there",
            )

    def begin(self, rows: Sequence[RunRow]) -> None:
        """Write that these runs are under way. One statement, none where nothing is about to change."""
        store = self._store
        if isinstance(store, RunStoreWriter) and self._answers:
            self._try_to(lambda: store.save_runs(rows))
            self._runs = {**self._runs, **{row.id: row for row in rows}}

    def record(
        self,
        rows: Iterable[RunRow],
        resting: Mapping[str, str],
        verified: Iterable[tuple[str, str]],
        now: datetime,
    ) -> None:
        """Write the runs that differ from those read, and when things were verified.

        `resting`: the status of projects that were not looked at, whose run is otherwise left as it was.
        """
        store = self._store
        if not isinstance(store, RunStoreWriter) or not self._answers:
            return
        kept = [
            replace(run, status=status) for slug, status in resting.items() if (run := self._runs.get(slug))
        ]
        changed = [row for row in (*rows, *kept) if self._runs.get(row.id) != row]

        def write() -> None:
            store.save_runs(changed)
            store.save_verifications(dict.fromkeys(verified, now))

        self._try_to(write)

    def close(self) -> None:
        """Let go of the lock."""
        if self._store is not None:
            self._store.close()

    def _read(self) -> None:
        if self._store is not None:
            self._runs = self._store.runs()
            self.verifications = self._store.verifications()

    def _try_to(self, step: Callable[[], None]) -> None:
        try:
            step()
        except ReconcilerError as error:
            self._answers = False
            self.problems.append(str(error))


def _store(systems: Reading, kind: type[StoreT]) -> StoreT | None:
    try:
        return systems.get(kind)
    except NotConfigured:
        return None
