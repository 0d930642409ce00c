from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import hvac
import minio
import psycopg
import pytest

from reconciler.faces.sealed_entry import seal_for
from reconciler.model.outcome import Status
from reconciler.sandbox.supervisor import Sandbox
from tests.support.reconciling import commits, cycle_of, git, merge, settle, settle_at_once, status

TOKENS = json.dumps(
    {"accessToken": "access-1", "refreshToken": "refresh-1", "expiresAt": 1_900_000_000_000}
).encode()
WIDGETS = "repoOwner: acme\nrepoName: widgets\n"
GEARS = "repoOwner: acme\nrepoName: gears\nskipAuth: true\n"


@pytest.fixture
def projects(tmp_path: Path) -> Path:
    return tmp_path / "projects"


def states(sandbox: Sandbox, slug: str) -> dict[str, str]:
    return {name: entry["state"] for name, entry in status(sandbox, slug)["resources"].items()}


def test_a_project_goes_all_the_way_to_completed(clean_sandbox: Sandbox, projects: Path) -> None:
    merge(clean_sandbox, projects, widgets=WIDGETS, gears=GEARS)
    result = settle(clean_sandbox)
    assert result.exit_code == 0
    assert {each.slug: each.status for each in result.reports} == {
        "acme-widgets": "waiting_auth",
        "acme-gears": Status.COMPLETED,
    }
    waiting = status(clean_sandbox, "acme-widgets")
    assert waiting["status"] == "waiting_auth"
    assert "reconcile seal acme-widgets" in waiting["next"]
    assert waiting["oauth"]["state"] == "pending"

    seal_for(cycle_of(clean_sandbox), "acme-widgets", TOKENS, only_print=False)
    assert settle(clean_sandbox).exit_code == 0
    done = status(clean_sandbox, "acme-widgets")
    assert done["status"] == "completed"
    assert "sealed" not in done["oauth"]
    assert set(states(clean_sandbox, "acme-widgets").values()) == {"ok"}
    kept = clean_sandbox.emulator("auth-service", "GET", "/_emulator/projects/acme-widgets/credentials")
    assert [each["accessToken"] for each in kept["credentials"]] == ["access-1"]
    assert_everything_is_there(clean_sandbox, "acme", "widgets")


def assert_everything_is_there(sandbox: Sandbox, owner: str, name: str) -> None:
    environment, slug = sandbox.environment(), f"{owner}-{name}"
    vault = hvac.Client(url=environment["VAULT_ADDR"], token=environment["VAULT_TOKEN"])
    names = {
        folder: vault.secrets.kv.v2.list_secrets(f"mesh-six/{folder}")["data"]["keys"]
        for folder in ("webhooks", "envs")
    }
    assert slug in names["webhooks"]
    assert {f"{slug}.git-access", f"{slug}.llm-key"} <= set(names["envs"])
    login = vault.secrets.kv.v2.read_secret_metadata(f"mesh-six/oauth/{slug}")["data"]
    assert login["versions"] == {}  # only which request was served
    vault.adapter.close()
    with psycopg.connect(environment["DATABASE_URL"]) as database:
        row = database.execute(
            "SELECT board_id, execution_mode FROM repo_registry WHERE service_name = %s", (slug,)
        ).fetchone()
        run = database.execute("SELECT status FROM onboarding_runs WHERE id = %s", (slug,)).fetchone()
    assert row is not None
    assert row[0]
    assert row[1] == "envbuilder"
    assert run == ("completed",)
    store = minio.Minio(
        environment["MINIO_ENDPOINT"].removeprefix("http://"),
        environment["MINIO_ACCESS_KEY"],
        environment["MINIO_SECRET_KEY"],
        secure=False,
    )
    assert store.stat_object("mesh-six-recordings", f"repos/{owner}/{name}/.keep").size == 0
    files = git(environment["MANIFESTS_REPOSITORY"], "ls-tree", "-r", "--name-only", "main")
    assert f"k8s/base/envs/{slug}/statefulset.yaml" in files.splitlines()


def test_a_rotated_key_reaches_the_gateway_and_the_pod(clean_sandbox: Sandbox, projects: Path) -> None:
    merge(clean_sandbox, projects, gears=GEARS)
    settle_at_once(clean_sandbox)
    environment = clean_sandbox.environment()
    vault = hvac.Client(url=environment["VAULT_ADDR"], token=environment["VAULT_TOKEN"])
    rotated = {"key": f"sk-{'r' * 32}"}
    vault.secrets.kv.v2.create_or_update_secret("mesh-six/envs/acme-gears.llm-key", secret=rotated)
    vault.adapter.close()
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as database:
        database.execute("DELETE FROM reconciler_item_verifications")  # the audit is due
    result = settle_at_once(clean_sandbox)
    assert {each.status for each in result.reports} == {Status.COMPLETED}
    folder = "main:k8s/base/envs/acme-gears"
    manifest = git(environment["MANIFESTS_REPOSITORY"], "show", f"{folder}/external-secret.yaml")
    assert "llm-key 2 of " in manifest
    assert cycle_of(clean_sandbox).run().commits == ()


