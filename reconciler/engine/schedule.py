"""Passes that nobody waits for: at their interval, sooner where a machine is awaited or somebody asks.

Knows when a pass runs and what is logged of it; not what a pass does, and no HTTP.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from reconciler.engine import metrics
from reconciler.engine.backoff import Backoff
from reconciler.engine.cycle import Cycle, new_pass_id
from reconciler.engine.result import PassResult
from reconciler.engine.stopping import Stop
from reconciler.git.locations import config_location
from reconciler.model.decision import Change
from reconciler.model.duration import format_duration
from reconciler.model.errors import ReconcilerError
from reconciler.model.item import ItemId
from reconciler.model.loaded import Loaded
from reconciler.model.outcome import Condition
from reconciler.settings.program import ScheduleSettings

log = structlog.get_logger()


class Schedule:
    """One pass after the other, in a thread of its own. `ended` hears of each that ran to its end."""

    def __init__(self, cycle: Cycle, *, ended: Callable[[PassResult], None] = lambda result: None) -> None:
        """Prepare it; ConfigurationError when there is nothing that a pass could start from."""
        config_location(cycle.sections)
        self._cycle = cycle
        self._ended = ended
        self._settings = cycle.sections.get(ScheduleSettings)
        self._backoff = Backoff(self._settings.interval, cycle.kinds)
        self._stop = Stop()
        self._scheduler = BackgroundScheduler(timezone=UTC)
        # The scheduler's own waiting for its jobs holds a lock that a job needs to change its next time.
        self._deciding = threading.Condition()
        self._running = False
        self._asked = False
        self._waiting = False
        self.last_ended: datetime | None = None
        """When the last pass ended that ran to its end; one that found another at work does not count."""
        self._ended_at: float | None = None
        self._begun_at = time.monotonic()

    def start(self) -> None:
        """Begin with a pass now."""
        settings = self._settings
        self._job = self._scheduler.add_job(
            self._one,
            IntervalTrigger(
                seconds=settings.interval.total_seconds(),
                jitter=settings.jitter.total_seconds(),
                timezone=UTC,
            ),
            next_run_time=datetime.now(UTC),
            # One that finds a pass at work ends at once. With 1, the next one would be left out while the
            # executor still counts one that has just ended.
            max_instances=3,
            coalesce=True,
            misfire_grace_time=None,
        )
        self._scheduler.start()
        threading.Thread(target=self._mind_the_clock, name="clock", daemon=True).start()
        log.info("schedule started", interval=format_duration(settings.interval))

    @property
    def since_last(self) -> timedelta | None:
        """How long ago that was, whatever was done to the clock since; None before the first."""
        return None if self._ended_at is None else timedelta(seconds=time.monotonic() - self._ended_at)

    def wake(self, reason: str) -> None:
        """Have a pass begin now, or as soon as the one under way has ended. From any thread."""
        log.info("pass asked for", reason=reason)
        with self._deciding:
            self._asked = True
            if not self._running and not self._stop.is_set():
                self._begin_at(datetime.now(UTC))

    def stop(self) -> None:
        """Return when no pass is under way any more; one that is ends between two changes."""
        log.info("stopping: a pass under way ends between two changes")
        self._stop.set()
        with self._deciding:
            self._deciding.wait_for(lambda: not self._running)
        self._scheduler.shutdown(wait=False)

    def _one(self) -> None:
        with self._deciding:
            if self._running:
                return
            self._running, self._asked = True, False
            self._begun_at = time.monotonic()
        while not self._ends(None if self._stop.is_set() else self._guarded()):
            pass

    def _ends(self, again: timedelta | None) -> bool:
        """Say when the next pass begins; False when somebody asked for one meanwhile, which begins now."""
        with self._deciding:
            if self._asked and not self._stop.is_set():
                self._asked = False
                return False
            self._running = False
            if again is not None and not self._stop.is_set():
                now = datetime.now(UTC)
                self._begin_at(min(self._job.next_run_time or now + again, now + again))
            self._deciding.notify_all()
            return True

    def _mind_the_clock(self) -> None:
        """Have a pass begin where none did for long: the scheduler goes by a clock that may be put back."""
        most = 2 * self._settings.interval + self._settings.jitter
        while not self._stop.is_set():
            self._stop.sleep(self._settings.interval.total_seconds(), time.sleep)
            with self._deciding:
                late = not self._running and time.monotonic() - self._begun_at > most.total_seconds()
            if late:
                self.wake("the clock was put back")

    def _begin_at(self, moment: datetime) -> None:
        self._job.modify(next_run_time=moment)

    def _guarded(self) -> timedelta | None:
        """Do one pass whatever happens; return how soon there should be another, if sooner than usual."""
        pass_id = new_pass_id()
        with structlog.contextvars.bound_contextvars(pass_id=pass_id):
            return self._try(pass_id)

    def _try(self, pass_id: str) -> timedelta | None:
        begun = time.monotonic()
        try:
            result = self._pass(pass_id)
            seconds = time.monotonic() - begun
            metrics.passed(result, self._cycle.kinds, seconds, datetime.now(UTC))
            if result.busy:
                return result.again_in
            _tell(result, seconds)
            self.last_ended, self._ended_at = datetime.now(UTC), time.monotonic()
            _leave_heartbeat(self._settings.heartbeat)
            self._ended(result)
            soon = result.waiting_in
            return None if soon is None else max(soon, self._settings.least_pause)
        except ReconcilerError as error:
            metrics.PASSES.labels("failed").inc()
            log.error("pass failed", error=error.message, remedy=error.remedy)
        except Exception as error:  # a defect in one pass must not end the schedule
            metrics.PASSES.labels("failed").inc()
            log.error("pass failed unexpectedly", error=type(error).__name__)
            log.debug("traceback", exc_info=True)
        return None

    def _pass(self, pass_id: str) -> PassResult:
        left_alone: frozenset[ItemId] = frozenset()

        def postpone(loaded: Loaded, now: datetime) -> frozenset[ItemId]:
            nonlocal left_alone
            left_alone = self._backoff.postponed(loaded, now)
            if left_alone:
                log.info("failing items rest", items=sorted(map(str, left_alone)))
            return left_alone

        result = self._cycle.run(
            stopping=self._stop.is_set, announce=_changing, postpone=postpone, pass_id=pass_id
        )
        if result.busy:
            if not self._waiting:
                log.info("another instance's pass is at work; this one waits for it to end")
            self._waiting = True
            return result
        self._waiting = False
        self._backoff.learn(result.reports, left_alone, datetime.now(UTC))
        return result


def run_forever(cycle: Cycle) -> int:
    """Run passes on the schedule until SIGTERM or SIGINT; a pass under way ends between two changes."""
    schedule = Schedule(cycle)
    stop = Stop()
    with stop.on_signals():
        schedule.start()
        stop.wait()
        schedule.stop()
    return 0


def _tell(result: PassResult, seconds: float) -> None:
    for problem in (*result.problems, *map(str, result.broken)):
        log.error("problem", problem=problem)
    # A system that is down is one line, and not one for each of a thousand items.
    troubles: dict[tuple[str, str, str, str], list[str]] = {}
    for each in result.reports:
        for outcome in each.outcomes:
            if outcome.condition in {Condition.ERROR, Condition.UNKNOWN}:
                what = (outcome.resource, str(outcome.condition), outcome.reason, outcome.remedy)
                troubles.setdefault(what, []).append(str(each.id))
    for (resource, state, reason, remedy), items in troubles.items():
        log.warning(
            "resource in trouble",
            resource=resource,
            state=state,
            reason=reason,
            remedy=remedy,
            count=len(items),
            items=items[:3],
        )
    log.info("pass finished", summary=result.summary, seconds=round(seconds, 2), commits=result.commits)


def _changing(change: Change) -> None:
    metrics.CHANGES.labels(change.item.kind, change.resource, str(change.action)).inc()
    log.info("change", item=str(change.item), resource=change.resource, action=str(change.action))


def _leave_heartbeat(file: Path | None) -> None:
    try:
        if file is not None:
            file.touch()
    except OSError as error:
        log.error("heartbeat cannot be written", file=str(file), error=error.strerror)
