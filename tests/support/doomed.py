"""Passes in processes of their own, which can be killed at any write.

The sandbox's gateway holds the write back, before or after its effect, until the process is dead; a write to
git, which no gateway sees, kills the process by itself.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

import pygit2

from reconciler.engine.configuration import load_sections
from reconciler.engine.cycle import Cycle
from reconciler.git.remote import Remote
from reconciler.kinds import KINDS
from reconciler.sandbox.faults import Fault, Kind
from reconciler.sandbox.supervisor import Sandbox
from reconciler.sandbox.traffic import LoggedRequest
from tests.support.forked import PROCESSES

WRITES = r"mutation |refresh|^(PUT|PATCH|DELETE|INSERT|UPDATE|CREATE|ALTER)\b|^POST (?!\S*/graphql)"
"""Every write of the reconciler, and nothing that it only reads; `Fault.match`."""
When = Literal["before", "after"]
PATIENCE = 30.0


@dataclass(frozen=True)
class GitStep:
    """The number-th push of a pass; "between": its objects are there, and the branch has not moved."""

    number: int
    when: Literal["before", "between", "after"]


def subject(request: LoggedRequest) -> str:
    """Return what a fault's `match` is searched in."""
    return request.path if request.system == "postgres" else f"{request.method} {request.path}"


@contextmanager
def running_pass(sandbox: Sandbox, *only: str, death: GitStep | None = None) -> Iterator[BaseProcess]:
    """Start a pass over these projects in a process of its own; it is gone when the block ends."""
    arguments = (sandbox.configuration_file(), sandbox.environment(), only, death)
    process = PROCESSES.Process(target=_run, args=arguments)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()


def killed_at_write(sandbox: Sandbox, number: int, when: When, *only: str, match: str = WRITES) -> None:
    """Run a pass that is killed before or after its write of that number, counted from 0."""
    mark = sandbox.mark()
    kinds: dict[When, Kind] = {"before": "timeout-before", "after": "timeout-after"}
    sandbox.inject(Fault("*", kinds[when], match, skip=number, seconds=PATIENCE))
    with running_pass(sandbox, *only) as process:
        _wait_until(lambda: not process.is_alive() or any(each.fault for each in sandbox.requests(mark)))
        assert process.is_alive(), f"the pass ended before its write {number}"
    sandbox.clear_faults()


def killed_at_push(sandbox: Sandbox, step: GitStep, *only: str) -> None:
    """Run a pass that is killed at that push."""
    with running_pass(sandbox, *only, death=step) as process:
        process.join(PATIENCE)
        assert process.exitcode == -signal.SIGKILL


def _wait_until(ready: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < until
        time.sleep(0.01)


def _run(configuration: Path, environ: dict[str, str], only: tuple[str, ...], death: GitStep | None) -> None:
    if death:
        _die_at(death)
    Cycle(load_sections(configuration, environ), KINDS).run(only=only)


def _die_at(step: GitStep) -> None:
    push, left = Remote.push, step.number

    def die(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def dying(*arguments: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            if step.when == "before":
                die()
            if step.when == "between":
                setattr(pygit2.Repository, "transaction", die)  # noqa: B010 - with another type
        push(*arguments)
        if left < 0:
            die()

    setattr(Remote, "push", dying)  # noqa: B010 - with another type
