"""Processes forked from one that has imported the program, so that each is at work at once.

Not forked from the tests themselves, which may have threads.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import structlog
import tenacity.nap

from reconciler.__main__ import main
from reconciler.clients.http import trusted

PATIENCE = 120.0
"""Seconds."""

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        __name__,
        "tests.support.doomed",
        "httpcore",
        "reconciler.clients.github.connection",
        "reconciler.engine.loop",
        "reconciler.faces.cli.plan_view",
        "reconciler.faces.sealed_entry",
        "reconciler.faces.cli.status_view",
    ]
)
# Whom connections trust is found out once for all, too.
trusted()


def quiet() -> None:
    """Have this process log nothing: passes that go wrong as they should have much to say."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)


def run_program(words: Sequence[str], environ: Mapping[str, str], text: str = "") -> tuple[int, str]:
    """Run `reconcile` with nothing but this environment; returns its exit code and all that it printed.

    Clients' pauses between attempts are skipped.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, said = Path(folder) / "given", Path(folder) / "said"
        given.write_text(text, encoding="utf-8")
        process = PROCESSES.Process(target=_run, args=(words, dict(environ), given, said))
        process.start()
        try:
            process.join(PATIENCE)
            assert process.exitcode is not None, f"{words} took more than {PATIENCE} s"
        finally:
            process.kill()
            process.join()
        code = process.exitcode
        process.close()
        return code, said.read_text(encoding="utf-8")


def _run(words: Sequence[str], environ: Mapping[str, str], given: Path, said: Path) -> None:
    os.environ.clear()
    os.environ.update(environ)
    sys.stdin = given.open(encoding="utf-8")
    with said.open("wb") as file:
        for standard in (1, 2):
            os.dup2(file.fileno(), standard)
    sys.argv = ["reconcile", *words]
    setattr(tenacity.nap, "time", SimpleNamespace(sleep=lambda seconds: None))  # noqa: B010 - of another type
    main()
