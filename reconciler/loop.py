"""Passes for a person who waits for them: once, or until only people are awaited. Not what a pass does."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from reconciler.cycle import Cycle
from reconciler.model.duration import format_duration
from reconciler.progress import LOOKING, brief, change_line
from reconciler.result import PassResult
from reconciler.stopping import Stop

LONGEST_SLEEP = timedelta(seconds=30)


def run_once(
    cycle: Cycle,
    *,
    wait: timedelta | None,
    announce: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> PassResult:
    """Do one pass; with `wait`, go on until no machine is awaited or the time is over.

    The result is that of the last pass, with the changes and commits of all. When the time is over while
    machines are awaited, it names them and its exit code is 1.
    """
    deadline = clock() + (wait.total_seconds() if wait else 0.0)
    stop = Stop()
    result = None
    announce(LOOKING)
    with stop.on_signals():
        while True:
            done = cycle.run(stopping=stop.is_set, announce=lambda change: announce(change_line(change)))
            result = done.after(result) if result else done
            pause = result.again_in
            if wait is None or pause is None or stop.is_set():
                return result
            left = deadline - clock()
            if left <= 0:
                return result.out_of_time()
            seconds = min(pause, LONGEST_SLEEP, timedelta(seconds=left)).total_seconds()
            shown = format_duration(timedelta(seconds=max(seconds, 0.1)))
            awaited = brief(result.machines_awaited) or "another pass to end"
            announce(f"looking again in {shown}: waiting for {awaited}")
            stop.sleep(seconds, sleep)
