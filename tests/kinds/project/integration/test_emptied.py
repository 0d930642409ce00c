"""A repository that is empty where something was is an alarm: no push, and no status turns false."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg
import pytest

from reconciler.engine.result import ALARM, PassResult
from reconciler.model.errors import UnsafeError
from reconciler.model.outcome import Condition
from reconciler.sandbox.supervisor import Sandbox
from tests.support.reconciling import cycle_of, git, merge, settle_at_once, status
from tests.support.remote_git import Person, person
from tests.support.verdicts import of

SKIPPING = "repoOwner: acme\nrepoName: {name}\nskipAuth: true\n"
NAMES = ("widgets", "gears", "bolts")
BASE = "k8s/base/kustomization.yaml"


@pytest.fixture
def onboarded(clean_sandbox: Sandbox, tmp_path: Path) -> Sandbox:
    files = {name: SKIPPING.format(name=name) for name in NAMES}
    merge(clean_sandbox, tmp_path / "projects", **files)
    assert settle_at_once(clean_sandbox).exit_code == 0
    return clean_sandbox


@pytest.fixture(params=["old clones", "new clones", "new clones and an empty table"])
def later(onboarded: Sandbox, request: pytest.FixtureRequest) -> Sandbox:
    """What a later process has left to know by."""
    if request.param != "old clones":
        shutil.rmtree(onboarded.directory / "work" / "clones", ignore_errors=True)
    if "table" in request.param:
        with psycopg.connect(onboarded.environment()["DATABASE_URL"]) as database:
            database.execute("DELETE FROM reconciler_item_verifications")
    return onboarded


def refs(repository: str) -> str:
    return git(repository, "for-each-ref")


def delete_branches(repository: str) -> str:
    """Return the commit that was there."""
    head = git(repository, "rev-parse", "main").strip()
    git(repository, "update-ref", "-d", "refs/heads/main")
    return head


def without(someone: Person, folders: tuple[str, ...]) -> None:
    files = git(str(someone.folder), "ls-files", *folders).split("\n")
    someone.write({path: None for path in files if path})


def run_alarmed(sandbox: Sandbox) -> PassResult:
    """Run a pass that tells of the manifest repository; nothing turns false."""
    before = {name: status(sandbox, f"acme-{name}") for name in NAMES}
    manifests = refs(sandbox.environment()["MANIFESTS_REPOSITORY"])
    result = cycle_of(sandbox).run()
    assert result.exit_code == ALARM
    assert any("--make-anew git" in problem for problem in result.problems)
    assert refs(sandbox.environment()["MANIFESTS_REPOSITORY"]) == manifests
    assert {name: status(sandbox, f"acme-{name}") for name in NAMES} == before
    assert not any(of(result, Condition.ERROR).values())
    assert cycle_of(sandbox).look().exit_code == ALARM
    return result


def test_a_manifest_repository_without_its_branch(later: Sandbox) -> None:
    repository = later.environment()["MANIFESTS_REPOSITORY"]
    head = delete_branches(repository)
    run_alarmed(later)
    git(repository, "update-ref", "refs/heads/main", head)
    assert settle_at_once(later).exit_code == 0


@pytest.mark.parametrize("gone", [(BASE,), ("k8s",)])
def test_a_manifest_repository_without_its_base(
    later: Sandbox, gone: tuple[str, ...], tmp_path: Path
) -> None:
    """Also for a project that comes only then, and that nothing is remembered of."""
    someone = person(later, tmp_path / "clone", "MANIFESTS_REPOSITORY")
    without(someone, gone)
    merge(later, tmp_path / "projects", nuts=SKIPPING.format(name="nuts"))
    run_alarmed(later)
    git(str(someone.folder), "revert", "--no-edit", "HEAD")
    git(str(someone.folder), "push", "-q")
    assert cycle_of(later).run().alarm is False


@pytest.mark.parametrize("how", ["no branch", "no file", "another branch"])
def test_a_config_repository_without_its_projects(later: Sandbox, how: str, tmp_path: Path) -> None:
    repository = later.environment()["CONFIG_REPOSITORY"]
    head = git(repository, "rev-parse", "main").strip()
    someone = person(later, tmp_path / "clone")
    if how == "no branch":
        delete_branches(repository)
    elif how == "another branch":
        git(str(someone.folder), "checkout", "-q", "--orphan", "other")
        git(str(someone.folder), "rm", "-rfq", ".")
        (someone.folder / "notes.txt").write_text("notes")
        git(str(someone.folder), "add", "-A")
        git(str(someone.folder), "commit", "-qm", "notes")
        git(str(someone.folder), "push", "-q", "--force", "origin", "other:main")
    else:
        without(someone, (".",))
    before = refs(repository)
    for call in (cycle_of(later).run, cycle_of(later).look):
        with pytest.raises(UnsafeError, match=r"had them|no branch any more|no file any more") as raised:
            call()
        assert "--make-anew git" in raised.value.remedy
    assert refs(repository) == before
    git(repository, "update-ref", "refs/heads/main", head)
    assert settle_at_once(later).exit_code == 0
    assert {status(later, f"acme-{name}")["status"] for name in NAMES} == {"completed"}


def test_a_commit_that_takes_every_file_away_is_held_and_told(later: Sandbox, tmp_path: Path) -> None:
    without(person(later, tmp_path / "clone"), ("projects",))
    manifests, mark = refs(later.environment()["MANIFESTS_REPOSITORY"]), later.mark()
    for _ in range(2):
        result = cycle_of(later).run()
        assert (result.alarm, result.exit_code) == (True, 3)
        assert any("reconcile offboard" in each for each in result.problems)
    assert [each for each in later.requests(mark) if each.wrote and each.system != "postgres"] == []
    assert refs(later.environment()["MANIFESTS_REPOSITORY"]) == manifests
    assert {status(later, f"acme-{name}")["removal"]["state"] for name in NAMES} == {"held"}
    someone = person(later, tmp_path / "again")
    git(
        str(someone.folder),
        "revert",
        "--no-edit",
        git(str(someone.folder), "log", "-1", "--format=%H", "--", "projects").strip(),
    )
    git(str(someone.folder), "push", "-q")
    assert settle_at_once(later).exit_code == 0
    assert {status(later, f"acme-{name}")["status"] for name in NAMES} == {"completed"}


def test_a_person_may_say_that_it_is_to_begin_anew(onboarded: Sandbox) -> None:
    delete_branches(onboarded.environment()["MANIFESTS_REPOSITORY"])
    result = cycle_of(onboarded).run(make_anew=frozenset({"git"}))
    assert not result.alarm
    text = git(onboarded.environment()["MANIFESTS_REPOSITORY"], "show", f"main:{BASE}")
    assert all(f"envs/acme-{name}" in text for name in NAMES)
    assert cycle_of(onboarded).run().alarm is False


def test_a_first_start_with_empty_repositories_is_none(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    """Nothing was there, so nothing is missed."""
    empty = tmp_path / "manifests.git"
    git(str(tmp_path), "init", "-q", "--bare", "--initial-branch=main", str(empty))
    config = tmp_path / "config.git"
    git(str(tmp_path), "init", "-q", "--bare", "--initial-branch=main", str(config))
    new = {"MANIFESTS_REPOSITORY": str(empty), "CONFIG_REPOSITORY": str(config), "DATABASE_URL": ""}
    assert not cycle_of(clean_sandbox, **new).run().alarm
    merge(clean_sandbox, tmp_path / "projects", widgets=SKIPPING.format(name="widgets"))
    del new["CONFIG_REPOSITORY"]
    assert not cycle_of(clean_sandbox, **new).run().alarm
    assert "envs/acme-widgets" in git(str(empty), "show", f"main:{BASE}")
