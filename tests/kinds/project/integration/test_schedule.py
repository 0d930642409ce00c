"""The loop as a container runs it: the real program, its schedule, its heartbeat, and how it stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.engine.loop import run_once
from reconciler.engine.result import PassResult
from reconciler.engine.schedule import Schedule
from reconciler.model.duration import parse_duration
from reconciler.sandbox.faults import Fault
from reconciler.sandbox.supervisor import Sandbox
from tests.support.reconciling import cycle_of, git, merge, settle_at_once, status
from tests.support.silence import Silence

PROGRAM = Path(sys.executable).with_name("reconcile")
PROJECTS = {
    name: f"repoOwner: acme\nrepoName: {name}\nskipAuth: true\n" for name in ("bolts", "cogs", "gears")
}


@contextmanager
def loop(sandbox: Sandbox, heartbeat: Path) -> Iterator[subprocess.Popen[str]]:
    """Run bare `reconcile` on the sandbox."""
    with subprocess.Popen(
        [PROGRAM, "--verbose", "--config", sandbox.configuration_file()],
        env={"PATH": os.environ["PATH"], **sandbox.environment(), "RECONCILER_HEARTBEAT": str(heartbeat)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def stop(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> str:
    """Ask it to stop; it ends by itself, with exit code 0 and without a traceback."""
    process.send_signal(number)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_between_two_passes_it_stops_at_once(clean_sandbox: Sandbox, tmp_path: Path, number: int) -> None:
    heartbeat = tmp_path / "alive"
    with loop(clean_sandbox, heartbeat) as process:
        until(heartbeat.exists)
        begun = time.monotonic()
        said = stop(process, number)
        assert time.monotonic() - begun < 5
    assert "pass finished" in said


def test_in_the_middle_of_a_pass_it_stops_between_two_changes_and_the_next_pass_goes_on(
    clean_sandbox: Sandbox, tmp_path: Path
) -> None:
    merge(clean_sandbox, tmp_path / "projects", **PROJECTS)
    # Slow enough that the signal comes while the first board is being made.
    clean_sandbox.inject(Fault("github", "slow", match="POST .*graphql", times=50, seconds=0.7))
    config = clean_sandbox.environment()["CONFIG_REPOSITORY"]
    mark = clean_sandbox.mark()
    with loop(clean_sandbox, tmp_path / "alive") as process:
        until(lambda: any(each.wrote and each.system == "github" for each in clean_sandbox.requests(mark)))
        said = stop(process)
    assert "asked to stop" in said or "stopping" in said
    files = git(config, "ls-tree", "-r", "--name-only", "main").split()
    begun = [
        slug for slug in ("acme-bolts", "acme-cogs", "acme-gears") if f"status/project/{slug}.yaml" in files
    ]
    written = {slug: status(clean_sandbox, slug)["resources"] for slug in begun}
    assert sum("project-board" in resources for resources in written.values()) < len(PROJECTS)
    clean_sandbox.clear_faults()
    assert settle_at_once(clean_sandbox).exit_code == 0
    for name in PROJECTS:
        assert status(clean_sandbox, f"acme-{name}")["status"] == "completed"
    mark = clean_sandbox.mark()
    assert cycle_of(clean_sandbox).run().commits == ()
    assert not any(each.wrote and each.system != "postgres" for each in clean_sandbox.requests(mark))


def test_a_heartbeat_that_cannot_be_left_does_not_end_the_loop(
    clean_sandbox: Sandbox, tmp_path: Path
) -> None:
    with loop(clean_sandbox, tmp_path / "nowhere" / "alive") as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any("heartbeat cannot be written" in line for line in lines)
        stop(process)


def test_a_pass_that_cannot_start_leaves_no_heartbeat_and_is_tried_again(
    clean_sandbox: Sandbox, tmp_path: Path
) -> None:
    config = Path(clean_sandbox.environment()["CONFIG_REPOSITORY"])
    config.rename(config.with_suffix(".away"))
    try:
        with loop(clean_sandbox, tmp_path / "alive") as process:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            assert any("pass failed" in line and "config.repository" in line for line in lines)
            stop(process)
    finally:
        config.with_suffix(".away").rename(config)
    assert not (tmp_path / "alive").exists()


def test_a_clock_that_was_put_back_does_not_end_the_loop(clean_sandbox: Sandbox) -> None:
    file = clean_sandbox.configuration_file()
    text = file.read_text(encoding="utf-8")
    section = "schedule:\n"
    assert section in text
    file.write_text(text.replace(section, f"{section}  interval: 1s\n  jitter: 0s\n"), encoding="utf-8")
    ended: list[PassResult] = []
    try:
        schedule = Schedule(cycle_of(clean_sandbox), ended=ended.append)
        schedule.start()
        until(lambda: bool(ended))
        # As it is after a pass that began when the clock was ahead.
        schedule._begin_at(datetime.now(UTC) + timedelta(days=400))  # noqa: SLF001 - no test can move the clock
        before = len(ended)
        until(lambda: len(ended) > before + 1)
        schedule.stop()
    finally:
        file.write_text(text, encoding="utf-8")


def test_a_wait_that_runs_out_names_the_machines(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    merge(clean_sandbox, tmp_path / "projects", bolts=PROJECTS["bolts"])
    result = run_once(cycle_of(clean_sandbox), wait=parse_duration("0.001s"), progress=Silence())
    assert result.exit_code == 1
    assert any("--wait is over" in problem and "acme-bolts/sync" in problem for problem in result.problems)
