"""Other passes and other writers beside a pass: one pass writes, and nobody's commit is lost.

A pass is held up at a write by a slow system, for as long as it takes to get in its way.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import psycopg
import pytest

from reconciler.engine.history import History
from reconciler.engine.loop import run_once
from reconciler.engine.result import BUSY
from reconciler.faces.cli.progress import Steps
from reconciler.kinds import KINDS
from reconciler.model.decision import Change
from reconciler.model.duration import parse_duration
from reconciler.model.outcome import Status
from reconciler.sandbox.faults import Fault
from reconciler.sandbox.supervisor import Sandbox
from tests.support.doomed import running_pass
from tests.support.reconciling import commits, cycle_of, git, merge, settle_at_once, status
from tests.support.remote_git import person

GEARS = "repoOwner: acme\nrepoName: gears\n"
WIDGETS = "repoOwner: acme\nrepoName: widgets\nskipAuth: true\n"
LAST_CHANGE = "POST /projects$"
"""Of a first pass over a project; then come the pushes."""


@pytest.fixture
def projects(clean_sandbox: Sandbox, tmp_path: Path) -> Path:
    merge(clean_sandbox, tmp_path / "projects", gears=GEARS)
    return tmp_path / "projects"


@contextmanager
def held_up(sandbox: Sandbox, match: str, *, seconds: float = 3.0) -> Iterator[BaseProcess]:
    """Run a pass that is at that write when the block begins, and over when it ends."""
    mark = sandbox.mark()
    # The delay is before the effect, and the gateway logs what was delayed only when it is over.
    sandbox.inject(Fault("*", "slow", match, seconds=seconds))
    with running_pass(sandbox) as process:
        before = len(sandbox.requests(mark))
        until = time.monotonic() + 30
        while before == 0 or len(sandbox.requests(mark)) > before:
            assert time.monotonic() < until
            before = len(sandbox.requests(mark))
            time.sleep(seconds / 4)
        yield process
        process.join(30)
        assert process.exitcode == 0


def pushed_by_a_person(repository: str, clone: Path, path: str, text: str) -> str:
    """Add text to a file, as people do, and return the commit."""
    subprocess.run(["git", "clone", "-q", repository, str(clone)], check=True)
    (clone / path).parent.mkdir(parents=True, exist_ok=True)
    with (clone / path).open("a", encoding="utf-8") as file:
        file.write(text)
    git(str(clone), "add", "-A")
    git(str(clone), "commit", "-qm", "By hand")
    git(str(clone), "push", "-q")
    return git(str(clone), "rev-parse", "HEAD").strip()


def test_a_second_pass_does_nothing_and_says_so(clean_sandbox: Sandbox, projects: Path) -> None:
    with held_up(clean_sandbox, LAST_CHANGE):
        before, mark = commits(clean_sandbox), clean_sandbox.mark()
        second = cycle_of(clean_sandbox).run()
        assert second.problems == (BUSY,)
        assert (second.changes, second.commits, second.exit_code) == (0, (), 1)
        assert not any(each.wrote for each in clean_sandbox.requests(mark) if each.system == "postgres")
        assert commits(clean_sandbox) == before
    assert settle_at_once(clean_sandbox).exit_code == 0


def test_who_waits_for_another_pass_is_told_so(clean_sandbox: Sandbox) -> None:
    cycle, said = cycle_of(clean_sandbox), list[str]()
    with closing(History.writing(cycle.sections, KINDS)) as another:
        assert another.alone
        clock = iter((0.0, 0.5, 2.0)).__next__
        run_once(
            cycle,
            wait=parse_duration("1s"),
            progress=Steps(said.append),
            sleep=lambda seconds: None,
            clock=clock,
        )
    assert said[-1] == "looking again in 0.5s: waiting for another pass to end"


def test_a_pass_that_lost_its_lock_pushes_nothing(clean_sandbox: Sandbox, projects: Path) -> None:
    with held_up(clean_sandbox, LAST_CHANGE):
        before = commits(clean_sandbox)
        with psycopg.connect(clean_sandbox.environment()["DATABASE_URL"]) as database:
            database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            )
    assert commits(clean_sandbox) == before
    result = settle_at_once(clean_sandbox)
    assert [each.status for each in result.reports] == ["waiting_auth"]


def test_a_pass_that_lost_its_lock_begins_no_further_change(clean_sandbox: Sandbox, projects: Path) -> None:
    merge(clean_sandbox, projects, widgets=WIDGETS)
    begun: list[str] = []

    def lose_the_lock(change: Change) -> None:
        begun.append(change.slug)
        with psycopg.connect(clean_sandbox.environment()["DATABASE_URL"]) as database:
            database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            )

    result = cycle_of(clean_sandbox).run(announce=lose_the_lock)
    assert len(begun) == 1
    assert result.exit_code == 1
    assert settle_at_once(clean_sandbox).exit_code == 0


def test_no_commit_of_another_writer_is_lost(clean_sandbox: Sandbox, projects: Path, tmp_path: Path) -> None:
    environment = clean_sandbox.environment()
    config, manifests = environment["CONFIG_REPOSITORY"], environment["MANIFESTS_REPOSITORY"]
    with held_up(clean_sandbox, LAST_CHANGE):
        theirs = {
            config: pushed_by_a_person(config, tmp_path / "one", "NOTES.md", "Mine.\n"),
            manifests: pushed_by_a_person(
                manifests, tmp_path / "two", "k8s/base/kustomization.yaml", "# theirs, at the end\n"
            ),
        }
    for repository, commit in theirs.items():
        git(repository, "merge-base", "--is-ancestor", commit, "main")
        assert git(repository, "rev-list", "--count", f"{commit}..main").strip() == "1"
    assert git(config, "show", "main:NOTES.md") == "Mine.\n"
    text = git(manifests, "show", "main:k8s/base/kustomization.yaml")
    assert text.endswith("# theirs, at the end\n")
    assert "envs/acme-gears" in text
    assert settle_at_once(clean_sandbox).exit_code == 0


def test_a_project_whose_file_changed_meanwhile_waits_for_the_next_pass(
    clean_sandbox: Sandbox, projects: Path
) -> None:
    merge(clean_sandbox, projects, widgets=WIDGETS)
    with held_up(clean_sandbox, LAST_CHANGE):
        merge(clean_sandbox, projects, gears=f"{GEARS}suspend: true\n")
    config = clean_sandbox.environment()["CONFIG_REPOSITORY"]
    assert git(config, "ls-tree", "--name-only", "main", "status/project/").split() == [
        "status/project/acme-widgets.yaml"
    ]
    assert environments(clean_sandbox) == ["acme-widgets"]
    result = settle_at_once(clean_sandbox)
    assert {each.slug: each.status for each in result.reports} == {
        "acme-gears": Status.SUSPENDED,
        "acme-widgets": Status.COMPLETED,
    }
    assert status(clean_sandbox, "acme-widgets")["status"] == "completed"


def test_a_project_whose_file_went_meanwhile_gets_no_environment_and_is_reported_as_removed(
    clean_sandbox: Sandbox, projects: Path, tmp_path: Path
) -> None:
    merge(clean_sandbox, projects, widgets=WIDGETS)
    someone = person(clean_sandbox, tmp_path / "clone")
    with held_up(clean_sandbox, LAST_CHANGE):
        someone.write({"projects/gears.yaml": None})
    assert environments(clean_sandbox) == ["acme-widgets"]
    result = settle_at_once(clean_sandbox)
    assert {each.slug: each.status for each in result.reports} == {
        "acme-gears": Status.OFFBOARDING,
        "acme-widgets": Status.COMPLETED,
    }
    assert status(clean_sandbox, "acme-gears")["resources"]["project-board"]["outputs"]


def test_a_status_that_is_left_out_is_told(clean_sandbox: Sandbox, projects: Path) -> None:
    edits = [lambda: merge(clean_sandbox, projects, gears=f"{GEARS}suspend: true\n")]
    result = cycle_of(clean_sandbox).run(announce=lambda change: edits.pop()() if edits else None)
    assert result.problems == (
        "project/acme-gears: projects/gears.yaml changed meanwhile; the next pass sees the change",
    )


def environments(sandbox: Sandbox) -> list[str]:
    """Return the slugs that have a folder in the manifest repository."""
    repository = sandbox.environment()["MANIFESTS_REPOSITORY"]
    return git(repository, "ls-tree", "--name-only", "main:k8s/base/envs").split()
