"""What a pass asks PostgreSQL for besides its resources: its lock, times of verification, the kinds' ledgers.

A pass works without any of it: without a database it reads everything and warns that nothing keeps a second
pass off; with a database that does not answer it says so and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import structlog

from reconciler.clients.pass_store import Memory, PassStore, PassStoreWriter, Verifications
from reconciler.engine.kind import Kind, Ledger
from reconciler.model.errors import NotConfigured, ReconcilerError, Unavailable
from reconciler.model.item import Item, ItemId
from reconciler.model.outcome import ItemReport
from reconciler.settings.giving import Reading, Sections, Writing

log = structlog.get_logger()

MIGRATIONS = Path(__file__).parent / "migrations"

Reported = tuple[Item[Any], ItemReport]
StoreT = TypeVar("StoreT", bound=PassStore)


class History:
    """`verifications` is None when nobody keeps them; `alone` is False when another pass holds the lock.

    `problems` are all that a pass has to tell; others put theirs there too.
    """

    def __init__(self, store: PassStore | None, kinds: Mapping[str, Kind]) -> None:
        self._store = store
        self._kinds = kinds
        self._ledgers: dict[str, Ledger] = {}
        self.alone = True
        self._locked = False
        self._answers = True
        self._memory: Memory | None = None
        self.problems: list[str] = []

    @classmethod
    def reading(cls, sections: Sections, kinds: Mapping[str, Kind]) -> Self:
        """Read for a plan: no lock, no migration, no ledger, nothing written."""
        made = cls(_store(Reading(sections), PassStore), kinds)
        made._try_to(made._read)
        return made

    @classmethod
    def writing(cls, sections: Sections, kinds: Mapping[str, Kind]) -> Self:
        """Take the lock, bring the schema up to date, and read."""
        store = _store(Writing(sections), PassStoreWriter)
        made = cls(store, kinds)
        if store is None:
            log.warning("no database is configured, so nothing keeps a second pass off")
            return made

        def take() -> None:
            made.alone = made._locked = store.acquire()
            if made.alone:
                store.migrate([MIGRATIONS, *(kind.migrations for kind in kinds.values() if kind.migrations)])
                made._read()
                for name, kind in kinds.items():
                    if kind.ledger:
                        made._ledgers[name] = kind.ledger(store)

        made._try_to(take)
        return made

    @property
    def verifications(self) -> Verifications | None:
        """When each resource of an item was last read one by one."""
        return self._memory.verified if self._memory else None

    def is_lost(self) -> bool:
        """Tell whether the lock that this pass took is gone: another pass may be at work by now."""
        return self._locked and isinstance(self._store, PassStoreWriter) and not self._store.still_held()

    def confirm(self) -> None:
        """Raise Unavailable when the lock is lost."""
        if self._store is not None and self.is_lost():
            raise Unavailable(
                self._store.system,
                "lost the connection that held this pass's lock, so nothing more is pushed",
                remedy="the next pass goes on from what is there",
            )

    def begin(self, changing: Sequence[Reported], unverified: Sequence[tuple[ItemId, str]]) -> None:
        """Tell the ledgers which items are about to be changed, with the reports of what is foreseen.

        `unverified`: what of them is only read one by one. Should this pass die in the middle, the next one
        does not take them for what they were when last read.
        """
        store = self._store
        if isinstance(store, PassStoreWriter) and self._answers:
            self._try_to(lambda: store.forget_verifications(unverified))
        for name, ledger in self._ledgers.items():
            self._guarded(name, partial(ledger.begin, _of(name, changing)))

    def record(
        self,
        done: Sequence[Reported],
        resting: Mapping[ItemId, str],
        verified: Verifications,
    ) -> None:
        """Tell the ledgers what came of the items, and write what was verified.

        `resting`: the status of items that were not looked at.
        """
        store = self._store
        if not isinstance(store, PassStoreWriter) or not self._answers:
            return
        for name, ledger in self._ledgers.items():
            statuses = {item.slug: status for item, status in resting.items() if item.kind == name}
            self._guarded(name, partial(ledger.record, _of(name, done), statuses))
        if self._answers:
            self._try_to(lambda: store.save_verifications(verified))

    def followed(self, branch: str) -> str | None:
        """Return the commit of a branch that the last whole pass has seen; None when nobody remembers."""
        return self._memory.followed.get(branch) if self._memory else None

    def follow(self, branch: str, commit: str, now: datetime) -> None:
        """Have the next pass know which commit this one has seen."""
        store = self._store
        if (
            isinstance(store, PassStoreWriter)
            and self._answers
            and commit
            and self.followed(branch) != commit
        ):
            self._try_to(lambda: store.follow(branch, commit, now))

    def end(self, removed: Sequence[Reported]) -> None:
        """Tell the ledgers of items that are no more, ahead of what says so: after that nobody knows them."""
        for name, ledger in self._ledgers.items():
            if ended := _of(name, removed):
                self._guarded(name, partial(ledger.record, ended, {}))

    def close(self) -> None:
        """Let go of the lock."""
        if self._store is not None:
            self._store.close()

    def _read(self) -> None:
        if self._store is not None:
            self._memory = self._store.memory()

    def _guarded(self, kind: str, step: Callable[[], None]) -> None:
        """Let a ledger write; a defect of it is that kind's, and never the pass's."""
        if not self._answers:
            return
        try:
            self._try_to(step)
        except Exception as error:
            log.error("ledger failed unexpectedly", kind=kind, error=type(error).__name__)
            log.debug("traceback", exc_info=True)
            self.problems.append(
                f"the rows of kind {kind} could not be written: unexpected {type(error).__name__}"
            )

    def _try_to(self, step: Callable[[], None]) -> None:
        try:
            step()
        except ReconcilerError as error:
            self._answers = False
            self.problems.append(str(error))


def _of(kind: str, reported: Iterable[Reported]) -> list[Reported]:
    return [(item, report) for item, report in reported if item.kind == kind]


def _store(systems: Reading, kind: type[StoreT]) -> StoreT | None:
    try:
        return systems.get(kind)
    except NotConfigured:
        return None