def test_another_letter_case_in_the_file_makes_nothing_a_second_time(
    clean_sandbox: Sandbox, projects: Path
) -> None:
    merge(clean_sandbox, projects, gears=GEARS)
    settle_at_once(clean_sandbox)
    before = counts(clean_sandbox)
    merge(clean_sandbox, projects, gears=GEARS.replace("acme", "ACME").replace("gears", "Gears"))
    result = cycle_of(clean_sandbox).run()
    assert {each.slug: each.status for each in result.reports} == {"acme-gears": Status.COMPLETED}
    assert (result.changes, result.commits) == (0, ())
    assert counts(clean_sandbox) == before


BROKEN = "repoOwner: [\n"


@pytest.mark.parametrize("more", ["", "suspend: true\n"])
def test_a_project_whose_file_breaks_is_shown_frozen_and_left_as_it_is(
    clean_sandbox: Sandbox, projects: Path, more: str
) -> None:
    merge(clean_sandbox, projects, gears=GEARS + more)
    (before,) = cycle_of(clean_sandbox).run().reports
    written = status(clean_sandbox, "acme-gears")
    (projects / "gears.yaml").write_text(BROKEN)
    clean_sandbox.merge_projects(projects)
    result = cycle_of(clean_sandbox).run()
    (frozen,) = result.reports
    assert (frozen.slug, frozen.status, frozen.kind) == ("acme-gears", before.status, "project")
    assert "projects/gears.yaml is broken" in frozen.todo
    assert str(before.status) in result.summary
    assert (result.exit_code, result.commits, result.changes) == (1, (), 0)
    assert status(clean_sandbox, "acme-gears") == written


def writes(sandbox: Sandbox, since: int) -> list[Any]:
    return [request for request in sandbox.requests(since) if request.wrote]


def test_a_quiet_pass_writes_nothing(clean_sandbox: Sandbox, projects: Path) -> None:
    merge(clean_sandbox, projects, widgets=WIDGETS, gears=GEARS)
    settle_at_once(clean_sandbox)
    before, mark = commits(clean_sandbox), clean_sandbox.mark()
    result = cycle_of(clean_sandbox).run()
    assert result.exit_code == 0
    assert result.commits == ()
    assert writes(clean_sandbox, mark) == []
    assert commits(clean_sandbox) == before


def test_a_plan_writes_nothing_anywhere(clean_sandbox: Sandbox, projects: Path) -> None:
    merge(clean_sandbox, projects, widgets=WIDGETS)
    before, mark = commits(clean_sandbox), clean_sandbox.mark()
    look = cycle_of(clean_sandbox).look()
    assert look.plan.changes
    assert writes(clean_sandbox, mark) == []
    assert commits(clean_sandbox) == before


def test_with_status_deleted_everything_is_adopted_and_nothing_made_twice(
    clean_sandbox: Sandbox, projects: Path, tmp_path: Path
) -> None:
    merge(clean_sandbox, projects, widgets=WIDGETS, gears=GEARS)
    settle_at_once(clean_sandbox)
    seal_for(cycle_of(clean_sandbox), "acme-widgets", TOKENS, only_print=False)
    settle_at_once(clean_sandbox)
    before = counts(clean_sandbox)
    clone = tmp_path / "clone"
    environment = clean_sandbox.environment()
    subprocess.run(["git", "clone", "-q", environment["CONFIG_REPOSITORY"], str(clone)], check=True)
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    git(str(clone), "rm", "-rq", "status")
    git(str(clone), *identity, "commit", "-qm", "lose the status")
    git(str(clone), "push", "-q")
    result = settle_at_once(clean_sandbox)
    assert {each.status for each in result.reports} == {Status.COMPLETED}
    assert counts(clean_sandbox) == before
    mark = clean_sandbox.mark()
    assert cycle_of(clean_sandbox).run().commits == ()
    assert writes(clean_sandbox, mark) == []


def counts(sandbox: Sandbox) -> dict[str, Any]:
    """Count what exists in every system that could hold a thing twice."""
    environment = sandbox.environment()
    with psycopg.connect(environment["DATABASE_URL"]) as database:
        rows = database.execute("SELECT count(*) FROM repo_registry").fetchone()
    assert rows is not None
    tree = git(environment["MANIFESTS_REPOSITORY"], "ls-tree", "-r", "main")
    # With the ids of the files: a secret's version comes from Vault, so the manifests stay what they are.
    return {"registry": rows[0], "manifests": tree}
