"""How fast `reconcile serve` lists runs beside a bare endpoint, how soon it starts, and what memory it needs.

`python -m bench.project.serve [PROJECTS]` builds so many settled projects (1,000) in its own sandbox. The
service, and FastAPI giving the very same bytes, are processes of their own on one core; what asks them is on
another, with the sandbox's servers. They are asked in turns, and the ratio is that of each pair. Needs
nothing but 127.0.0.1 and two cores.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from ruamel.yaml import YAML

from bench.load import CONNECTIONS, Measured, measure
from bench.project.settled import build
from reconciler.faces.cli.logs import configure_logs
from reconciler.kinds import KINDS
from reconciler.sandbox.supervisor import Sandbox

PAGES = {"100 runs (the default)": "/onboard", "1,000 runs": "/onboard?limit=1000"}
RECONCILE = Path(sys.executable).with_name("reconcile")
SERVERS_CORE, OTHERS_CORE = 0, 1
ROUNDS, SECONDS = 5, 3.0
STARTS = 5
LONGEST = 60.0
"""Seconds for the passes whose memory is looked at."""
PASSES = 100


@dataclass(frozen=True)
class Server:
    """A process that answers at `url`. `started`: seconds until it did."""

    url: str
    process: psutil.Process
    started: float

    @property
    def megabytes(self) -> float:
        return float(self.process.memory_info().rss) / 2**20


@contextmanager
def serving(url: str, probe: str, *command: str, environment: Mapping[str, str] = {}) -> Iterator[Server]:
    """Run a server on its core until the block ends."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        # A process begins on the cores of the one that starts it.
        os.sched_setaffinity(0, {SERVERS_CORE})
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
        os.sched_setaffinity(0, {OTHERS_CORE})
        try:
            while not _answers(f"{url}{probe}"):
                if process.poll() is not None:
                    log.seek(0)
                    raise RuntimeError(log.read().decode()[-2000:])
            yield Server(url, psutil.Process(process.pid), time.perf_counter() - begun)
        finally:
            process.terminate()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        time.sleep(0.01)
        return False


def service(sandbox: Sandbox, **schedule: str) -> Any:  # noqa: ANN401 - what contextmanager returns
    """Run `reconcile serve` on the sandbox, with a schedule of its own."""
    yaml = YAML(typ="safe")
    values = yaml.load(sandbox.configuration_file())
    values["serve"]["port"] = port = _free_port()
    values["schedule"] = schedule
    file = sandbox.directory / f"serve-{port}.yaml"
    with file.open("w", encoding="utf-8") as stream:
        yaml.dump(values, stream)
    command = (str(RECONCILE), "serve", "--config", str(file))
    return serving(f"http://127.0.0.1:{port}", "/healthz", *command, environment=sandbox.environment())


def bare(page: Path) -> Any:  # noqa: ANN401 - what contextmanager returns
    """Run FastAPI with one endpoint that gives the bytes of a file."""
    port = _free_port()
    command = (sys.executable, "-m", "bench.bare", str(page), str(port))
    return serving(f"http://127.0.0.1:{port}", "/", *command)


def main() -> None:
    configure_logs()
    count = int(sys.argv[1]) if sys.argv[1:] else 1_000
    directory = Path(tempfile.mkdtemp(prefix="mesh-six-bench-"))
    sandbox = Sandbox(directory / ".sandbox")
    try:
        sandbox.up(settings=KINDS.sandbox_settings)
        build(sandbox, count)
        # Started again, the sandbox's servers are on the core of the one that starts them.
        sandbox.down()
        os.sched_setaffinity(0, {OTHERS_CORE})
        sandbox.up(settings=KINDS.sandbox_settings)
        token = {"Authorization": f"Bearer {sandbox.environment()['RECONCILER_API_TOKEN']}"}
        print(f"{count} settled projects; {CONNECTIONS} connections; machine's load {os.getloadavg()[0]:.1f}")
        with service(sandbox, interval="1h") as idle:
            _until_ready(idle, token, count)
            _speed("no pass at work", idle, token, directory)
        with service(sandbox, interval="1s", jitter="1s", leastPause="1s") as busy:
            _until_ready(busy, token, count)
            _speed("passes one after the other", busy, token, directory)
        _start_up(sandbox)
        _memory(sandbox, token, count)
    finally:
        sandbox.down()
        shutil.rmtree(directory)


def _until_ready(server: Server, token: Mapping[str, str], count: int) -> None:
    while not _passes(server) or httpx.get(f"{server.url}/onboard", headers=token).json()["total"] != count:
        time.sleep(0.1)


def _speed(title: str, server: Server, token: Mapping[str, str], directory: Path) -> None:
    before = _passes(server)
    print(f"\n{title:30}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'ratio':>8}")
    for name, path in PAGES.items():
        page = directory / "page.json"
        page.write_bytes(httpx.get(f"{server.url}{path}", headers=token, timeout=60).content)
        with bare(page) as beside:
            pairs = [
                (measure(beside.url, "/", {}, SECONDS), measure(server.url, path, token, SECONDS))
                for _ in range(ROUNDS)
            ]
        ratio = statistics.median(ours.rate / theirs.rate for theirs, ours in pairs)
        kilobytes = page.stat().st_size // 1024
        _row(f"  bare, {kilobytes} kB", [theirs for theirs, _ in pairs], 1)
        _row(f"  {name}", [ours for _, ours in pairs], ratio)
    print(f"  passes that ended meanwhile: {_passes(server) - before}")


def _row(name: str, rounds: list[Measured], ratio: float) -> None:
    """Print the best round, and the median of the ratios."""
    best = max(rounds, key=lambda each: each.rate)
    print(f"{name:30}{best.rate:>12.0f}{best.p50 * 1000:>9.2f}{best.p99 * 1000:>9.2f}{ratio:>8.2f}")


def _start_up(sandbox: Sandbox) -> None:
    seconds = []
    for _ in range(STARTS):
        with service(sandbox, interval="1h") as server:
            seconds.append(server.started)
    median = statistics.median(seconds)
    print(f"\nfrom start to /healthz: {min(seconds):.2f} s; median of {STARTS}: {median:.2f} s")


def _memory(sandbox: Sandbox, token: Mapping[str, str], count: int) -> None:
    with service(sandbox, interval="1s", jitter="1s", leastPause="1s") as server:
        at_first = server.megabytes
        _until_ready(server, token, count)
        ready, done, begun = server.megabytes, _passes(server), time.monotonic()
        while _passes(server) - done < PASSES and time.monotonic() - begun < LONGEST:
            time.sleep(1)
        more = _passes(server) - done
        print(
            f"memory: {at_first:.0f} MB at first, {ready:.0f} MB after its first pass, "
            f"{server.megabytes:.0f} MB after {more} more in {time.monotonic() - begun:.0f} s"
        )


def _passes(server: Server) -> int:
    for line in httpx.get(f"{server.url}/metrics", timeout=60).text.splitlines():
        if line.startswith('reconciler_passes_total{result="done"}'):
            return int(float(line.split()[1]))
    return 0


if __name__ == "__main__":
    main()
