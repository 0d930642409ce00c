"""The pod's process as the manifests start it, with every system out of reach: it serves, and it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from ruamel.yaml import YAML

from reconciler.crypto.sealing import generate_identity
from tests.kinds.project.support.deployed import DEPLOY, Document, built, load, one
from tests.support.git_server import git
from tests.support.servers import free_port

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def container() -> Document:
    found: Document = one(built(), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    return found


def configure(folder: Path, port: int) -> None:
    """Write the shipped configuration with other addresses, and an empty config repository."""
    git(folder, "init", "-q", "--bare", "--initial-branch=main", "config.git")
    (values,) = load((DEPLOY / "reconciler.yaml").read_text())
    for section in values.values():
        section |= {key: NOWHERE for key, value in section.items() if str(value).startswith("http")}
    values["github"] = {"apiUrl": NOWHERE}
    values["config"]["repository"] = str(folder / "config.git")
    values["serve"] |= {"host": "127.0.0.1", "port": port}
    values["work"]["directory"] = str(folder / "work")
    YAML(typ="safe").dump(values, folder / "reconciler.yaml")


def secrets(folder: Path, container: Document) -> dict[str, str]:
    """Make a file for each variable, and return the environment that names them."""
    environment = {}
    for each in container["env"]:
        path = folder / Path(each["value"]).name
        path.write_text(generate_identity().get_secret_value() + "\n")
        environment[each["name"]] = str(path)
    (folder / "DATABASE_URL").write_text("postgresql://nobody:x@127.0.0.1:1/x\n")
    return environment


@contextmanager
def running(folder: Path, container: Document) -> Iterator[subprocess.Popen[bytes]]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **secrets(folder, container)}
    program = Path(sys.executable).with_name("reconcile")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, *container["args"]], cwd=folder, env=environment, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def test_the_pod_serves_and_ends_when_told(container: Document, tmp_path: Path) -> None:
    port = free_port()
    configure(tmp_path, port)
    url = f"http://127.0.0.1:{port}"

    def get(probe: str) -> int:
        try:
            return httpx.get(f"{url}{container[probe]['httpGet']['path']}").status_code
        except httpx.TransportError:
            return 0

    with running(tmp_path, container) as process:
        deadline = time.monotonic() + 60
        while get("readinessProbe") != 200:
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.1)
        assert (get("startupProbe"), get("livenessProbe")) == (200, 200)
        assert "reconciler_last_pass_timestamp_seconds" in httpx.get(f"{url}/metrics").text
        assert httpx.post(f"{url}/onboard", json={}).status_code == 401
        # 503 would say that no secret was found
        assert httpx.post(f"{url}/webhooks/github", content=b"{}").status_code == 401
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
