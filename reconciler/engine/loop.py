"""Passes for a person who waits for them: once, or until only people are awaited. Not what a pass does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence, Set
from datetime import timedelta
from typing import Protocol

from reconciler.engine.cycle import Cycle
from reconciler.engine.result import PassResult
from reconciler.engine.stopping import Stop
from reconciler.model.decision import Change

LONGEST_SLEEP = timedelta(seconds=30)


class Progress(Protocol):
    """What hears of each step, to show it to whoever waits."""

    def looking(self) -> None:
        """Hear that a pass begins to look at what is there."""

    def changing(self, change: Change) -> None:
        """Hear of a change that is about to be made."""

    def waiting(self, pause: timedelta, awaited: Sequence[str]) -> None:
        """Hear when the next pass begins; `awaited` are kind/slug/resource, empty for another pass."""


def run_once(
    cycle: Cycle,
    *,
    wait: timedelta | None,
    progress: Progress,
    make_anew: Set[str] = frozenset(),
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> PassResult:
    """Do one pass; with `wait`, go on until no machine is awaited or the time is over.

    `make_anew`: systems that have really lost what they held. The result is that of the last pass, with the
    changes and commits of all. When the time is over while
    machines are awaited, it names them and its exit code is 1.
    """
    deadline = clock() + (wait.total_seconds() if wait else 0.0)
    stop = Stop()
    result = None
    progress.looking()
    with stop.on_signals():
        while True:
            done = cycle.run(stopping=stop.is_set, announce=progress.changing, make_anew=make_anew)
            result = done.after(result) if result else done
            pause = result.again_in
            if wait is None or pause is None or stop.is_set():
                return result
            left = deadline - clock()
            if left <= 0:
                return result.out_of_time()
            pause = min(pause, LONGEST_SLEEP, timedelta(seconds=left))
            progress.waiting(max(pause, timedelta(seconds=0.1)), result.machines_awaited)
            stop.sleep(pause.total_seconds(), sleep)
