"""What a job of a part is given: a sandbox of its own while it runs, a folder, and random numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeVar

from reconciler.engine.kind import Kind
from reconciler.sandbox.supervisor import Sandbox
from tests.kinds.everyone import EVERYONE
from tests.prove.declared import provable_of

T = TypeVar("T")


@dataclass(frozen=True)
class Ground:
    """`short`: only so many points as the tests have time for; `given`: a folder that somebody named."""

    sandbox: Sandbox
    folder: Path
    random: Random
    short: bool = False
    given: Path | None = None
    tell: Callable[[str], None] = lambda line: None

    def some(self, points: Sequence[T], most: int) -> list[T]:
        """Return all points or, for a short run, so many of them, which follow from the seed."""
        if not self.short or len(points) <= most:
            return list(points)
        return [points[number] for number in sorted(self.random.sample(range(len(points)), most))]


def provable_kinds() -> list[Kind]:
    """Return the kinds that say how they are proven."""
    return [kind for kind in EVERYONE.values() if provable_of(kind) is not None]


def scenarios() -> list[str]:
    """Return every scenario of every kind, as kind/scenario."""
    return [
        f"{kind.name}/{each.name}"
        for kind in provable_kinds()
        if (found := provable_of(kind))
        for each in found.scenarios
    ]
