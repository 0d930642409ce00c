"""When passes run: once, until only people are awaited, or on a schedule; not what a pass does."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from reconciler.config import ScheduleSettings
from reconciler.cycle import Cycle
from reconciler.errors import ReconcilerError
from reconciler.gitops.settings import config_location
from reconciler.model.decision import Change
from reconciler.model.duration import format_duration
from reconciler.progress import LOOKING, brief, change_line
from reconciler.result import PassResult

log = structlog.get_logger()

LONGEST_SLEEP = timedelta(seconds=30)
SHORTEST_PAUSE = timedelta(seconds=30)
"""Between two passes of the schedule, however soon a machine may be ready: each reads everything."""


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
    stop = _Stop()
    begun = itertools.count(1)
    result = None
    announce(LOOKING)
    with stop.on_signals():
        while True:
            done = cycle.run(
                stopping=stop.is_set, announce=lambda change: announce(change_line(change, next(begun)))
            )
            result = done.after(result) if result else done
            pause = result.again_in
            if wait is None or pause is None or stop.is_set():
                return result
            left = deadline - clock()
            if left <= 0:
                return result.out_of_time()
            seconds = min(pause, LONGEST_SLEEP, timedelta(seconds=left)).total_seconds()
            shown = format_duration(timedelta(seconds=max(seconds, 0.1)))
            awaited = result.machines_awaited or ("another pass",)
            announce(f"looking again in {shown}: waiting for {brief(awaited)}")
            stop.sleep(seconds, sleep)


def run_forever(cycle: Cycle) -> int:
    """Run passes on the schedule until SIGTERM or SIGINT; a pass under way ends between two changes.

    ConfigurationError at once when there is nothing that a pass could start from.
    """
    config_location(cycle.sections)
    settings = cycle.sections.get(ScheduleSettings)
    stop = _Stop()
    scheduler = BackgroundScheduler(timezone=UTC)

    # The scheduler's own waiting for its jobs holds a lock that a job needs to change its next time.
    at_work = threading.Lock()

    def one() -> None:
        with at_work:
            soon = None if stop.is_set() else _guarded(cycle, stop)
            if soon is not None and job.next_run_time is not None:
                earliest = datetime.now(UTC) + max(soon, SHORTEST_PAUSE)
                job.modify(next_run_time=min(job.next_run_time, earliest))

    job = scheduler.add_job(
        one,
        IntervalTrigger(
            seconds=settings.interval.total_seconds(), jitter=settings.jitter.total_seconds(), timezone=UTC
        ),
        next_run_time=datetime.now(UTC),
        max_instances=1,
        coalesce=True,
        misfire_grace_time=None,
    )
    with stop.on_signals():
        scheduler.start()
        log.warning("schedule started", interval=format_duration(settings.interval))
        stop.wait()
        log.warning("stopping: a pass under way ends between two changes")
        with at_work:
            scheduler.shutdown(wait=False)
    return 0


def _guarded(cycle: Cycle, stop: _Stop) -> timedelta | None:
    """Do one pass whatever happens; return how soon a machine that is waited for may be ready."""
    try:
        result = cycle.run(stopping=stop.is_set, announce=_log_change)
        for problem in (*result.problems, *(str(error) for error in result.broken)):
            log.error("problem", problem=problem)
        log.warning("pass finished", summary=result.summary, exit_code=result.exit_code)
        _leave_heartbeat(cycle.sections.get(ScheduleSettings).heartbeat)
        return result.waiting_in  # noqa: TRY300 - the shortest way to say it
    except ReconcilerError as error:
        log.error("pass failed", error=error.message, remedy=error.remedy)
    except Exception as error:  # a defect in one pass must not end the schedule (design, house rules)
        log.error("pass failed unexpectedly", error=type(error).__name__)
        log.debug("traceback", exc_info=True)
    return None


def _leave_heartbeat(file: Path | None) -> None:
    try:
        if file is not None:
            file.touch()
    except OSError as error:
        log.error("heartbeat cannot be written", file=str(file), error=error.strerror)


def _log_change(change: Change) -> None:
    log.info("change", slug=change.slug, resource=change.resource, action=str(change.action))


class _Stop:
    """Whether somebody asked us to stop."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self) -> None:
        self._event.wait()

    def sleep(self, seconds: float, sleep: Callable[[float], None]) -> None:
        """Sleep, but wake at a signal when the real clock is used."""
        if sleep is time.sleep:
            self._event.wait(seconds)
        else:
            sleep(seconds)

    def on_signals(self) -> _Signals:
        return _Signals(self._event)


class _Signals:
    """SIGTERM and SIGINT set the event; a second SIGINT interrupts at once."""

    def __init__(self, event: threading.Event) -> None:
        self._event = event
        self._before: dict[int, object] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._handle)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and self._event.is_set():
            raise KeyboardInterrupt
        self._event.set()
