"""A server that refuses one project's files refuses those alone: every other project goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.faces.cli.options import made_outside
from reconciler.kinds import KINDS
from reconciler.model.outcome import Condition
from reconciler.sandbox.supervisor import Sandbox
from tests.support.git_server import git as plain_git
from tests.support.reconciling import cycle_of, git, merge, settle_at_once, status
from tests.support.remote_git import PASSWORD, over_http, person
from tests.support.verdicts import of

SKIPPING = "repoOwner: acme\nrepoName: {name}\nskipAuth: true\n"
NAMES = ("bolts", "gears", "nuts", "widgets")
OTHERS = [name for name in NAMES if name != "gears"]
HOOK = """#!/bin/sh
while read old new ref; do
  for path in $(git diff-tree -r --name-only $old $new); do
    case "$path" in {pattern}) echo "policy 17 is violated" >&2; exit 1;; esac
  done
done
"""


@contextmanager
def refusing(repository: str, pattern: str) -> Iterator[None]:
    hook = Path(repository) / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(HOOK.format(pattern=pattern), encoding="utf-8")
    hook.chmod(0o755)
    try:
        yield
    finally:
        hook.unlink()


@pytest.fixture
def asked(clean_sandbox: Sandbox, tmp_path: Path) -> Sandbox:
    merge(clean_sandbox, tmp_path / "projects", **{name: SKIPPING.format(name=name) for name in NAMES})
    return clean_sandbox


def test_refused_manifests_are_that_projects(asked: Sandbox) -> None:
    with over_http(asked) as http:
        with refusing(asked.environment()["MANIFESTS_REPOSITORY"], "k8s/base/envs/acme-gears/*"):
            result = settle_at_once(asked, **http)
            assert result.exit_code == 1
            assert {name for name, of_it in of(result, Condition.ERROR).items() if of_it} == {"acme-gears"}
            assert {status(asked, f"acme-{name}")["status"] for name in OTHERS} == {"completed"}
            said = status(asked, "acme-gears")["resources"]["manifests"]
            assert "policy 17 is violated" in said["reason"]
            assert "what it refuses has to be mended" in said["remedy"]
        assert settle_at_once(asked, **http).exit_code == 0
    assert status(asked, "acme-gears")["status"] == "completed"


def test_a_refused_status_file_is_told_and_all_others_are_written(asked: Sandbox) -> None:
    with (
        over_http(asked) as http,
        refusing(asked.environment()["CONFIG_REPOSITORY"], "status/*/acme-gears.yaml"),
    ):
        result = settle_at_once(asked, **http)
        assert result.exit_code == 1
        (problem,) = result.problems
        assert problem.startswith("project/acme-gears: ")
        assert "policy 17 is violated" in problem
        assert {status(asked, f"acme-{name}")["status"] for name in OTHERS} == {"completed"}


def test_in_one_repository_a_status_says_that_its_manifests_are_refused(
    clean_sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "projects").mkdir()
    files = {f"projects/{name}.yaml": SKIPPING.format(name=name) for name in NAMES}
    for path, text in files.items():
        (tmp_path / path).write_text(text)
    made_outside(clean_sandbox, KINDS, tmp_path / "projects")
    person(clean_sandbox, tmp_path / "clone", "MANIFESTS_REPOSITORY").write(dict(files))
    repository = clean_sandbox.environment()["MANIFESTS_REPOSITORY"]
    with over_http(clean_sandbox) as http:
        one = {
            **http,
            "CONFIG_REPOSITORY": http["MANIFESTS_REPOSITORY"],
            "CONFIG_REPOSITORY_TOKEN": PASSWORD,
        }
        with refusing(repository, "k8s/base/envs/acme-gears/*"):
            result = cycle_of(clean_sandbox, **one).run()
        assert of(result, Condition.ERROR)["acme-gears"] == {"manifests"}
        assert "policy 17 is violated" in git(repository, "show", "main:status/project/acme-gears.yaml")
        tree = plain_git(Path(repository), "ls-tree", "--name-only", "main:k8s/base/envs").split()
        assert {f"acme-{name}" for name in OTHERS} <= set(tree)
        assert "acme-gears" not in tree
        assert settle_at_once(clean_sandbox, **one).exit_code == 0
