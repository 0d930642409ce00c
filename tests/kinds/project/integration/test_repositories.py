"""The two repositories, or one for both, when they refuse us or when somebody broke what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from reconciler.faces.cli.options import made_outside
from reconciler.kinds import KINDS
from reconciler.model.errors import ConfigurationError, Denied
from reconciler.model.outcome import Condition, Status
from reconciler.sandbox.supervisor import Sandbox
from tests.support.reconciling import commits, cycle_of, git, merge, settle_at_once, status
from tests.support.remote_git import PASSWORD, over_http, person, protected
from tests.support.verdicts import of, outcomes

WIDGETS = "repoOwner: acme\nrepoName: widgets\nskipAuth: true\n"
GEARS = "repoOwner: acme\nrepoName: gears\nskipAuth: true\n"
BASE = "k8s/base/kustomization.yaml"
STATUS = "status/project/acme-widgets.yaml"


@pytest.fixture
def kustomize(request: pytest.FixtureRequest, clean_sandbox: Sandbox) -> Iterator[None]:
    """Set `manifests.kustomize` in the sandbox's configuration; "" leaves it to what the PATH has."""
    file = clean_sandbox.configuration_file()
    before = file.read_text(encoding="utf-8")
    if request.param:
        line = f"  path: k8s/base\n  kustomize: {request.param}\n"
        file.write_text(before.replace("  path: k8s/base\n", line), encoding="utf-8")
    yield
    file.write_text(before, encoding="utf-8")


def test_a_wrong_password_of_the_config_repository_ends_the_pass_with_its_setting(
    clean_sandbox: Sandbox,
) -> None:
    with over_http(clean_sandbox) as http, pytest.raises(Denied) as raised:
        cycle_of(clean_sandbox, **{**http, "CONFIG_REPOSITORY_TOKEN": "wrong"}).run()
    assert "config.token" in raised.value.remedy
    assert "wrong" not in str(raised.value)


def test_a_wrong_password_of_the_manifest_repository_stops_only_what_needs_it(
    clean_sandbox: Sandbox, tmp_path: Path
) -> None:
    merge(clean_sandbox, tmp_path / "projects", widgets=WIDGETS)
    with over_http(clean_sandbox) as http:
        result = cycle_of(clean_sandbox, **{**http, "MANIFESTS_REPOSITORY_TOKEN": "wrong"}).run()
        assert result.exit_code == 1
        assert of(result, Condition.UNKNOWN) == {"acme-widgets": {"manifests", "sync", "pod-health"}}
        assert all("manifests.token" in each.remedy for each in outcomes(result, Condition.UNKNOWN))
        assert of(result, Condition.ERROR) == {"acme-widgets": set()}
        assert {"registry", "devcontainer", "settings"} <= of(result, Condition.CHANGED)["acme-widgets"]
        assert recorded(clean_sandbox) == [("acme-widgets", status(clean_sandbox, "acme-widgets")["status"])]
        assert settle_at_once(clean_sandbox, **http).exit_code == 0
    assert status(clean_sandbox, "acme-widgets")["status"] == "completed"
    assert PASSWORD not in git(clean_sandbox.environment()["CONFIG_REPOSITORY"], "log", "-p", "main")


@pytest.mark.parametrize("repository", ["CONFIG_REPOSITORY", "MANIFESTS_REPOSITORY"])
def test_a_rotated_password_counts_from_the_next_pass_on(
    clean_sandbox: Sandbox, tmp_path: Path, repository: str
) -> None:
    merge(clean_sandbox, tmp_path / "projects", widgets=WIDGETS)
    file = tmp_path / "token"
    with over_http(clean_sandbox) as http:
        file.write_text(PASSWORD)
        rotated = {f"{repository}_TOKEN": "", f"{repository}_TOKEN_FILE": str(file)}
        cycle = cycle_of(clean_sandbox, **{**http, **rotated})
        assert cycle.run().exit_code == 0
        file.write_text("no longer valid")
        if repository == "CONFIG_REPOSITORY":
            with pytest.raises(Denied):
                cycle.run()
        else:
            assert of(cycle.run(), Condition.UNKNOWN)["acme-widgets"] >= {"manifests"}
        file.write_text(PASSWORD)
        assert cycle.run().exit_code == 0


def test_a_protected_manifest_branch_is_told_in_the_status_and_nobody_waits_for_it(
    clean_sandbox: Sandbox, tmp_path: Path
) -> None:
    merge(clean_sandbox, tmp_path / "projects", widgets=WIDGETS)
    before = commits(clean_sandbox)
    with over_http(clean_sandbox) as http:
        with protected(clean_sandbox, "MANIFESTS_REPOSITORY"):
            result = settle_at_once(clean_sandbox, **http)
        assert result.exit_code == 1
        assert commits(clean_sandbox)[1] == before[1]
        said = status(clean_sandbox, "acme-widgets")
        assert said["status"] == "failed"
        assert "the reconciler's identity needs to be allowed to push" in said["next"]
        assert "GH006" in said["next"]
        assert said["resources"]["sync"]["state"] == "blocked"
        assert settle_at_once(clean_sandbox, **http).exit_code == 0
    assert status(clean_sandbox, "acme-widgets")["status"] == "completed"


def test_a_protected_config_branch_is_a_sentence_and_exit_code_1(
    clean_sandbox: Sandbox, tmp_path: Path
) -> None:
    merge(clean_sandbox, tmp_path / "projects", widgets=WIDGETS)
    with over_http(clean_sandbox) as http:
        before = commits(clean_sandbox)
        with protected(clean_sandbox, "CONFIG_REPOSITORY"):
            first, second = (cycle_of(clean_sandbox, **http).run() for _ in range(2))
        for result in (first, second):
            assert result.exit_code == 1
            assert any("identity needs to be allowed to push" in problem for problem in result.problems)
        assert commits(clean_sandbox)[0] == before[0]
        # What is not remembered is adopted, and nothing is written again.
        assert of(second, Condition.CHANGED) == {"acme-widgets": set()}
        assert settle_at_once(clean_sandbox, **http).exit_code == 0
    assert status(clean_sandbox, "acme-widgets")["status"] == "completed"


