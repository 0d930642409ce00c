"""Jobs in processes beside each other, each process with a sandbox of its own."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.queues import Queue
from pathlib import Path
from random import Random

from reconciler.sandbox.supervisor import Sandbox
from tests.prove.figures import Figures
from tests.prove.ground import Ground
from tests.prove.parts import PARTS
from tests.support.forked import quiet
from tests.support.own_sandbox import own_sandbox

_PROCESSES = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Order:
    """One job that is to be done."""

    part: str
    job: str
    seed: str
    short: bool = False
    folder: Path | None = None


def done(orders: Sequence[Order], workers: int) -> Iterator[Figures]:
    """Do all jobs, and yield each one's figures as soon as it is done."""
    waiting: Queue[Order | None] = _PROCESSES.Queue()
    finished: Queue[Figures] = _PROCESSES.Queue()
    count = min(workers, len(orders))
    for order in (*orders, *[None] * count):
        waiting.put(order)
    started = [_PROCESSES.Process(target=_work, args=(waiting, finished)) for _ in range(count)]
    for process in started:
        process.start()
    try:
        for _ in orders:
            yield finished.get()
        for process in started:
            process.join()
    finally:
        # Who was told to stop in the middle still takes its sandbox down.
        for process in started:
            process.terminate()
            process.join()


def _work(waiting: Queue[Order | None], finished: Queue[Figures]) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    quiet()
    with own_sandbox() as sandbox:
        while (order := waiting.get()) is not None:
            finished.put(do(order, sandbox))


def do(order: Order, sandbox: Sandbox) -> Figures:
    """Do one job on a sandbox. One that cannot be done is a shortfall of its own."""
    folder = Path(tempfile.mkdtemp(prefix="mesh-six-proof-"))
    random = Random(f"{order.seed}/{order.part}/{order.job}")  # noqa: S311 - repeatable on purpose
    ground = Ground(sandbox, folder, random, short=order.short, given=order.folder)
    figures, begun = Figures(order.part, order.job, ""), time.monotonic()
    try:
        figures = PARTS[order.part].run(order.job, ground)
    except Exception as error:  # noqa: BLE001 - the other jobs go on
        last = traceback.extract_tb(error.__traceback__)[-1]
        what = (
            f"the job ended with {type(error).__name__} in {Path(last.filename).name}:{last.lineno}: {error}"
        )
        figures.fall_short("the job", [("broken", what[:600])])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures.seconds = time.monotonic() - begun
    return figures
