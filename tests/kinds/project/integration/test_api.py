"""The HTTP API on a sandbox: what it writes is in git, and what it tells is what git says."""

from __future__ import annotations

from pathlib import Path

from reconciler.sandbox.supervisor import Sandbox
from tests.support.reconciling import commits, git, merge, status
from tests.support.remote_git import person
from tests.support.service import REQUEST, TOKENS, service

SEED_COLUMNS = {
    "id",
    "repo_owner",
    "repo_name",
    "status",
    "current_phase",
    "current_activity",
    "completed_activities",
    "error_message",
    "oauth_device_url",
    "oauth_user_code",
    "created_at",
    "updated_at",
}
EVERYTHING = {
    **REQUEST,
    "displayName": "Gears & Cogs",
    "defaultBranch": "main",
    "resourceLimits": {
        "memoryRequest": "1Gi",
        "memoryLimit": "4Gi",
        "cpuRequest": "500m",
        "cpuLimit": "2",
        "storageWorktrees": "10Gi",
        "storageClaude": "2Gi",
    },
    "skipAuth": False,
    "skipLiteLLM": False,
    "litellm": {"teamAlias": "gears", "defaultModel": "claude-sonnet-4", "maxBudget": 50},
    "settings": {"cloudflareDomain": "gears.example.org", "terminalStreamingRate": 100},
}


def config_file(sandbox: Sandbox, path: str) -> str:
    return git(sandbox.environment()["CONFIG_REPOSITORY"], "show", f"main:{path}")


def test_from_a_request_to_completed(clean_sandbox: Sandbox) -> None:
    with service(clean_sandbox) as running:
        answer = running.call("POST", "/onboard", json=EVERYTHING)
        assert answer.status_code == 202
        assert answer.json()["id"] == "acme-gears"
        assert answer.headers["location"] == "/onboard/acme-gears"
        waiting = running.wait("acme-gears", "waiting_auth")
        assert waiting.keys() >= SEED_COLUMNS
        assert "seal acme-gears" in waiting["next"]
        sent = running.call("POST", "/onboard/acme-gears/auth-callback", by="courier", json=TOKENS)
        assert sent.status_code == 202
        assert "next pass stores them" in sent.json()["next"]
        done = running.wait("acme-gears", "completed")
    assert done["completed_activities"][-1] == "credentials"
    assert done["created_at"] < done["updated_at"]
    pushed = clean_sandbox.emulator("auth-service", "GET", "/_emulator/projects/acme-gears/credentials")
    assert [each["accessToken"] for each in pushed["credentials"]] == ["access-1"]
    assert status(clean_sandbox, "acme-gears")["status"] == "completed"


def test_the_project_file_says_what_was_asked_for_and_no_more(clean_sandbox: Sandbox) -> None:
    with service(clean_sandbox) as running:
        running.call("POST", "/onboard", json=REQUEST)
    lines = config_file(clean_sandbox, "projects/acme-gears.yaml").splitlines()
    assert lines[1:] == ["repoOwner: acme", "repoName: gears"]


def test_the_same_request_again_gives_the_same_run(clean_sandbox: Sandbox) -> None:
    with service(clean_sandbox) as running:
        running.call("POST", "/onboard", json=REQUEST)
        before = git(clean_sandbox.environment()["CONFIG_REPOSITORY"], "log", "--format=%s", "main")
        again = running.call("POST", "/onboard", json={**REQUEST, "skipAuth": False, "repoOwner": "ACME"})
        after = git(clean_sandbox.environment()["CONFIG_REPOSITORY"], "log", "--format=%s", "main")
    assert (again.status_code, again.json()["id"]) == (200, "acme-gears")
    assert before.count("Onboard") == after.count("Onboard") == 1


def test_another_request_for_the_same_repository_is_refused(clean_sandbox: Sandbox) -> None:
    with service(clean_sandbox) as running:
        running.call("POST", "/onboard", json=REQUEST)
        other = running.call("POST", "/onboard", json={**REQUEST, "skipAuth": True})
    assert other.status_code == 409
    assert "projects/acme-gears.yaml" in other.json()["detail"]
    assert "skipAuth" not in config_file(clean_sandbox, "projects/acme-gears.yaml")


def test_a_slug_that_is_taken_is_refused_with_what_to_do(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    merge(
        clean_sandbox, tmp_path / "projects", other="repoOwner: acme-gears\nrepoName: x\nslug: acme-gears\n"
    )
    with service(clean_sandbox) as running:
        answer = running.call("POST", "/onboard", json=REQUEST)
    assert answer.status_code == 409
    assert "slug:" in answer.json()["remedy"]


def test_a_file_that_people_broke_is_left_alone(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    broken = "repoOwner: acme\nrepoName: [gears\n"
    person(clean_sandbox, tmp_path / "clone").write({"projects/acme-gears.yaml": broken})
    with service(clean_sandbox) as running:
        answer = running.call("POST", "/onboard", json=REQUEST)
    assert answer.status_code == 409
    assert config_file(clean_sandbox, "projects/acme-gears.yaml") == broken


def test_all_runs_are_listed_page_by_page(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    files = {f"p{n}": f"repoOwner: acme\nrepoName: p{n}\nsuspend: true\n" for n in range(5)}
    merge(clean_sandbox, tmp_path / "projects", **files)
    with service(clean_sandbox) as running:
        seen: list[str] = []
        after: str | None = ""
        while after is not None:
            page = running.call("GET", "/onboard", params={"limit": 2, "after": after}).json()
            seen += [run["id"] for run in page["runs"]]
            assert page["total"] == 5
            after = page["next"]
        assert seen == [f"acme-p{n}" for n in range(5)]
        suspended = running.call("GET", "/onboard", params={"status": "suspended"}).json()
        completed = running.call("GET", "/onboard", params={"status": "completed"}).json()
    assert (suspended["total"], completed["total"]) == (5, 0)


def test_what_people_do_in_git_is_told(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    someone = person(clean_sandbox, tmp_path / "clone")
    with service(clean_sandbox) as running:
        assert running.call("GET", "/onboard/acme-bolts").status_code == 404
        someone.write({"projects/bolts.yaml": "repoOwner: acme\nrepoName: bolts\n"})
        running.service.desk.catalogue.refresh()
        assert running.run("acme-bolts")["status"] == "pending"
        someone.write({"projects/bolts.yaml": None})
        running.service.desk.catalogue.refresh()
        assert running.call("GET", "/onboard/acme-bolts").status_code == 404


def test_tokens_arrive_once_however_often_they_are_sent(clean_sandbox: Sandbox) -> None:
    with service(clean_sandbox) as running:
        running.call("POST", "/onboard", json=REQUEST)
        running.wait("acme-gears", "waiting_auth")
        head, _ = commits(clean_sandbox)
        callback = "/onboard/acme-gears/auth-callback"
        answers = [running.call("POST", callback, by="courier", json=TOKENS).status_code for _ in range(3)]
        running.wait("acme-gears", "completed")
        replayed = running.call("POST", callback, by="courier", json=TOKENS)
        pushed = clean_sandbox.emulator("auth-service", "GET", "/_emulator/projects/acme-gears/credentials")
        log = git(clean_sandbox.environment()["CONFIG_REPOSITORY"], "log", "--format=%s", f"{head}..main")
    assert answers[0] == 202
    assert set(answers[1:]) <= {202, 409}  # 409 where the pass was faster
    assert replayed.status_code == 409
    assert len(pushed["credentials"]) == 1
    assert log.count("Seal oauth of acme-gears") == 1
