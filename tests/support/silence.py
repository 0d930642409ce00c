"""Somebody who waits for passes and wants to hear nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from reconciler.model.decision import Change


class Silence:
    def looking(self) -> None: ...

    def changing(self, change: Change) -> None: ...

    def waiting(self, pause: timedelta, awaited: Sequence[str]) -> None: ...
