"""The service as operators live with it: what starts a pass, who waits for whom, what is told, its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from reconciler.clients.github.deliveries import signature_of
from reconciler.engine.trailers import COMMIT_TRAILER
from reconciler.kinds.project.face.runs import Runs
from reconciler.sandbox.faults import Fault
from reconciler.sandbox.supervisor import Sandbox
from tests.support.declared import clients
from tests.support.reconciling import cycle_of, git, merge, settle_at_once, status
from tests.support.remote_git import person
from tests.support.service import REQUEST, Running, service, until

PROGRAM = Path(sys.executable).with_name("reconcile")
GEARS = "repoOwner: acme\nrepoName: gears\nskipAuth: true\n"


def deliver(running: Running, *messages: str) -> str:
    """Deliver a push with commits of these messages, as GitHub would; return what came of it."""
    pushes = running.service.pushes
    assert pushes is not None
    payload = {
        "ref": "refs/heads/main",
        "after": f"{time.monotonic_ns():040x}",
        "commits": [{"message": message} for message in messages],
        "repository": {"pushed_at": int(time.time())},
    }
    body = json.dumps(payload).encode()
    headers = {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": f"{time.monotonic_ns()}",
        "X-Hub-Signature-256": signature_of(body, pushes.secret()),
    }
    answer = running.call("POST", "/webhooks/github", by="", content=body, headers=headers)
    assert answer.is_success, answer.text
    return str(answer.json()["result"])


def metric(running: Running, name: str) -> float:
    """Return a sample of /metrics; 0 where there is none."""
    lines = running.call("GET", "/metrics", by="").text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)


def another_pass(running: Running) -> None:
    """Ask for a pass and wait for its end."""
    name = 'reconciler_passes_total{result="done"}'
    before = metric(running, name)
    running.service.schedule.wake("test")
    until(lambda: metric(running, name) > before)


def test_a_push_starts_a_pass_at_once_and_our_own_commits_do_not(
    clean_sandbox: Sandbox, tmp_path: Path
) -> None:
    repository = clean_sandbox.environment()["CONFIG_REPOSITORY"]
    with service(clean_sandbox) as running:
        person(clean_sandbox, tmp_path / "clone").write({"projects/gears.yaml": GEARS})
        assert deliver(running, "A person's edit") == "a pass begins"
        running.wait("acme-gears", "completed")
        log = git(repository, "log", "--format=%B%x00", "main")
        ours = [message.strip("\n") for message in log.split("\0") if message.strip().startswith("Status:")]
        assert ours
        assert deliver(running, *ours) == "nothing to do"


def test_every_commit_of_a_pass_names_the_pass(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    merge(clean_sandbox, tmp_path / "projects", gears=GEARS)
    with capture_logs() as logs, service(clean_sandbox) as running:
        running.wait("acme-gears", "completed")
    environment = clean_sandbox.environment()
    named = {
        line.removeprefix(f"{COMMIT_TRAILER}: ")
        for repository in ("CONFIG_REPOSITORY", "MANIFESTS_REPOSITORY")
        for line in git(environment[repository], "log", "--format=%B", "main").splitlines()
        if line.startswith(COMMIT_TRAILER)
    }
    finished = {each["commits"]: each for each in logs if each["event"] == "pass finished"}
    made = {commit for commits in finished for commit in commits}
    told = git(environment["CONFIG_REPOSITORY"], "rev-list", "main").split()
    told += git(environment["MANIFESTS_REPOSITORY"], "rev-list", "main").split()
    assert made <= set(told)
    assert len(named) == sum(1 for commits in finished if commits)


def test_what_fails_rests_until_people_change_something(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    someone = person(clean_sandbox, tmp_path / "clone")
    someone.write({"projects/lost.yaml": "repoOwner: acme\nrepoName: lost\n", "projects/gears.yaml": GEARS})
    gears = {"owner": "acme", "name": "gears"}
    clean_sandbox.emulator("github", "POST", "/_emulator/repositories", gears)
    with capture_logs() as logs, service(clean_sandbox, repositories=False) as running:
        running.wait("acme-gears", "completed")
        for _ in range(3):
            another_pass(running)
        resting = [each["items"] for each in logs if each["event"] == "failing items rest"]
        assert resting[-1] == ["project/acme-lost"]
        assert running.run("acme-lost")["status"] == "failed"
        assert metric(running, 'reconciler_items{kind="project",status="failed"}') == 1
        # Mended: another repository, which is there.
        someone.write(
            {"projects/lost.yaml": "repoOwner: acme\nrepoName: gears2\nskipAuth: true\nslug: acme-lost\n"}
        )
        clean_sandbox.emulator(
            "github", "POST", "/_emulator/repositories", {"owner": "acme", "name": "gears2"}
        )
        running.service.schedule.wake("mended")
        running.wait("acme-lost", "completed")


def test_two_instances_take_turns(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    merge(clean_sandbox, tmp_path / "projects", gears=GEARS)
    with capture_logs() as logs, service(clean_sandbox) as one, service(clean_sandbox) as other:
        one.wait("acme-gears", "completed")
        clean_sandbox.inject(Fault("github", "slow", match="graphql", times=1, seconds=3))
        one.service.schedule.wake("first")
        until(lambda: any(each["event"] == "pass asked for" for each in logs))
        time.sleep(0.5)
        other.service.schedule.wake("second")
        until(lambda: any("waits for it to end" in each["event"] for each in logs))
        finished = sum(each["event"] == "pass finished" for each in logs)
        until(lambda: sum(each["event"] == "pass finished" for each in logs) >= finished + 2)
        # Both tell the same.
        assert one.run("acme-gears") == other.run("acme-gears")
        assert other.call("POST", "/onboard", json={**REQUEST, "skipAuth": True}).status_code == 200
    assert status(clean_sandbox, "acme-gears")["status"] == "completed"
    log = git(clean_sandbox.environment()["MANIFESTS_REPOSITORY"], "log", "--format=%s", "main")
    assert log.count("Manifests: acme-gears") == 1


def test_a_run_that_another_instance_was_asked_for_is_found(clean_sandbox: Sandbox) -> None:
    with service(clean_sandbox) as one, service(clean_sandbox) as other:
        assert one.call("POST", "/onboard", json=REQUEST).status_code == 202
        until(lambda: other.call("GET", "/onboard/acme-gears").status_code == 200)


def test_a_run_that_a_pass_is_changing_is_running(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    with service(clean_sandbox) as running:
        clean_sandbox.inject(Fault("vault", "slow", match="(POST|PUT) ", times=50, seconds=1))
        merge(clean_sandbox, tmp_path / "projects", gears=GEARS)
        running.service.schedule.wake("test")
        catalogue, runs = running.service.desk.catalogue, Runs(running.service.desk)
        until(lambda: getattr(runs.of(catalogue.refresh()).get("acme-gears"), "status", "") == "running")
        assert running.run("acme-gears")["status"] == "running"
        clean_sandbox.clear_faults()
        running.wait("acme-gears", "completed")


def test_ready_means_that_a_pass_has_ended_lately(clean_sandbox: Sandbox) -> None:
    with service(clean_sandbox, readyWithin="2s") as running:
        running.service.schedule.wake("test")
        until(lambda: running.call("GET", "/readyz", by="").status_code == 200)
        until(lambda: running.call("GET", "/readyz", by="").status_code == 503)
        assert running.call("GET", "/healthz", by="").status_code == 200


def test_metrics_tell_of_passes_and_name_nobody(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    merge(clean_sandbox, tmp_path / "projects", gears=GEARS)
    with service(clean_sandbox) as running:
        running.wait("acme-gears", "completed")
        text = running.call("GET", "/metrics", by="").text
        assert metric(running, 'reconciler_items{kind="project",status="completed"}') == 1
        assert metric(running, 'reconciler_resources{kind="project",resource="sync",state="ok"}') == 1
        assert (
            metric(
                running, 'reconciler_changes_total{action="create",kind="project",resource="project-board"}'
            )
            >= 1
        )
        assert metric(running, "reconciler_last_pass_timestamp_seconds") > time.time() - 60
        assert metric(running, 'reconciler_github_rate_limit_remaining{resource="graphql"}') > 0
        # A login by hand asks no issuer.
        for system in {client.system for client in clients()} - {"oauth issuer"}:
            assert metric(running, f'reconciler_requests_total{{system="{system}"}}') > 0
        oldest = metric(
            running, 'reconciler_oldest_verification_timestamp_seconds{kind="project",resource="webhook"}'
        )
        assert time.time() - 60 < oldest <= time.time()
    assert "gears" not in text


@contextmanager
def program(sandbox: Sandbox, log: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `reconcile serve` as a container does; it has answered once."""
    environment = {"PATH": os.environ["PATH"], **sandbox.environment()}
    command = [str(PROGRAM), "serve", "--config", str(sandbox.configuration_file()), *words]
    with (
        log.open("wb") as said,
        subprocess.Popen(command, env=environment, stdout=said, stderr=said) as process,
    ):
        try:
            until(lambda: answers(environment["RECONCILER_URL"]))
            yield process
        finally:
            process.kill()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").is_success
    except httpx.HTTPError:
        return False


