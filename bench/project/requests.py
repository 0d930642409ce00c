"""What a quiet pass asks of each system, what it costs, and how near that is to the least it could cost.

`python -m bench.project.requests [100 1000 …]` builds so many settled projects in its own sandbox, proves by
one pass that they are settled, and measures passes over them in a fresh process. Needs nothing but 127.0.0.1.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.bounds import BOUNDS, OWNERS
from bench.project.settled import build, cycle_of, forget_verifications
from reconciler.faces.cli.logs import configure_logs
from reconciler.kinds import KINDS
from reconciler.sandbox.supervisor import Sandbox

LONGEST_RATIO, BOUND_FROM = 1.5, 1000
RUNS = 3
"""Of the measured process and of the floor each, in turns; the best of each counts."""


@dataclass(frozen=True)
class Proof:
    """What a pass over freshly copied projects did; `audited`: so many were read one by one."""

    seconds: float
    requests: int
    changes: int
    commits: int
    writes: int
    audited: int

    @property
    def quiet(self) -> bool:
        """Whether the copies are right: there was nothing to do."""
        return self.changes == self.commits == self.writes == 0


def _notes(path: str) -> bool:
    """Tell whether a statement only notes what was verified and seen."""
    return "reconciler_item_verifications" in path or "reconciler_followed" in path


def prove(sandbox: Sandbox, count: int) -> Proof:
    """Do one pass, with a tenth of the projects read one by one, and say what it did."""
    forget_verifications(sandbox, 10)
    mark, begun = sandbox.mark(), time.perf_counter()
    result = cycle_of(sandbox).run()
    seconds = time.perf_counter() - begun
    if result.exit_code != 0:
        raise RuntimeError(f"{result.summary}: {result.problems}")
    sent = sandbox.requests(mark)
    # Also a pass that changes nothing notes there what it has verified; that is no change.
    writes = sum(each.wrote and not _notes(each.path) for each in sent)
    return Proof(
        seconds,
        len(sent),
        result.changes,
        len(result.commits),
        writes,
        sum(n % 10 == 0 for n in range(count)),
    )


def quiet_requests(sandbox: Sandbox) -> tuple[Counter[str], int]:
    """Do one pass in this process; return its requests by system, and how many of them wrote."""
    mark = sandbox.mark()
    result = cycle_of(sandbox).run()
    if result.exit_code != 0 or result.changes or result.commits:
        raise RuntimeError(f"the pass was not quiet: {result.summary}")
    sent = sandbox.requests(mark)
    return Counter(each.system for each in sent), sum(each.wrote for each in sent)


def main() -> None:
    configure_logs()
    sizes = [int(text) for text in sys.argv[1:]] or [100, 1000]
    missed = [size for size in sizes if not measure(size)]
    sys.exit(1 if missed else 0)


def measure(count: int) -> bool:
    """Measure that many projects; say whether every bound was kept."""
    # Not below a folder that is closed to the user that PostgreSQL needs when root runs this.
    directory = Path(tempfile.mkdtemp(prefix="mesh-six-bench-"))
    sandbox = Sandbox(directory / ".sandbox")
    try:
        sandbox.up(settings=KINDS.sandbox_settings)
        begun = time.perf_counter()
        build(sandbox, count)
        print(f"\n{count} settled projects of {OWNERS} owners, built in {time.perf_counter() - begun:.0f} s")
        proof = prove(sandbox, count)
        print(
            f"a pass that reads {proof.audited} of them one by one: {proof.changes} changes, {proof.commits} "
            f"commits, {proof.writes} writes; {proof.requests} requests, {proof.seconds:.1f} s"
        )
        counted, writes = quiet_requests(sandbox)
        kept = _requests_table(counted, writes) and proof.quiet
        return _costs(sandbox, directory / "recording.json", count) and kept
    finally:
        sandbox.down()
        shutil.rmtree(directory)


def _requests_table(counted: Counter[str], writes: int) -> bool:
    rows = [(system, counted[system], bound) for system, bound in BOUNDS.items()]
    rows += [("writes", writes, 0)]
    print(f"\n{'a quiet pass':24}{'requests':>10}{'bound':>8}")
    for name, found, bound in rows:
        print(f"  {name:22}{found:>10}{bound:>8}{'' if found <= bound else '   TOO MANY'}")
    return all(found <= bound for _, found, bound in rows)


def _costs(sandbox: Sandbox, recording: Path, count: int) -> bool:
    environment = sandbox.environment()
    _child("bench.project.quiet_pass", str(sandbox.directory), "--passes", "1", "--record", str(recording))
    runs: list[dict[str, Any]] = []
    floors: list[float] = []
    for _ in range(RUNS):
        runs.append(_child("bench.project.quiet_pass", str(sandbox.directory)))
        floors.append(_child("bench.recording", str(recording), environment["DATABASE_URL"]))
    floor = min(floors)
    print(f"\n{'time':24}{'seconds':>10}{'ratio':>8}{'own CPU':>10}   best of {RUNS}")
    print(f"  {'the bare requests':22}{floor:>10.2f}{1:>8.2f}")
    ratios = []
    for name, place in (("first pass of a process", 0), ("each further pass", 1)):
        best = min((run["passes"][place] for run in runs), key=lambda each: float(each["seconds"]))
        ratios.append(best["seconds"] / floor)
        print(f"  {name:23}{best['seconds']:>9.2f}{ratios[-1]:>8.2f}{best['cpu']:>10.2f}")
    # The bound is for a thousand: what a process needs to begin with weighs too much over a few requests.
    kept = count < BOUND_FROM or bool(max(ratios) <= LONGEST_RATIO)
    print(f"  bound from {BOUND_FROM} projects on: {LONGEST_RATIO}{'' if kept else '   MISSED'}")
    print(f"peak memory {max(run['peak_megabytes'] for run in runs):.0f} MB")
    _stages(min((run["passes"] for run in runs), key=lambda passes: float(passes[0]["seconds"])))
    return kept


def _stages(passes: list[dict[str, Any]]) -> None:
    print(f"\n{'stage':38}{'first pass':>12}{'CPU':>7}{'further pass':>14}{'CPU':>7}")
    for name, (seconds, cpu) in passes[0]["stages"].items():
        again, cpu_again = passes[1]["stages"].get(name, (0.0, 0.0))
        print(f"  {name:36}{seconds:>12.2f}{cpu:>7.2f}{again:>14.2f}{cpu_again:>7.2f}")


def _child(module: str, *arguments: str) -> Any:  # noqa: ANN401 - JSON
    command = [sys.executable, "-m", module, *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


if __name__ == "__main__":
    main()
