"""Passes in processes of their own that tell what came of them, and are ended when they never end."""

from __future__ import annotations

import json
import resource
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType

from reconciler.engine.configuration import load_sections
from reconciler.engine.cycle import Cycle
from reconciler.model.errors import ReconcilerError
from reconciler.sandbox.supervisor import Sandbox
from tests.kinds.everyone import EVERYONE
from tests.support.forked import PROCESSES, quiet

LONGEST = 60
"""Seconds that a pass over a few items may take at the most, on a busy machine."""


class Endless(Exception):
    """A pass that did not come to its end."""


@dataclass(frozen=True)
class Told:
    """What came of a pass: its exit code, all that was wrong, how much it changed, and what it ended with."""

    code: int = -1
    said: tuple[str, ...] = ()
    changes: int = 0
    commits: int = 0
    raised: str = ""


def passed(
    sandbox: Sandbox,
    file: Path,
    *only: str,
    limit: Callable[[], None] | None = None,
    ahead: timedelta = timedelta(),
    seconds: float = LONGEST,
    **environment: str,
) -> Told:
    """Run a pass in a process of its own.

    `limit` is called there first, to take away what it is to do without. `file`: where the process writes
    what it has to tell.
    """
    file.unlink(missing_ok=True)
    environ = {**sandbox.environment(), **environment}
    process = PROCESSES.Process(
        target=_pass, args=(sandbox.configuration_file(), environ, only, ahead, limit, file)
    )
    process.start()
    process.join(seconds)
    endless = process.exitcode is None
    process.kill()
    process.join()
    code = process.exitcode
    process.close()
    if endless:
        return Told(raised="nothing: it did not come to its end")
    if not file.exists() or not file.stat().st_size:
        return Told(raised=f"exit code {code}")
    found = json.loads(file.read_text(encoding="utf-8"))
    return Told(**{**found, "said": tuple(found["said"])})


@contextmanager
def limited(seconds: int = LONGEST) -> Iterator[None]:
    """Raise Endless in what takes longer, as far as it is Python that takes so long."""

    def end(_: int, __: FrameType | None) -> None:
        raise Endless(f"a pass took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _pass(
    configuration: Path,
    environ: Mapping[str, str],
    only: tuple[str, ...],
    ahead: timedelta,
    limit: Callable[[], None] | None,
    file: Path,
) -> None:
    from tests.prove.world import said  # noqa: PLC0415 - that asks for more than a pass

    quiet()
    with file.open("w", encoding="utf-8") as told:
        if limit:
            limit()
        try:
            cycle = Cycle(
                load_sections(configuration, environ), EVERYONE, clock=lambda: datetime.now(UTC) + ahead
            )
            result = cycle.run(only=only)
            made = Told(result.exit_code, tuple(said(result)), result.changes, len(result.commits))
        except ReconcilerError as error:
            made = Told(1, (str(error),))
        except Exception as error:  # noqa: BLE001 - what a pass ends with is told
            made = Told(raised=f"{type(error).__name__}: {error}")
        for each in (resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE):
            resource.setrlimit(each, (resource.getrlimit(each)[1],) * 2)
        told.write(json.dumps(asdict(made)))