def test_one_repository_for_both_gets_one_commit_for_both(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "projects").mkdir()
    (tmp_path / "projects" / "widgets.yaml").write_text(WIDGETS)
    made_outside(clean_sandbox, KINDS, tmp_path / "projects")
    someone = person(clean_sandbox, tmp_path / "clone", "MANIFESTS_REPOSITORY")
    someone.write({"projects/widgets.yaml": WIDGETS})
    one = {"CONFIG_REPOSITORY": clean_sandbox.environment()["MANIFESTS_REPOSITORY"]}
    first = cycle_of(clean_sandbox, **one).run()
    assert len(first.commits) == 1
    files = git(one["CONFIG_REPOSITORY"], "show", "--name-only", "--format=", first.commits[0]).split()
    assert {STATUS, BASE, "k8s/base/envs/acme-widgets/statefulset.yaml"} <= set(files)
    result = settle_at_once(clean_sandbox, **one)
    assert [each.status for each in result.reports] == [Status.COMPLETED]
    assert cycle_of(clean_sandbox, **one).run().commits == ()

    someone.write(
        {BASE: "resources: {}\n", "projects/widgets.yaml": WIDGETS + "resourceLimits: {cpuLimit: '6'}\n"}
    )
    result = cycle_of(clean_sandbox, **one).run()
    assert of(result, Condition.ERROR) == {"acme-widgets": {"manifests"}}
    assert "does not build as it is" in someone.read(STATUS)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("{base}\nbogusField: 1\n", "bogusField"),
        ("<<<<<<< HEAD\n{base}=======\n{base}>>>>>>> theirs\n", ""),
        ("resources: {{}}\n", ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kustomize", ["builtin", ""], indirect=True)
def test_a_base_that_somebody_broke_gets_no_push_and_the_status_says_so(
    clean_sandbox: Sandbox, tmp_path: Path, broken: str, says: str, kustomize: None
) -> None:
    merge(clean_sandbox, tmp_path / "projects", widgets=WIDGETS)
    someone = person(clean_sandbox, tmp_path / "clone", "MANIFESTS_REPOSITORY")
    base = someone.read(BASE)
    someone.write({BASE: broken.format(base=base)})
    before = commits(clean_sandbox)
    result = cycle_of(clean_sandbox).run()
    assert result.exit_code == 1
    assert of(result, Condition.ERROR) == {"acme-widgets": {"manifests"}}
    assert commits(clean_sandbox)[1] == before[1]
    said = status(clean_sandbox, "acme-widgets")
    assert said["status"] == "failed"
    assert says in said["next"]
    assert cycle_of(clean_sandbox).run().commits == ()
    someone.write({BASE: base})
    assert settle_at_once(clean_sandbox).exit_code == 0
    assert status(clean_sandbox, "acme-widgets")["status"] == "completed"


@pytest.mark.parametrize("kustomize", ["builtin", ""], indirect=True)
def test_a_project_whose_objects_exist_elsewhere_in_the_tree_is_left_out_alone(
    clean_sandbox: Sandbox, tmp_path: Path, kustomize: None
) -> None:
    merge(clean_sandbox, tmp_path / "projects", widgets=WIDGETS, gears=GEARS)
    someone = person(clean_sandbox, tmp_path / "clone", "MANIFESTS_REPOSITORY")
    base = someone.read(BASE)
    foreign = "apiVersion: v1\nkind: Service\nmetadata: {name: env-acme-gears}\nspec: {clusterIP: None}\n"
    listed = base.replace("resources:\n", "resources:\n- foreign.yaml\n", 1)
    someone.write({BASE: listed, "k8s/base/foreign.yaml": foreign})
    result = settle_at_once(clean_sandbox)
    assert result.exit_code == 1
    assert of(result, Condition.ERROR) == {"acme-widgets": set(), "acme-gears": {"manifests"}}
    assert status(clean_sandbox, "acme-widgets")["status"] == "completed"
    assert "env-acme-gears" in status(clean_sandbox, "acme-gears")["next"]
    text = someone.read(BASE)
    assert "envs/acme-widgets" in text
    assert "envs/acme-gears" not in text
    someone.write({BASE: text.replace("- foreign.yaml\n", ""), "k8s/base/foreign.yaml": None})
    assert settle_at_once(clean_sandbox).exit_code == 0
    assert status(clean_sandbox, "acme-gears")["status"] == "completed"


@pytest.mark.parametrize("kustomize", ["no-such-program"], indirect=True)
def test_a_kustomize_that_is_no_program_is_told_before_anything_is_done(
    clean_sandbox: Sandbox, tmp_path: Path, kustomize: None
) -> None:
    merge(clean_sandbox, tmp_path / "projects", widgets=WIDGETS)
    mark = clean_sandbox.mark()
    with pytest.raises(ConfigurationError, match=r"manifests\.kustomize"):
        cycle_of(clean_sandbox).run()
    wrote = {request.system for request in clean_sandbox.requests(mark) if request.wrote}
    assert wrote <= {"postgres"}  # its own tables


def recorded(sandbox: Sandbox) -> list[tuple[str, str]]:
    """Return (slug, status) of the runs in the database."""
    with psycopg.connect(sandbox.environment()["DATABASE_URL"]) as database:
        return database.execute("SELECT id, status FROM onboarding_runs ORDER BY id").fetchall()
