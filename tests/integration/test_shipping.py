"""What is shipped: the wheel, and the description of the container image that it goes into."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_hadolint_finds_nothing() -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_copied_path_exists_and_is_let_in() -> None:
    let_in = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in shlex.split(line)[:-1]
    ]
    assert copied
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert {source.split("/")[0] for source in copied} == let_in


def test_the_image_is_pinned_and_not_root() -> None:
    assert all(re.search(r":\d+\.\d+\.\d+", base) for base in re.findall(r"^FROM (\S+)", DOCKERFILE, re.M))
    last_stage = DOCKERFILE.rsplit("FROM ", 1)[1]
    assert re.search(r"^USER [1-9]\d+:[1-9]\d+$", last_stage, re.MULTILINE)
    assert 'ENTRYPOINT ["reconcile"]' in last_stage


@pytest.mark.parametrize(("age", "healthy"), [(None, False), (60, True), (7200, False)])
def test_the_health_check_looks_at_the_heartbeat(tmp_path: Path, age: int | None, *, healthy: bool) -> None:
    heartbeat = tmp_path / "heartbeat"
    if age is not None:
        heartbeat.touch()
        os.utime(heartbeat, (time.time() - age, time.time() - age))
    command = re.search(r'CMD \["sh", "-c", "(.+)"\]', DOCKERFILE)
    assert command
    script = command[1].replace('\\"', '"')
    environment = {"PATH": os.environ["PATH"], "RECONCILER_HEARTBEAT": str(heartbeat)}
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, check=False)
    assert (done.returncode == 0) is healthy


def test_the_wheel_carries_everything_that_is_read_at_run_time(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    files = [path for path in (ROOT / "templates").rglob("*") if path.is_file()]
    assert {f"reconciler/_shipped/{path.relative_to(ROOT)}" for path in files} <= inside
    data = [path for path in (ROOT / "reconciler").rglob("*") if path.suffix in {".sql", ".yaml", ".graphql"}]
    assert {str(path.relative_to(ROOT)) for path in data} <= inside
    assert not [name for name in inside if name.startswith(("tests/", "docs/", "bench/"))]