def lines_of(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_between_two_changes(clean_sandbox: Sandbox, tmp_path: Path, number: int) -> None:
    merge(clean_sandbox, tmp_path / "projects", gears=GEARS, cogs=GEARS.replace("gears", "cogs"))
    clean_sandbox.inject(Fault("github", "slow", match="POST .*graphql", times=50, seconds=0.5))
    mark = clean_sandbox.mark()
    log = tmp_path / "log"
    with program(clean_sandbox, log) as process:
        until(lambda: any(each.wrote and each.system == "github" for each in clean_sandbox.requests(mark)))
        process.send_signal(number)
        assert process.wait(30) == 0
    lines = lines_of(log)
    assert "stopping" in lines[-1]["event"] or lines[-1]["event"] == "pass finished"
    changes = [each for each in lines if each["event"] == "change"]
    assert len({each["pass_id"] for each in changes}) == 1
    clean_sandbox.clear_faults()
    assert settle_at_once(clean_sandbox).exit_code == 0
    assert status(clean_sandbox, "acme-cogs")["status"] == "completed"


def test_a_pass_that_people_start_beside_it_waits_its_turn(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    merge(clean_sandbox, tmp_path / "projects", gears=GEARS)
    with service(clean_sandbox) as running:
        running.wait("acme-gears", "completed")
        clean_sandbox.inject(Fault("github", "slow", match="graphql", times=1, seconds=3))
        running.service.schedule.wake("test")
        time.sleep(0.5)
        assert cycle_of(clean_sandbox).run().busy
