"""A request that becomes a pull request: one for each project, found again, and decided by people."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.sandbox.faults import Fault, Kind
from reconciler.sandbox.supervisor import Sandbox
from tests.support.git_server import git
from tests.support.hosted import Hosted, hosted
from tests.support.service import REQUEST, Running, service

FILE, BRANCH = "projects/acme-gears.yaml", "onboard/acme-gears/project"


@pytest.fixture
def config(clean_sandbox: Sandbox, tmp_path: Path) -> Iterator[Hosted]:
    gears = {"owner": "acme", "name": "gears"}
    clean_sandbox.emulator("github", "POST", "/_emulator/repositories", gears)
    with hosted(clean_sandbox, tmp_path / "git") as made:
        yield made


@pytest.fixture
def running(clean_sandbox: Sandbox, config: Hosted) -> Iterator[Running]:
    with service(clean_sandbox, config.environ, onboardBy="pull-request") as made:
        yield made


def test_a_request_opens_a_pull_request_and_its_merge_onboards(running: Running, config: Hosted) -> None:
    answer = running.call("POST", "/onboard", json=REQUEST)
    assert answer.status_code == 202
    assert config.pulls() == [(1, "open")]
    assert answer.json()["pull_request"].endswith("/pull/1")
    assert answer.json()["pull_request"] in running.run("acme-gears")["next"]
    assert config.show(FILE, BRANCH).splitlines()[1:] == ["repoOwner: acme", "repoName: gears"]
    config.decide(1, "merge")
    running.service.schedule.wake("merged")
    run = running.wait("acme-gears", "waiting_auth")
    assert run["pull_request"] is None


def test_repeating_it_gives_the_same_run_also_after_a_restart(clean_sandbox: Sandbox, config: Hosted) -> None:
    with service(clean_sandbox, config.environ, onboardBy="pull-request") as running:
        first = running.call("POST", "/onboard", json=REQUEST)
        second = running.call("POST", "/onboard", json=REQUEST)
    with service(clean_sandbox, config.environ, onboardBy="pull-request") as running:
        third = running.call("POST", "/onboard", json=REQUEST)
        told = running.run("acme-gears")
    assert [each.status_code for each in (first, second, third)] == [202, 200, 200]
    assert {each.json()["pull_request"] for each in (first, second, third)} == {told["pull_request"]}
    assert (told["status"], config.pulls()) == ("pending", [(1, "open")])
    assert config.subjects(BRANCH)[0] == "Onboard acme/gears"
    assert config.subjects(BRANCH).count("Onboard acme/gears") == 1


def test_the_same_request_from_many_at_once_opens_one(running: Running, config: Hosted) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: running.call("POST", "/onboard", json=REQUEST), range(6)))
    assert sorted(each.status_code for each in answers) == [200] * 5 + [202]
    assert config.pulls() == [(1, "open")]


def test_another_request_for_it_is_refused_while_the_first_is_open(running: Running, config: Hosted) -> None:
    running.call("POST", "/onboard", json=REQUEST)
    other = running.call("POST", "/onboard", json={**REQUEST, "skipAuth": True})
    assert other.status_code == 409
    assert BRANCH in other.json()["remedy"]
    assert "skipAuth" not in config.show(FILE, BRANCH)


def test_a_closed_pull_request_is_a_no_until_its_branch_is_deleted(running: Running, config: Hosted) -> None:
    running.call("POST", "/onboard", json=REQUEST)
    config.decide(1, "close")
    refused = running.call("POST", "/onboard", json=REQUEST)
    assert refused.status_code == 409
    assert BRANCH in refused.json()["remedy"]
    config.rest("DELETE", f"/git/refs/heads/{BRANCH}")
    assert running.call("POST", "/onboard", json=REQUEST).status_code == 202
    assert config.pulls() == [(1, "closed"), (2, "open")]


def test_a_closed_pull_request_shows_as_failed_after_a_restart(
    clean_sandbox: Sandbox, config: Hosted
) -> None:
    with service(clean_sandbox, config.environ, onboardBy="pull-request") as running:
        running.call("POST", "/onboard", json=REQUEST)
    config.decide(1, "close")
    with service(clean_sandbox, config.environ, onboardBy="pull-request") as running:
        run = running.run("acme-gears")
    assert run["status"] == "failed"
    assert "closed without merging" in run["error_message"]


@pytest.mark.parametrize("write", range(1, 4))
@pytest.mark.parametrize("kind", ["reset", "reset-after"])
def test_cut_off_at_any_write_it_is_finished_by_asking_again(
    running: Running, config: Hosted, write: int, kind: Kind
) -> None:
    match = ["POST .*/git/refs", "PUT .*/contents", "POST .*/pulls"][write - 1]
    config.sandbox.inject(Fault("github", kind, match=match, times=1))
    cut = running.call("POST", "/onboard", json=REQUEST)
    again = running.call("POST", "/onboard", json=REQUEST)
    assert cut.status_code in {502, 503}
    assert again.status_code in {200, 202}
    assert config.pulls() == [(1, "open")]
    assert config.subjects(BRANCH).count("Onboard acme/gears") == 1


def test_what_people_change_in_the_pull_request_counts(running: Running, config: Hosted) -> None:
    running.call("POST", "/onboard", json=REQUEST)
    clone = config.directory.parent / "clone-of-a-person"
    git(config.directory, "clone", "-q", "-b", BRANCH, str(config.directory), str(clone))
    (clone / FILE).write_text("repoOwner: acme\nrepoName: gears\nskipAuth: true\nsuspend: true\n")
    git(clone, "commit", "-qam", "Not yet")
    git(clone, "push", "-q")
    assert running.call("POST", "/onboard", json=REQUEST).status_code == 409
    assert running.call("POST", "/onboard", json={**REQUEST, "skipAuth": True}).status_code == 200


def test_without_github_what_is_merged_is_still_told(running: Running, config: Hosted) -> None:
    running.call("POST", "/onboard", json=REQUEST)
    config.decide(1, "merge")
    running.service.schedule.wake("merged")
    running.wait("acme-gears", "waiting_auth")
    config.sandbox.inject(Fault("github", "500", times=1_000))
    running.service.desk.catalogue.refresh()
    assert running.run("acme-gears")["status"] == "waiting_auth"
    assert running.call("POST", "/onboard", json={**REQUEST, "repoName": "cogs"}).status_code == 503


def test_a_config_repository_that_is_not_on_github_says_what_to_set(clean_sandbox: Sandbox) -> None:
    with service(clean_sandbox, onboardBy="pull-request") as running:
        answer = running.call("POST", "/onboard", json=REQUEST)
    assert answer.status_code == 503
    assert "serve.onboardBy: commit" in answer.json()["remedy"]
