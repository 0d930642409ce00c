"""Passes over a sandbox in their own process: `python -m bench.project.quiet_pass DIRECTORY [--record FILE]`.

Prints one JSON object: for each pass its wall time, stages and changes, and the peak memory of the process.
Two passes: the first is what `reconcile --once` costs, the second what each further one of the loop costs.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.project.settled import cycle_of
from bench.recording import Recorder
from reconciler.engine import cycle as cycle_module
from reconciler.engine.history import History
from reconciler.engine.stages import apply, observe, publish, report
from reconciler.engine.stages import plan as planning
from reconciler.faces.cli.logs import configure_logs
from reconciler.faces.cli.main import COLLECTOR_THRESHOLDS
from reconciler.git.repository import Repository
from reconciler.sandbox.supervisor import Sandbox

STAGES: tuple[tuple[str, Any, str], ...] = (
    ("git fetch", Repository, "fetch"),
    ("history: lock, runs, verifications", History, "writing"),
    ("load", cycle_module, "load"),
    ("observe: targets", observe, "targets"),
    ("observe", observe, "observe"),
    ("plan", planning, "plan"),
    ("apply", apply, "apply"),
    ("report", report, "report"),
    ("report: status documents", report, "status_changes"),
    ("publish", publish, "manifests"),
    ("publish", publish, "statuses"),
    ("history: record", History, "record"),
)


class Profile:
    """Seconds spent in each stage, and in observing each resource."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.cpu: dict[str, float] = defaultdict(float)

    def install(self) -> None:
        """Wrap the stages where the cycle looks them up."""
        for label, owner, name in STAGES:
            setattr(owner, name, self._timed(label, getattr(owner, name)))

    def _timed(self, label: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - passes everything on
            shown = f"observe {arguments[0].name}" if label == "observe" else label
            begun, worked = time.perf_counter(), time.process_time()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds[shown] += time.perf_counter() - begun
                self.cpu[shown] += time.process_time() - worked

        return timed


def main() -> None:
    configure_logs()
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--passes", type=int, default=2)
    options = parser.parse_args()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
    sandbox = Sandbox(options.directory)
    profile = Profile()
    profile.install()
    cycle = cycle_of(sandbox)
    recorder = Recorder() if options.record else None
    if recorder:
        recorder.install()
    passes = []
    for _ in range(options.passes):
        profile.seconds.clear()
        profile.cpu.clear()
        mark = sandbox.mark()
        begun, worked = time.perf_counter(), time.process_time()
        result = cycle.run()
        seconds, cpu = time.perf_counter() - begun, time.process_time() - worked
        written = [each.path for each in sandbox.requests(mark) if each.wrote]
        if result.exit_code or result.changes or result.commits or written:
            sys.exit(f"the pass was not quiet: {result.summary} {result.problems} {written[:3]}")
        passes.append(
            {
                "seconds": seconds,
                "cpu": cpu,
                "stages": {name: (profile.seconds[name], profile.cpu[name]) for name in profile.seconds},
            }
        )
    if recorder:
        recorder.save(options.record)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"passes": passes, "peak_megabytes": peak}))


if __name__ == "__main__":
    main()
