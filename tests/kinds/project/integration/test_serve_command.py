"""`reconcile serve` as a process: where it listens, and that it ends when it is told to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from reconciler.model.yaml_read import load_yaml
from reconciler.sandbox.supervisor import Sandbox
from tests.support.reconciling import commits

RECONCILE = Path(sys.executable).with_name("reconcile")


@contextmanager
def serving(sandbox: Sandbox, folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    file = sandbox.configuration_file()
    values = dict(load_yaml(str(file), file.read_bytes()).values)
    values["serve"] = {**values["serve"], "port": port}
    config = folder / "reconciler.yaml"
    config.write_text(json.dumps(values), encoding="utf-8")
    process = subprocess.Popen(
        [RECONCILE, "serve", "--config", str(config)],
        env={**os.environ, **sandbox.environment()},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with process:
            yield process
    finally:
        process.kill()


def test_any_free_port_is_told_and_sigterm_ends_it(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    with serving(clean_sandbox, tmp_path, 0) as process:
        assert process.stderr is not None
        lines = map(json.loads, process.stderr)
        told = next(line for line in lines if line["event"] == "listening")
        assert httpx.get(f"http://127.0.0.1:{told['port']}/healthz", timeout=60).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert all(line["level"] == "info" for line in lines)
        assert process.wait() == 0


def test_a_port_that_is_taken_is_told_before_any_pass(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    before = commits(clean_sandbox)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serving(clean_sandbox, tmp_path, port) as process:
            _, said = process.communicate()
    assert process.returncode == 2
    assert f"cannot listen on 127.0.0.1, port {port}" in said
    assert "serve.port" in said
    assert "pass" not in said
    assert commits(clean_sandbox) == before
