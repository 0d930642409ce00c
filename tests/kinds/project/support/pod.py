"""A pod of an environment, as far as a process can be one: the published entrypoint on folders of its own.

Real are the feature's folder, bash, git, tmux, curl and node; the auth-service is the sandbox's emulator, and
folders stand for the pod's volumes. What a pod has and this has not: an image of its own, and being alone.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.kinds.project.support.pod_service import SLUG, Service
from tests.support.debian import debian_program
from tests.support.servers import free_port

ROOT = Path(__file__).parents[4]
PATIENCE = 60.0


def assembled(folder: Path) -> Path:
    """Return the feature's folder as `make feature` puts it together."""
    subprocess.run(["make", "-s", "feature", f"FEATURE={folder}"], cwd=ROOT, check=True)
    return folder


def wait_for(condition: Callable[[], Any], what: Callable[[], str] = str) -> None:
    """Wait until the condition holds; a busy machine gets much time."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"it never came to that\n{what()}"
        time.sleep(0.02)


@dataclass
class Pod:
    """One pod's volumes, and its entrypoint while it runs."""

    feature: Path
    folder: Path
    url: str
    tmux_folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def claude(self) -> Path:
        return self.folder / "claude"

    @property
    def clone(self) -> Path:
        return self.folder / "workspaces" / "repo"

    @property
    def worktrees(self) -> Path:
        return self.folder / "workspaces" / "worktrees"

    @property
    def token_file(self) -> Path:
        return self.folder / "token"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    def environment(self) -> dict[str, str]:
        """Return what the StatefulSet sets, with this pod's folders, and nothing of ours."""
        found = [self.folder / "bin", *(debian_program(name).parent for name in ("tmux", "jq", "curl"))]
        path = os.pathsep.join([*map(str, found), os.environ["PATH"]])
        return {
            "PATH": path,
            "HOME": str(self.folder / "home"),
            "TMUX_TMPDIR": str(self.tmux_folder),
            "CLAUDE_CONFIG_DIR": str(self.claude),
            "MESH_SIX_PROJECT": SLUG,
            "MESH_SIX_REPOSITORY": "acme/widgets",
            "MESH_SIX_WORKTREES": str(self.worktrees),
            "MESH_SIX_AUTH_SERVICE_URL": self.url,
            "MESH_SIX_AUTH_TOKEN_FILE": str(self.token_file),
            "MESH_SIX_APP_PORT": str(self.port),
            "MESH_SIX_RUN_DIRECTORY": str(self.run),
            **self.variables,
        }

    def start(self, before: Sequence[str] = ()) -> None:
        """Start the entrypoint as envbuilder does; `before` is a command that starts commands."""
        variables = {name: value for name, value in self.environment().items() if value}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*before, "/bin/sh", "-c", f"exec bash {self.feature}/share/entrypoint.sh"],
                cwd=self.clone,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_ready(self) -> None:
        self.wait_for((self.run / "ready").exists)

    def wait_for(self, condition: Callable[[], Any]) -> None:
        """Wait for something while the entrypoint runs."""

        def holds() -> Any:
            found = condition()
            assert found or self.running, f"the entrypoint ended\n{self.log}"
            return found

        wait_for(holds, lambda: self.log)

    def wait_said(self, text: str, times: int = 1) -> None:
        self.wait_for(lambda: self.log.count(text) >= times)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def end(self, with_signal: int = signal.SIGTERM) -> int:
        """Send the signal, and return the exit code; negative for a signal that killed it."""
        assert self.process
        self.process.send_signal(with_signal)
        return self.process.wait(PATIENCE)

    def in_next_cycles(self, service: Service) -> None:
        """Wait until the pod has asked the auth-service and made something of its answer."""
        asked = service.cycles
        self.wait_for(lambda: service.cycles >= asked + 2)

    def tmux(self, *command: str) -> str:
        done = subprocess.run(
            ["tmux", *command], env=self.environment(), capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    def login(self) -> dict[str, Any] | None:
        """Return the command line's login as it is in its file; None without the file."""
        try:
            text = (self.claude / ".credentials.json").read_text()
        except FileNotFoundError:
            return None
        found: dict[str, Any] = json.loads(text)["claudeAiOauth"]
        return found

    def has_login(self, access: str) -> bool:
        found = self.login()
        return found is not None and found["accessToken"] == access

    def git(self, *command: str, folder: Path | None = None) -> str:
        return git(folder or self.clone, *command)

    def parts(self) -> dict[int, str]:
        """Return the entrypoint's processes and its parts', by id; what runs in tmux is not among them."""
        found = {pid: line for pid, line in command_lines().items() if str(self.feature) in line}
        return {pid: line for pid, line in found.items() if str(self.run) in _environment(pid)}


def _environment(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:
        return ""


def command_lines() -> dict[int, str]:
    """Return the command lines of all living processes that can be seen, by id."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if line:
            found[int(path.parent.name)] = line.replace(b"\0", b" ").decode(errors="replace")
    return found


def git(folder: Path, *command: str) -> str:
    """Run git without anything of the machine's or the person's settings."""
    identity = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "a"), ("EMAIL", "a@example.invalid"))
    }
    alone = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", "-C", folder, *command], env={**alone, **identity}, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@contextmanager
def pod(feature: Path, folder: Path, url: str, **variables: str) -> Iterator[Pod]:
    """Yield a pod with a clone of one commit, not started; whatever it started is gone afterwards."""
    for name in ("home", "claude", "workspaces/worktrees", "workspaces/repo"):
        (folder / name).mkdir(parents=True)
    (folder / "log").touch()
    # The clock of a test: what sleeps for a minute wakes soon.
    (folder / "bin").mkdir()
    (folder / "bin" / "sleep").write_text("#!/bin/sh\nexec /bin/sleep 0.1\n")
    (folder / "bin" / "sleep").chmod(0o755)
    # tmux's socket has to have a short path
    tmux_folder = Path(tempfile.mkdtemp(prefix="pod-"))
    made = Pod(feature, folder, url, tmux_folder, variables)
    git(made.clone, "init", "-q", "-b", "main")
    (made.clone / "readme").write_text("one\n")
    git(made.clone, "add", ".")
    git(made.clone, "commit", "-q", "-m", "One")
    try:
        yield made
    finally:
        if made.running and made.process:
            made.process.kill()
            made.process.wait()
        made.tmux("kill-server")
        shutil.rmtree(tmux_folder)
