"""What a program that runs for months writes to its log."""

from __future__ import annotations

import subprocess
import sys

LONG_PASS = """
import logging, sys, threading
from apscheduler.schedulers.background import BackgroundScheduler
from reconciler.faces.cli.logs import configure_logs

configure_logs(logging.INFO)
scheduler, refused = BackgroundScheduler(), threading.Event()
scheduler.add_listener(lambda event: refused.set(), {event})
scheduler.add_job({job}, "interval", seconds=0.05, max_instances=1)
scheduler.start()
assert refused.wait(30)
scheduler.shutdown(wait=False)
"""


def logged(job: str, event: str) -> str:
    script = f"import apscheduler.events as events\n{LONG_PASS.format(job=job, event=event)}"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return done.stderr


def test_a_pass_that_takes_longer_than_its_interval_is_nothing_to_tell() -> None:
    assert logged("lambda: refused.wait(30)", "events.EVENT_JOB_MAX_INSTANCES") == ""


def test_a_job_that_breaks_is_told() -> None:
    assert "ZeroDivisionError" in logged("lambda: 1 / 0", "events.EVENT_JOB_ERROR")
