"""How a pod starts, ends, and is started again after any end.

The auth-service is the sandbox's emulator, the rest is real (tests/kinds/project/support/pod.py).
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading
from pathlib import Path

import httpx
import pytest

from tests.kinds.project.support.pod import ROOT, Pod, command_lines, wait_for
from tests.kinds.project.support.pod_service import Service

SESSION = "=mesh-six:"


def answer(pod: Pod, path: str) -> int:
    return httpx.get(f"http://127.0.0.1:{pod.port}{path}").status_code


def test_it_is_ready_only_with_everything_there(environment_pod: Pod) -> None:
    environment_pod.start()
    environment_pod.wait_ready()
    assert environment_pod.tmux("has-session", "-t", SESSION) == ""
    assert environment_pod.tmux("display", "-p", "-t", SESSION, "#{pane_current_path}") == str(
        environment_pod.clone
    )
    assert [answer(environment_pod, path) for path in ("/healthz", "/readyz", "/dapr/subscribe", "/")] == [
        200, 200, 404, 404,
    ]  # fmt: skip


def test_it_is_not_ready_without_a_session(environment_pod: Pod) -> None:
    stand_in = environment_pod.folder / "bin" / "tmux"
    mended = environment_pod.folder / "mended"
    real = shutil.which("tmux", path=environment_pod.environment()["PATH"])
    stand_in.write_text(
        f'#!/bin/sh\n[ -e {mended} ] && exec {real} "$@"\necho no terminal here >&2\nexit 1\n'
    )
    stand_in.chmod(0o755)
    environment_pod.start()
    environment_pod.wait_said("tmux cannot start the session: no terminal here")
    environment_pod.wait_for((environment_pod.run / "port").exists)
    assert answer(environment_pod, "/readyz") == 503
    mended.touch()
    environment_pod.wait_ready()
    assert environment_pod.log.count("no terminal here") == 1
    assert answer(environment_pod, "/readyz") == 200


def test_it_waits_for_its_port(environment_pod: Pod) -> None:
    with socket.create_server(("", environment_pod.port)):
        environment_pod.start()
        environment_pod.wait_said("cannot listen on port")
        environment_pod.wait_for((environment_pod.run / "login").exists)
        environment_pod.wait_for(lambda: environment_pod.tmux("list-sessions"))
        assert not (environment_pod.run / "ready").exists()
    environment_pod.wait_ready()


def test_sigterm_ends_all_of_it(environment_pod: Pod, auth: Service) -> None:
    auth.push("canary-access")
    environment_pod.start()
    environment_pod.wait_ready()
    # A program that takes a moment to put its things in order, and one in the background.
    goodbye = environment_pod.folder / "goodbye"
    script = (
        f"trap '/bin/sleep 0.3; echo bye >{goodbye}; exit' HUP; echo here >{goodbye}; "
        "while :; do /bin/sleep 0.1; done"
    )
    environment_pod.tmux("new-session", "-d", "-s", "impl-acme-widgets-1", "bash", "-c", script)
    environment_pod.tmux("send-keys", "-t", SESSION, f"/bin/sleep 4321 & echo $! >{goodbye}.job", "Enter")
    job = Path(f"{goodbye}.job")
    environment_pod.wait_for(lambda: goodbye.exists() and job.exists() and job.read_text().strip())
    assert environment_pod.end() == 0
    assert goodbye.read_text() == "bye\n"
    assert not (environment_pod.run / "ready").exists()
    assert int(job.read_text()) not in command_lines()
    wait_for(lambda: environment_pod.parts() == {}, lambda: str(environment_pod.parts()))
    assert environment_pod.log.endswith("mesh-six entrypoint: stopped\n")


def test_what_does_not_end_is_not_waited_for_for_ever(environment_pod: Pod) -> None:
    environment_pod.variables["MESH_SIX_STOP_SECONDS"] = "2"
    environment_pod.start()
    environment_pod.wait_ready()
    deaf = environment_pod.folder / "deaf"
    script = f"trap '' HUP TERM; echo $$ >{deaf}; while :; do /bin/sleep 0.2; done"
    environment_pod.tmux("new-window", "-t", SESSION, "bash", "-c", script)
    environment_pod.wait_for(lambda: deaf.exists() and deaf.read_text().strip())
    try:
        assert environment_pod.end() == 0
        assert "did not end within 2 s" in environment_pod.log
    finally:
        os.kill(int(deaf.read_text()), signal.SIGKILL)


def test_the_time_it_takes_to_stop_is_within_the_pods_grace() -> None:
    entrypoint = (ROOT / "scripts" / "implementer-entrypoint.sh").read_text()
    template = (ROOT / "templates" / "env" / "statefulset.yaml.j2").read_text()
    stop = re.search(r"MESH_SIX_STOP_SECONDS:-(\d+)", entrypoint)
    grace = re.search(r"terminationGracePeriodSeconds: (\d+)", template)
    assert stop
    assert grace
    # Room for whoever is slow to end it.
    assert int(stop[1]) + 15 <= int(grace[1])


def test_sigterm_is_heard_while_it_still_puts_things_in_order(environment_pod: Pod) -> None:
    slow = environment_pod.folder / "bin" / "git"
    slow.write_text(f"#!/bin/sh\ntouch {environment_pod.folder}/asked\nexec /bin/sleep 20\n")
    slow.chmod(0o755)
    environment_pod.start()
    environment_pod.wait_for((environment_pod.folder / "asked").exists)
    assert environment_pod.end() == 0


def test_it_hears_signals_and_buries_the_dead_as_the_first_process(environment_pod: Pod) -> None:
    alone = ["unshare", "--map-current-user", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody make a process namespace")
    environment_pod.start(alone)
    environment_pod.wait_ready()
    assert environment_pod.process
    (first,) = (
        Path(f"/proc/{environment_pod.process.pid}/task/{environment_pod.process.pid}/children")
        .read_text()
        .split()
    )
    # An orphan ends, and its new parent is the entrypoint.
    environment_pod.tmux("run-shell", f"sh -c '(/bin/sleep 0.1; touch {environment_pod.folder}/orphan) &'")
    environment_pod.wait_for((environment_pod.folder / "orphan").exists)

    def dead() -> list[str]:
        states = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        return [pid for pid in states if "State:\tZ" in Path(f"/proc/{pid}/status").read_text()]

    environment_pod.wait_for(lambda: dead() == [])
    os.kill(int(first), signal.SIGTERM)
    assert environment_pod.process.wait(60) == 0
    assert "stopped" in environment_pod.log


def test_a_part_that_dies_is_started_again(environment_pod: Pod, auth: Service) -> None:
    environment_pod.start()
    environment_pod.wait_ready()
    for name in ("credentials.sh", "port.mjs"):
        (pid,) = [pid for pid, line in environment_pod.parts().items() if name in line]
        os.kill(pid, signal.SIGKILL)
        environment_pod.wait_said(f"{name} has ended; starting it again")
    environment_pod.tmux("kill-session", "-t", SESSION)
    environment_pod.wait_for(lambda: environment_pod.tmux("list-sessions"))
    auth.push("canary-access")
    environment_pod.wait_for(lambda: environment_pod.has_login("canary-access"))
    environment_pod.wait_said("listening on port", times=2)
    assert answer(environment_pod, "/healthz") == 200


def tidy_up(pod: Pod, pattern: str) -> None:
    """Remove files as `rm -rf` with a pattern does in a session."""
    for path in pod.run.parent.glob(pattern):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize(
    "pattern", ["run", "run/*", "run/lock", "run/port", "run/login", "run/ready", "run/credentials.*"]
)
def test_a_run_directory_that_is_tidied_up_is_made_again(
    environment_pod: Pod, auth: Service, pattern: str
) -> None:
    environment_pod.start()
    environment_pod.wait_ready()
    shell = environment_pod.tmux("display", "-p", "-t", SESSION, "#{pane_pid}")
    tidy_up(environment_pod, pattern)
    auth.push("canary-after")
    environment_pod.wait_for(lambda: environment_pod.has_login("canary-after"))
    names = ("ready", "login", "port", "lock")
    environment_pod.wait_for(lambda: all((environment_pod.run / name).exists() for name in names))
    environment_pod.wait_for(lambda: len(list(environment_pod.run.glob("credentials.*"))) == 1)
    environment_pod.wait_for(lambda: "logged in with" in (environment_pod.run / "login").read_text())
    assert answer(environment_pod, "/readyz") == 200
    assert environment_pod.tmux("display", "-p", "-t", SESSION, "#{pane_pid}") == shell
    # The auth-service was not at fault, and nobody else can begin here.
    assert "does not answer" not in environment_pod.log
    first = environment_pod.process
    environment_pod.start()
    assert environment_pod.process
    assert environment_pod.process.wait(60) == 1
    environment_pod.process = first
    assert environment_pod.end() == 0
    wait_for(lambda: environment_pod.parts() == {}, lambda: str(environment_pod.parts()))


def test_a_run_directory_that_cannot_be_made_again_at_once_ends_no_session(environment_pod: Pod) -> None:
    environment_pod.start()
    environment_pod.wait_ready()
    shell = environment_pod.tmux("display", "-p", "-t", SESSION, "#{pane_pid}")
    shutil.rmtree(environment_pod.run)
    environment_pod.run.write_text("a file\n")
    environment_pod.wait_said("cannot write to")
    environment_pod.run.unlink()
    environment_pod.wait_ready()
    assert environment_pod.tmux("display", "-p", "-t", SESSION, "#{pane_pid}") == shell
    assert environment_pod.log.count("cannot write to") == 1


def test_sessions_outlive_the_loss_of_their_socket(environment_pod: Pod) -> None:
    environment_pod.start()
    environment_pod.wait_ready()
    shell = environment_pod.tmux("display", "-p", "-t", SESSION, "#{pane_pid}")
    for path in environment_pod.tmux_folder.iterdir():
        shutil.rmtree(path)
    environment_pod.wait_for(lambda: environment_pod.tmux("has-session", "-t", SESSION) == "")
    environment_pod.wait_said("made tmux's socket again")
    assert environment_pod.tmux("display", "-p", "-t", SESSION, "#{pane_pid}") == shell
    assert environment_pod.end() == 0
    assert int(shell) not in command_lines()


def test_the_log_says_how_to_get_to_the_session(environment_pod: Pod) -> None:
    environment_pod.start()
    environment_pod.wait_ready()
    environment_pod.wait_said("the session is: ")
    (command,) = re.findall(r"the session is: (tmux -S \S+) attach (-t \S+)", environment_pod.log)
    # As `kubectl exec` would run it: with nothing of the entrypoint's environment.
    path = {"PATH": environment_pod.environment()["PATH"]}
    there = f"{command[0]} has-session {command[1]}".split()
    assert subprocess.run(there, env=path, check=False).returncode == 0


def test_only_one_entrypoint_runs(environment_pod: Pod) -> None:
    environment_pod.start()
    environment_pod.wait_ready()
    first = environment_pod.process
    environment_pod.start()
    assert environment_pod.process
    assert environment_pod.process.wait(60) == 1
    assert "another entrypoint is running here already" in environment_pod.log
    assert (environment_pod.run / "ready").exists()
    environment_pod.process = first
    assert environment_pod.end() == 0


def test_killed_at_any_moment_the_next_one_goes_on(environment_pod: Pod, auth: Service) -> None:
    pushed = set()
    for number in range(8):
        access = f"canary-{number}"
        pushed.add(access)
        auth.push(access)
        environment_pod.start()
        if number % 2:
            environment_pod.wait_for((environment_pod.run / "login").exists)
        threading.Event().wait(random.uniform(0, 0.4))  # noqa: S311 - not a secret
        environment_pod.end(signal.SIGKILL)
        # Its parts end with it.
        wait_for(lambda: environment_pod.parts() == {}, lambda: str(environment_pod.parts()))
        login = environment_pod.login()
        assert login is None or login["accessToken"] in pushed
    environment_pod.start()
    environment_pod.wait_ready()
    environment_pod.wait_for(lambda: environment_pod.has_login("canary-7"))
    assert stat.S_IMODE((environment_pod.claude / ".credentials.json").stat().st_mode) == 0o600
    environment_pod.wait_for(lambda: len(list(environment_pod.run.glob("credentials.*"))) == 1)
    assert environment_pod.end() == 0
    assert list(environment_pod.run.glob("credentials.*")) == []
    assert list(environment_pod.claude.rglob("new.*")) == []


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"MESH_SIX_PROJECT": ""}, "there is no variable MESH_SIX_PROJECT"),
        ({"CLAUDE_CONFIG_DIR": "", "MESH_SIX_WORKTREES": ""}, "there is no variable CLAUDE_CONFIG_DIR"),
        ({"MESH_SIX_AUTH_TOKEN_FILE": ""}, "there is no variable MESH_SIX_AUTH_TOKEN_FILE"),
        ({"MESH_SIX_AUTH_SERVICE_URL": "auth-service"}, "there is no URL in MESH_SIX_AUTH_SERVICE_URL"),
        ({"MESH_SIX_PROJECT": "../acme"}, "there is no slug in MESH_SIX_PROJECT"),
        ({"MESH_SIX_APP_PORT": "http"}, "there is no whole number in MESH_SIX_APP_PORT"),
    ],
)
def test_an_environment_in_which_it_cannot_work_is_named(
    environment_pod: Pod, variables: dict[str, str], said: str
) -> None:
    environment_pod.variables.update(variables)
    environment_pod.start()
    assert environment_pod.process
    assert environment_pod.process.wait(60) == 2
    assert said in environment_pod.log


def test_a_tmux_around_it_is_not_taken_for_its_own(environment_pod: Pod, tmp_path: Path) -> None:
    around = tmp_path / "around"
    around.mkdir()
    own = {"TMUX_TMPDIR": str(around), "PATH": environment_pod.environment()["PATH"], "HOME": str(tmp_path)}
    subprocess.run(["tmux", "-f", "/dev/null", "new-session", "-d", "-s", "mine"], env=own, check=True)
    try:
        asked = ["tmux", "display", "-p", "-t", "=mine:", "#{socket_path},#{pid},0"]
        inside = subprocess.run(asked, env=own, check=True, capture_output=True, text=True).stdout.strip()
        environment_pod.variables["TMUX"] = inside
        environment_pod.start()
        environment_pod.wait_ready()
        del environment_pod.variables["TMUX"]
        assert environment_pod.tmux("ls").startswith("mesh-six:")
        environment_pod.end()
        listed = subprocess.run(["tmux", "ls"], env=own, check=True, capture_output=True, text=True).stdout
        assert listed.startswith("mine:")
        assert len(listed.splitlines()) == 1
    finally:
        subprocess.run(["tmux", "kill-server"], env=own, check=False)
