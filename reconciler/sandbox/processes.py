"""Processes that outlive whoever started them, known again by number and time of start."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

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
    user: int | None = None,
    stop_signal: int = signal.SIGTERM,
) -> Process:
    """Start a server in that directory, its output appended to the log; it outlives this process."""
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - our own command lines
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
    process = Process(child.pid, psutil.Process(child.pid).create_time(), stop_signal)
    # It is meant to go on: without this, Python warns about it when the handle is dropped.
    child.returncode = 0
    return process


def stop(processes: Iterable[Process]) -> None:
    """Ask them all to stop, and end those that do not."""
    running = [(process, found) for process in processes if (found := process.find())]
    for process, found in running:
        with suppress(psutil.NoSuchProcess):
            found.send_signal(process.stop_signal)
    _, stubborn = psutil.wait_procs([found for _, found in running], timeout=_GRACE_SECONDS)
    for found in stubborn:
        with suppress(psutil.NoSuchProcess):
            found.kill()
    psutil.wait_procs(stubborn, timeout=_GRACE_SECONDS)
