"""That a pod's secrets go where they belong and nowhere else, also when a volume takes nothing.

The auth-service is the sandbox's emulator, the rest is real (tests/kinds/project/support/pod.py).
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kinds.project.support.pod import Pod, command_lines
from tests.kinds.project.support.pod_service import Service


def test_a_project_with_a_gateway_key_asks_for_no_login(environment_pod: Pod, auth: Service) -> None:
    environment_pod.variables |= {
        "MESH_SIX_AUTH_SERVICE_URL": "",
        "MESH_SIX_AUTH_TOKEN_FILE": "",
        "MESH_SIX_APP_PORT": "",
        "ANTHROPIC_BASE_URL": "http://gateway.example",
        "ANTHROPIC_AUTH_TOKEN": "canary-key",
    }
    environment_pod.start()
    environment_pod.wait_ready()
    assert "ANTHROPIC_AUTH_TOKEN=canary-key" in environment_pod.tmux("show-environment", "-g")
    assert list(environment_pod.claude.iterdir()) == []
    assert auth.asked == []
    assert "canary" not in environment_pod.log


@contextmanager
def watched_command_lines() -> Iterator[set[str]]:
    """Collect every command line that is seen meanwhile."""
    seen: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            seen.update(command_lines().values())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def test_secrets_reach_the_sessions_and_nobody_else(environment_pod: Pod, auth: Service) -> None:
    environment_pod.variables["EXTRA_TOKEN"] = "canary-extra"
    auth.push("canary-first")
    token = auth.token()
    environment_pod.token_file.write_text(token)
    with watched_command_lines() as seen:
        environment_pod.start()
        environment_pod.wait_ready()
        auth.push("canary-second")
        environment_pod.wait_for(lambda: environment_pod.has_login("canary-second"))
        environments = {
            line: Path(f"/proc/{pid}/environ").read_text()
            for pid, line in environment_pod.parts().items()
            if line.strip().endswith(("share/credentials.sh", "share/port.mjs"))
        }
        session = environment_pod.tmux("show-environment", "-g")
        assert environment_pod.end() == 0
    assert any("curl" in line for line in seen)
    assert [line for line in seen if "canary" in line or token in line] == []
    assert [line for line, found in environments.items() if "canary" in found or token in found] == []
    assert len(environments) == 2
    assert "EXTRA_TOKEN=canary-extra" in session
    assert "canary" not in environment_pod.log
    assert token not in environment_pod.log
    leaks = [
        path
        for path in environment_pod.run.rglob("*")
        if path.is_file() and "canary" in path.read_text(errors="replace")
    ]
    assert leaks == []


MOUNTED = ["unshare", "--map-root-user", "--mount", "sh", "-c"]


@pytest.mark.parametrize(
    ("options", "said"), [("ro", "Read-only file system"), ("size=8k", "No space left on device")]
)
def test_a_volume_that_takes_nothing_is_named_and_keeps_what_it_has(
    environment_pod: Pod, auth: Service, tmp_path: Path, options: str, said: str
) -> None:
    if subprocess.run([*MOUNTED, "mount -t tmpfs x /mnt"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a file system")
    claude = environment_pod.claude
    before = {"claudeAiOauth": {"accessToken": "canary-old", "expiresAt": 1, "scopes": ["user:inference"]}}
    # Not by a command line, which a test that runs beside this one looks at.
    (tmp_path / "before.json").write_text(json.dumps(before))
    # Filled but for one block, so that a new file can be begun and not be finished.
    prepare = (
        f"mount -t tmpfs -o size=8k x {claude} && cp {tmp_path}/before.json {claude}/.credentials.json "
        f'&& mount -o remount,{options} {claude} && exec "$@"'
    )
    auth.push("canary-access" * 1000)
    environment_pod.start([*MOUNTED, prepare, "sh"])
    environment_pod.wait_ready()
    environment_pod.wait_said(said)
    assert environment_pod.process
    inside = Path(f"/proc/{environment_pod.process.pid}/root/{claude}")
    environment_pod.in_next_cycles(auth)
    assert json.loads((inside / ".credentials.json").read_text()) == before
    assert list(inside.rglob("new.*")) == []
    assert "canary" not in environment_pod.log
    assert environment_pod.end() == 0
