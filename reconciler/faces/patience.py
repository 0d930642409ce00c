"""Asking a system that an answer can do without: once it is silent, it is left alone for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from reconciler.model.errors import ReconcilerError

log = structlog.get_logger()

T = TypeVar("T")

LEFT_ALONE_FOR = 60.0
"""Seconds for which nobody waits for a system that did not answer."""


class Patience:
    """Remembers which systems did not answer. For one thread at a time."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def ask(self, system: str, ask: Callable[[], T], before: T) -> T:
        """Return the system's answer, or else the one that it gave before."""
        if time.monotonic() < self._until.get(system, float("-inf")):
            return before
        try:
            return ask()
        except ReconcilerError as error:
            log.warning("told without a system that does not answer", system=system, error=error.message)
            self._until[system] = time.monotonic() + LEFT_ALONE_FOR
            return before
