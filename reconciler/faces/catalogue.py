"""What is known of all items, read from git and kept fresh behind the callers' backs. Changes nothing.

Knows no HTTP and no MCP.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from reconciler.engine.kind import Kinds
from reconciler.engine.repositories import Repositories
from reconciler.engine.stages.load import load
from reconciler.faces.item_view import Proposed, reports_of
from reconciler.faces.patience import Patience
from reconciler.faces.proposals import Proposals
from reconciler.git.repository import Repository
from reconciler.git.snapshot import Snapshot
from reconciler.model.errors import ReconcilerError, Unavailable, UnknownItem
from reconciler.model.item import ItemId
from reconciler.model.loaded import Loaded
from reconciler.model.outcome import ItemReport
from reconciler.settings.giving import Reading, Sections

log = structlog.get_logger()

STALE_AFTER = 10.0
"""Seconds after which what is told is read again, in the background."""
ASKED_AGAIN_AFTER = 2.0
"""Seconds before which an unknown name does not cause another fetch."""
LONGEST_WAIT = 20.0
"""Seconds that a request waits for those before it. A server that hangs is given up after a minute."""


@dataclass(frozen=True)
class Beside:
    """Something that a kind reads together with its items. `empty`: what stands for it until it was read."""

    system: str
    read: Callable[[Reading], Any]
    empty: Any


@dataclass(frozen=True)
class View:
    """All items at one commit of the config repository."""

    loaded: Loaded | None = None
    reports: Mapping[ItemId, ItemReport] = field(default_factory=dict)
    """In the order of their names; those that are only proposed among them."""
    proposed: Mapping[ItemId, Proposed] = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)
    """By kind, what it reads beside its items."""
    key: object = None
    """What it was made from; the same makes the same."""


class Catalogue:
    """Safe for any number of threads; one of them at a time works with git."""

    def __init__(
        self,
        sections: Sections,
        kinds: Kinds,
        *,
        proposals: Proposals | None = None,
        beside: Mapping[str, Beside] | None = None,
    ) -> None:
        """`proposals` None: items are asked for without pull requests. `beside`: by kind."""
        self.kinds = kinds
        self._sections = sections
        self._repository = Repositories(sections, clones="service")
        self._proposals = proposals
        self._beside = beside or {}
        self._patience = Patience()
        self._working = threading.Lock()
        self._background = ThreadPoolExecutor(1, thread_name_prefix="refresh")
        self._refreshing = False
        self._view = View(beside={kind: each.empty for kind, each in self._beside.items()})
        self._read_at = self._looked_at = float("-inf")

    @property
    def config(self) -> Repository:
        """The config repository; whoever works with it holds the turn of `alone`."""
        return self._repository.config

    def close(self) -> None:
        """Let go of the background thread."""
        self._background.shutdown(wait=True, cancel_futures=True)

    def view(self) -> View:
        """Return all items as last read, at once; what is old is read again behind the caller's back."""
        if time.monotonic() - self._read_at > STALE_AFTER and not self._refreshing:
            self.look_again()
        return self._view

    def look_again(self) -> None:
        """Read the config repository soon, in the background."""
        self._refreshing = True
        self._background.submit(self._refresh_quietly)

    @property
    def has_read(self) -> bool:
        """Whether there is a view yet."""
        return self._view.key is not None

    def refresh(self) -> View:
        """Read the config repository now. Raises SystemFault when it cannot be had.

        Those who waited here for one another share one look: it began after they asked.
        """
        asked = time.monotonic()
        with self.alone():
            begun = time.monotonic()
            if self._looked_at <= asked:
                self.read(self.config.fetch())
                self._looked_at = begun
            return self._view

    def view_with(self, item: ItemId) -> View:
        """Return a view that has the item; UnknownItem when there is none, also not after another look."""
        view = self.view()
        if item not in view.reports and time.monotonic() - self._read_at > ASKED_AGAIN_AFTER:
            view = self.refresh()
        if item not in view.reports:
            raise UnknownItem(f"there is no {item.kind} {item.slug}", remedy="GET /items lists what there is")
        return view

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Work with git; Unavailable when whoever does so now takes too long, so that no queue builds up."""
        if not self._working.acquire(timeout=LONGEST_WAIT):
            raise Unavailable("git", "the requests before this one still wait for it")
        try:
            yield
        finally:
            self._working.release()

    def read(self, snapshot: Snapshot, also: Mapping[ItemId, Proposed] | None = None) -> View:
        """Make the view of a snapshot. The caller is `alone`.

        `also`: what was proposed just now, which no look at the branches has seen yet.
        """
        before = self._view
        same = before.loaded is not None and before.loaded.commit == snapshot.commit
        loaded = before.loaded if same and before.loaded else load(snapshot, self.kinds, self._sections)
        proposed = {**self._proposed(snapshot), **(also or {})}
        beside = {kind: self._ask_beside(kind, each) for kind, each in self._beside.items()}
        key = (snapshot.commit, proposed, beside)
        if key != before.key:
            self._view = View(loaded, reports_of(loaded, self.kinds, proposed), proposed, beside, key)
        self._read_at = time.monotonic()
        return self._view

    def _proposed(self, snapshot: Snapshot) -> Mapping[ItemId, Proposed]:
        """Return what pull requests ask for; without GitHub, what they asked for when it last answered."""
        proposals, before = self._proposals, self._view.proposed
        if proposals is None:
            return {}
        return self._patience.ask("GitHub", lambda: proposals.find(self.config, snapshot), before)

    def _ask_beside(self, kind: str, each: Beside) -> Any:  # noqa: ANN401 - the kind's own
        def ask() -> Any:  # noqa: ANN401 - the kind's own
            with closing(Reading(self._sections)) as read:
                return each.read(read)

        return self._patience.ask(each.system, ask, self._view.beside[kind])

    def _refresh_quietly(self) -> None:
        try:
            self.refresh()
        except ReconcilerError as error:
            log.warning("config repository cannot be read", error=error.message)
        except Exception as error:
            log.error("refresh failed unexpectedly", error=type(error).__name__)
            log.debug("traceback", exc_info=True)
        finally:
            self._read_at = max(self._read_at, time.monotonic() - STALE_AFTER / 2)
            self._refreshing = False
