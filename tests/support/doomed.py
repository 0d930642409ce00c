"""Passes in processes of their own, which can be killed at any write and at any step of git.

The sandbox's gateway holds a write back, before or after its effect, until the process is dead; what is asked
of a git server, which no gateway sees, kills the process by itself.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

import pygit2

from reconciler.engine.configuration import load_sections
from reconciler.engine.cycle import Cycle
from reconciler.git.remote import Remote
from reconciler.sandbox.faults import Fault, Kind
from reconciler.sandbox.supervisor import Sandbox
from reconciler.sandbox.traffic import LoggedRequest
from tests.kinds.everyone import EVERYONE
from tests.support.forked import PROCESSES, quiet

WRITES = r"mutation |refresh|^(PUT|PATCH|DELETE|INSERT|UPDATE|CREATE|ALTER)\b|^POST (?!\S*/graphql)"
"""Every write of the reconciler, and nothing that it only reads; `Fault.match`."""
When = Literal["before", "after"]
PushWhen = Literal["before", "between", "locked", "after"]
PATIENCE = 30.0


@dataclass(frozen=True)
class GitStep:
    """The number-th fetch or push of a pass, counted from 0.

    Of a push "between" is when its objects are there and the branch has not moved, and "locked" when the
    branch is locked besides; only a repository by path has these.
    """

    number: int
    when: PushWhen
    operation: Literal["fetch", "push"] = "push"


def subject(request: LoggedRequest) -> str:
    """Return what a fault's `match` is searched in."""
    return request.path if request.system == "postgres" else f"{request.method} {request.path}"


@contextmanager
def running_pass(
    sandbox: Sandbox,
    *only: str,
    death: GitStep | None = None,
    ahead: timedelta = timedelta(),
    **environment: str,
) -> Iterator[BaseProcess]:
    """Start a pass over these items in a process of its own; it is gone when the block ends.

    `ahead`: by how much its clock is fast. `environment` replaces variables of the sandbox.
    """
    environ = {**sandbox.environment(), **environment}
    process = PROCESSES.Process(target=_run, args=(sandbox.configuration_file(), environ, only, death, ahead))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()


def killed_at_write(
    sandbox: Sandbox,
    number: int,
    when: When,
    *only: str,
    match: str = WRITES,
    ahead: timedelta = timedelta(),
    between: Callable[[], object] = lambda: None,
    passes: int = 1,
) -> bool:
    """Run passes, one of which is killed before or after the write of that number, counted from 0.

    `passes`: so many at the most, `between` which something happens. False when none came to that write.
    """
    mark = sandbox.mark()
    kinds: dict[When, Kind] = {"before": "timeout-before", "after": "timeout-after"}
    sandbox.inject(Fault("*", kinds[when], match, skip=number, seconds=PATIENCE))

    def struck() -> bool:
        return any(each.fault for each in sandbox.requests(mark))

    try:
        for _ in range(passes):
            with running_pass(sandbox, *only, ahead=ahead) as process:
                wait_until(lambda: not process.is_alive() or struck())
                if process.is_alive():
                    return True
            if struck():
                return False
            between()
    finally:
        sandbox.clear_faults()
    return False


def killed_at_step(sandbox: Sandbox, step: GitStep, *only: str, ahead: timedelta = timedelta()) -> bool:
    """Run a pass that is killed at that step; False when it did not come to it."""
    with running_pass(sandbox, *only, death=step, ahead=ahead) as process:
        process.join(PATIENCE)
        return process.exitcode == -signal.SIGKILL


@contextmanager
def counted_pushes() -> Iterator[list[str]]:
    """Note the branch of every push of passes in this process."""
    found: list[str] = []
    push = Remote.push

    def pushing(remote: Remote, clone: pygit2.Repository, commit: str, branch: str, parent: str) -> None:
        found.append(branch)
        push(remote, clone, commit, branch, parent)

    setattr(Remote, "push", pushing)  # noqa: B010 - noted besides
    try:
        yield found
    finally:
        setattr(Remote, "push", push)  # noqa: B010 - as it was


def wait_until(ready: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for something that will come."""
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until
        time.sleep(0.005)


def _run(
    configuration: Path,
    environ: dict[str, str],
    only: Sequence[str],
    death: GitStep | None,
    ahead: timedelta,
) -> None:
    quiet()
    if death:
        _die_at(death)
    Cycle(load_sections(configuration, environ), EVERYONE, clock=lambda: datetime.now(UTC) + ahead).run(
        only=only
    )


def _die_at(step: GitStep) -> None:
    call, left = getattr(Remote, step.operation), step.number

    def dying(*arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            return call(*arguments)
        if step.when == "before":
            _die()
        if step.when == "between":
            setattr(pygit2.Repository, "transaction", _die)  # noqa: B010 - with another type
        if step.when == "locked":
            setattr(pygit2.Repository, "transaction", _dying_when_locked)  # noqa: B010 - with another type
        call(*arguments)
        return _die()

    setattr(Remote, step.operation, dying)


_transaction = pygit2.Repository.transaction


@contextmanager
def _dying_when_locked(repository: pygit2.Repository) -> Iterator[Any]:
    with _transaction(repository) as transaction:
        yield _Locking(transaction)


class _Locking:
    def __init__(self, transaction: Any) -> None:
        self._transaction = transaction

    def lock_ref(self, name: str) -> None:
        self._transaction.lock_ref(name)
        _die()


def _die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
