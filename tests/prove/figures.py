"""What came of one job of a part: its figures, and each shortfall with the point that shows it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

Sort = Literal["lost", "duplicated", "false", "stuck", "broken"]
"""`lost`: something that was there is gone; `duplicated`: something is there twice; `false`: a status or a
commit says what is not so; `stuck`: no later pass mends it; `broken`: any other promise."""
SORTS: tuple[Sort, ...] = get_args(Sort)
_OWN_FOLDER = re.compile(r"/[\w./-]*/mesh-six-[\w-]+/")
"""Where the sandbox of a run was, which says nothing to anybody."""


@dataclass(frozen=True)
class Shortfall:
    """A promise that did not hold at one point. `what` is for people, with neither secret nor path in it."""

    point: str
    sort: Sort
    what: str


@dataclass
class Figures:
    """The counts of one job. `unit`: what it counts, in the plural; `most_requests`: of one pass."""

    part: str
    job: str
    unit: str
    tried: int = 0
    converged: int = 0
    shortfalls: list[Shortfall] = field(default_factory=list)
    most_requests: int = 0
    usual_requests: int = 0
    seconds: float = 0.0

    def count(self, *sorts: Sort) -> int:
        """Return how many points fell short in one of these ways."""
        return len({each.point for each in self.shortfalls if each.sort in sorts})

    def passed(self, requests: int) -> None:
        """Take note of how many requests a pass sent."""
        self.most_requests = max(self.most_requests, requests)

    def judge(self, point: str, wrong: Sequence[tuple[Sort, str]]) -> None:
        """Count one point as tried, and as converged where nothing is wrong with it."""
        self.tried += 1
        self.converged += not wrong
        self.fall_short(point, wrong)

    def fall_short(self, point: str, wrong: Sequence[tuple[Sort, str]]) -> None:
        """Note what is wrong at a point, once each."""
        for sort, what in wrong:
            shortfall = Shortfall(point, sort, _OWN_FOLDER.sub("…/", what))
            if shortfall not in self.shortfalls:
                self.shortfalls.append(shortfall)
