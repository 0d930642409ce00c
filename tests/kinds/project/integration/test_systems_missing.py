"""Systems that are not there yet while a project is new, or that nobody has configured."""

from __future__ import annotations

from pathlib import Path

from reconciler.engine.cycle import Cycle
from reconciler.kinds import KINDS
from reconciler.model.outcome import Condition
from reconciler.sandbox.faults import Fault
from reconciler.sandbox.supervisor import Sandbox
from reconciler.settings.giving import Sections
from tests.support.declared import VARIABLES
from tests.support.reconciling import cycle_of, git, merge, settle_at_once, status
from tests.support.verdicts import of, outcomes

WIDGETS = "repoOwner: acme\nrepoName: widgets\n"
GEARS = "repoOwner: acme\nrepoName: gears\nskipAuth: true\n"
COGS = "repoOwner: acme\nrepoName: cogs\nskipAuth: true\nskipLiteLLM: true\n"


def test_a_wrong_auth_service_token_is_told_by_what_it_was_needed_for(
    clean_sandbox: Sandbox, tmp_path: Path
) -> None:
    merge(clean_sandbox, tmp_path / "projects", gears=GEARS, cogs=COGS)
    result = cycle_of(clean_sandbox, AUTH_SERVICE_TOKEN="wrong").run()
    assert result.exit_code == 1
    assert of(result, Condition.UNKNOWN) == {"acme-gears": {"settings"}, "acme-cogs": {"settings"}}
    assert all(each.remedy for each in outcomes(result, Condition.UNKNOWN))
    assert settle_at_once(clean_sandbox).exit_code == 0
    assert status(clean_sandbox, "acme-cogs")["status"] == "completed"


def test_a_project_begun_while_systems_are_down_is_finished_when_they_are_back(
    clean_sandbox: Sandbox, tmp_path: Path
) -> None:
    merge(clean_sandbox, tmp_path / "projects", gears=GEARS)
    for system in ("vault", "argocd", "litellm"):
        clean_sandbox.inject(Fault(system, "refuse"))
    result = cycle_of(clean_sandbox).run()
    assert result.exit_code == 1
    done = of(result, Condition.CHANGED)["acme-gears"]
    assert {"project-board", "registry", "recordings", "devcontainer", "settings"} <= done
    assert status(clean_sandbox, "acme-gears")["status"] == "pending"
    clean_sandbox.clear_faults()
    assert settle_at_once(clean_sandbox).exit_code == 0
    assert status(clean_sandbox, "acme-gears")["status"] == "completed"


def test_a_repository_that_is_missing_is_told_once_and_holds_the_rest_back(
    clean_sandbox: Sandbox, tmp_path: Path
) -> None:
    projects = tmp_path / "projects"
    merge(clean_sandbox, projects, gears=GEARS)
    (projects / "typo.yaml").write_text(
        "repoOwner: acme\nrepoName: gaers\nskipAuth: true\n", encoding="utf-8"
    )
    clean_sandbox.merge_projects(projects)
    mark = clean_sandbox.mark()
    result = settle_at_once(clean_sandbox)
    wrote = {each.path.rpartition("/")[2] for each in clean_sandbox.requests(mark) if each.wrote}
    assert any("acme-gears" in each for each in wrote)
    assert not any("acme-gaers" in each for each in wrote)
    assert of(result, Condition.ERROR) == {"acme-gears": set(), "acme-gaers": {"validate-repo"}}
    assert not any(of(result, Condition.UNKNOWN).values())
    in_it = {"project-board", "webhook", "git-access", "devcontainer"}
    assert in_it <= of(result, Condition.BLOCKED)["acme-gaers"]
    assert status(clean_sandbox, "acme-gears")["status"] == "completed"


def test_without_github_nothing_is_called_completed(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    merge(clean_sandbox, tmp_path / "projects", widgets=WIDGETS)
    result = cycle_of(clean_sandbox, GITHUB_TOKEN="").run()
    assert result.exit_code == 1
    assert "validate-repo" in of(result, Condition.ERROR)["acme-widgets"]
    assert "GITHUB_TOKEN" in status(clean_sandbox, "acme-widgets")["next"]
    assert settle_at_once(clean_sandbox).exit_code == 0
    assert status(clean_sandbox, "acme-widgets")["status"] == "waiting_auth"


def test_with_only_github_and_git_configured_the_rest_is_skipped_by_the_name_of_its_setting(
    clean_sandbox: Sandbox, tmp_path: Path
) -> None:
    merge(clean_sandbox, tmp_path / "projects", widgets=WIDGETS)
    environment = clean_sandbox.environment()
    sections = Sections(
        {
            "github": {"apiUrl": environment["GITHUB_API_URL"], "writePause": 0},
            "projects": {"repositories": ["acme/*"]},
            "pods": {"featureReference": "registry.example/mesh-six-tools:2"},
            "config": {"repository": environment["CONFIG_REPOSITORY"]},
            "manifests": {"repository": environment["MANIFESTS_REPOSITORY"]},
            "work": {"directory": str(tmp_path / "work")},
        },
        {"GITHUB_TOKEN": environment["GITHUB_TOKEN"]},
    )
    result = Cycle(sections, KINDS).run()
    assert result.exit_code == 0
    document = status(clean_sandbox, "acme-widgets")
    assert document["status"] == "completed"
    skipped = {
        name: entry["reason"] for name, entry in document["resources"].items() if entry["state"] == "skipped"
    }
    assert skipped.keys() == document["resources"].keys() - {
        "validate-repo", "project-board", "devcontainer", "manifests",
    }  # fmt: skip
    assert [name for name, why in skipped.items() if not any(each in why for each in VARIABLES)] == []
    for name, setting in {
        "webhook-secret": "VAULT_ADDR",
        "registry": "DATABASE_URL",
        "recordings": "MINIO_ENDPOINT",
        "sync": "ARGOCD_SERVER",
        "oauth": "RECONCILER_AGE_IDENTITY",
        "litellm": "LITELLM_URL",
        "settings": "AUTH_SERVICE_URL",
    }.items():
        assert setting in skipped[name]
    tree = git(environment["MANIFESTS_REPOSITORY"], "ls-tree", "-r", "--name-only", "main").split()
    assert "k8s/base/envs/acme-widgets/statefulset.yaml" in tree
    assert "k8s/base/envs/acme-widgets/external-secret.yaml" not in tree
    assert Cycle(sections, KINDS).run().commits == ()
    assert settle_at_once(clean_sandbox).exit_code == 0
    assert status(clean_sandbox, "acme-widgets")["status"] == "waiting_auth"
