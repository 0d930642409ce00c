"""Processes that outlive whoever started them, known again by number and time of start."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

# The time of start is computed from the boot time, which the system's clock may correct by a little.
_TOLERANCE_SECONDS = 2.0
_GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class Process:
    """One process. `started` is epoch seconds; `stop_signal` is how it wants to be asked to stop."""

    pid: int
    started: float
    stop_signal: int = signal.SIGTERM

    def find(self) -> psutil.Process | None:
        """Return the process if it still runs, and is not another one that got its number."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.started) < _TOLERANCE_SECONDS
            return found if same and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def start(
    command: Sequence[str],
    *,
    directory: Path,
    log: Path,
    user: str | None = None,
    stop_signal: int = signal.SIGTERM,
) -> Process:
    """Start a server in that directory, its output appended to the log; it outlives this process."""
    # Private: servers may log what they were sent, credentials included.
    log.touch(mode=0o600)
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - our own command lines
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **rights_of(user),
        )
    process = Process(child.pid, psutil.Process(child.pid).create_time(), stop_signal)
    # It is meant to go on: without this, Python warns about it when the handle is dropped.
    child.returncode = 0
    return process


def rights_of(user: str | None) -> dict[str, Any]:
    """Return the options of `subprocess` that give a child that user's rights alone; None keeps ours."""
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def stop(processes: Iterable[Process]) -> None:
    """Ask them all to stop, and end those that do not."""
    running = [process for process in processes if process.find()]
    for process in running:
        _signal(process, process.stop_signal)
    for process in _left(running):
        _signal(process, signal.SIGKILL)
    _left(running)


def _signal(process: Process, number: int) -> None:
    with suppress(psutil.NoSuchProcess):
        if found := process.find():
            found.send_signal(number)


def _left(processes: Sequence[Process]) -> list[Process]:
    """Wait until they have ended; returns those that have not after the time of grace."""
    deadline = time.monotonic() + _GRACE_SECONDS
    running = list(processes)
    while running and time.monotonic() < deadline:
        time.sleep(0.02)
        running = [process for process in running if not _has_ended(process)]
    return running


def _has_ended(process: Process) -> bool:
    try:
        # One that this very process started stays in the system's table until it is asked after.
        return os.waitpid(process.pid, os.WNOHANG)[0] == process.pid
    except ChildProcessError:
        return process.find() is None
