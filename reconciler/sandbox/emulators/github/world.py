"""Everything the emulator keeps, in one hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from reconciler.sandbox.emulators.github.boards import Boards
from reconciler.sandbox.emulators.github.git_store import GitStore
from reconciler.sandbox.emulators.github.identity import Identities
from reconciler.sandbox.emulators.github.rate_limit import RateLimits
from reconciler.sandbox.emulators.github.repositories import Repositories
from reconciler.sandbox.emulators.store import Store


@dataclass(frozen=True)
class World:
    """The parts know one another only where their constructors say so."""

    store: Store
    clock: Callable[[], datetime]
    repositories: Repositories
    git: GitStore
    boards: Boards
    identities: Identities
    limits: RateLimits

    def now(self) -> str:
        """Return the time as GitHub writes it."""
        return self.repositories.now()
