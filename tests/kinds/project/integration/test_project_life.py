"""A project's file and status file through what people do to them: rename, suspend, remove, reformat."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import hvac
import pytest
import yaml

from reconciler.engine.result import PassResult
from reconciler.faces.cli.options import made_outside
from reconciler.kinds import KINDS
from reconciler.kinds.project.manifests.devcontainer_text import DEFAULT_PATH
from reconciler.model.outcome import Condition, Status
from reconciler.sandbox.supervisor import Sandbox
from tests.support.reconciling import commits, cycle_of, git, merge, settle_at_once, status
from tests.support.remote_git import Person, person
from tests.support.verdicts import of

WIDGETS = "repoOwner: acme\nrepoName: widgets\nskipAuth: true\n"
GEARS = "repoOwner: acme\nrepoName: gears\nskipAuth: true\n"
FILE = "projects/widgets.yaml"
STATUS = "status/project/acme-widgets.yaml"
OLD_STATUS = "status/acme-widgets.yaml"


@pytest.fixture
def someone(clean_sandbox: Sandbox, tmp_path: Path) -> Person:
    """A person, once two projects are completed."""
    merge(clean_sandbox, tmp_path / "projects", widgets=WIDGETS, gears=GEARS)
    assert settle_at_once(clean_sandbox).exit_code == 0
    return person(clean_sandbox, tmp_path / "clone")


def rename(sandbox: Sandbox, name: str) -> None:
    sandbox.emulator("github", "PATCH", "/_emulator/repositories/acme/widgets", {"name": name})


def delete(sandbox: Sandbox) -> None:
    sandbox.emulator("github", "PATCH", "/_emulator/repositories/acme/widgets", {"deleted": True})


def statuses(result: PassResult) -> dict[str, str]:
    return {each.slug: each.status for each in result.reports}


def wrote(sandbox: Sandbox, since: int) -> list[Any]:
    return [request for request in sandbox.requests(since) if request.wrote and request.system != "postgres"]


def test_a_changed_slug_is_an_error_that_names_the_old_one(clean_sandbox: Sandbox, someone: Person) -> None:
    before, mark = status(clean_sandbox, "acme-widgets"), clean_sandbox.mark()
    someone.write({FILE: WIDGETS + "slug: other\n"})
    result = cycle_of(clean_sandbox).run()
    assert result.exit_code == 1
    assert [(error.path, error.remedy) for error in result.broken] == [(FILE, "write `slug: acme-widgets`")]
    assert statuses(result) == {"acme-widgets": Status.COMPLETED, "acme-gears": Status.COMPLETED}
    assert wrote(clean_sandbox, mark) == []
    # The same with the file renamed too, which only the repository's number tells.
    someone.write({FILE: None, "projects/moved.yaml": WIDGETS + "slug: other\n"})
    result = cycle_of(clean_sandbox).run()
    (outcome,) = (each for report in result.reports if report.slug == "other" for each in report.outcomes[:1])
    assert outcome.condition is Condition.ERROR
    assert outcome.remedy == "write slug: acme-widgets"
    someone.write({"projects/moved.yaml": WIDGETS + "slug: acme-widgets\n"})
    assert settle_at_once(clean_sandbox).exit_code == 0
    after = status(clean_sandbox, "acme-widgets")
    assert after["source"] == "projects/moved.yaml"
    assert after["resources"] == before["resources"]


def test_a_renamed_repository_is_recognised_by_its_number(clean_sandbox: Sandbox, someone: Person) -> None:
    rename(clean_sandbox, "sprockets")
    mark = clean_sandbox.mark()
    result = cycle_of(clean_sandbox).run()
    assert result.exit_code == 0
    # The receiver looks a secret up by the new name from now on; nothing else follows before the file does.
    written = {(each.system, re.sub(r"/\d+$", "/N", each.path)) for each in wrote(clean_sandbox, mark)}
    assert written == {
        ("vault", "/v1/secret/data/mesh-six/webhooks/acme-sprockets"),
        ("vault", "/v1/secret/metadata/mesh-six/webhooks/acme-sprockets"),
        ("github", "/repos/acme/sprockets/hooks/N"),
    }
    note = status(clean_sandbox, "acme-widgets")["resources"]["validate-repo"]["reason"]
    assert "acme/sprockets" in note
    someone.write({FILE: WIDGETS.replace("widgets", "sprockets")})
    result = cycle_of(clean_sandbox).run()
    assert result.exit_code == 1
    someone.write({FILE: WIDGETS.replace("widgets", "sprockets") + "slug: acme-widgets\n"})
    assert settle_at_once(clean_sandbox).exit_code == 0
    assert status(clean_sandbox, "acme-widgets")["status"] == "completed"


def test_a_repository_made_again_is_another_one(
    clean_sandbox: Sandbox, someone: Person, tmp_path: Path
) -> None:
    delete(clean_sandbox)
    made_outside(clean_sandbox, KINDS, tmp_path / "projects")
    mark = clean_sandbox.mark()
    result = cycle_of(clean_sandbox).run()
    assert result.exit_code == 1
    assert statuses(result) == {"acme-widgets": Status.FAILED, "acme-gears": Status.COMPLETED}
    assert (
        "repository acme/widgets is another one than before" in status(clean_sandbox, "acme-widgets")["next"]
    )
    assert wrote(clean_sandbox, mark) == []
    # The remedy, to start afresh; the registry knows a repository by its name and asks for more.
    someone.write({FILE: None, "projects/again.yaml": WIDGETS + "slug: again\nadopt: true\n"})
    result = settle_at_once(clean_sandbox)
    assert result.exit_code == 0
    assert statuses(result)["again"] is Status.COMPLETED


def test_a_number_that_somebody_edited_is_mended_by_deleting_the_status_file(
    clean_sandbox: Sandbox, someone: Person
) -> None:
    before = status(clean_sandbox, "acme-widgets")
    text = someone.read(STATUS)
    proof = f'proof: "{before["identity"]["proof"]}"\n'
    assert proof in text
    someone.write({STATUS: text.replace(proof, 'proof: "7"\n')})
    assert cycle_of(clean_sandbox).run().exit_code == 1
    assert f"delete {STATUS}" in status(clean_sandbox, "acme-widgets")["next"]
    someone.write({STATUS: None})
    assert settle_at_once(clean_sandbox).exit_code == 0
    after = status(clean_sandbox, "acme-widgets")
    assert (after["status"], after["identity"]) == ("completed", before["identity"])
    assert after["repository"] == before["repository"]
    assert {
        name: each["outputs"] for name, each in after["resources"].items() if "outputs" in each
    }.keys() >= {"project-board", "registry"}


def as_before_kinds(someone: Person) -> None:
    """Put the status file where, and as, it was before there were kinds."""
    text, count = re.subn(r"^identity:\n(?:  .*\n)+", "", someone.read(STATUS), flags=re.MULTILINE)
    assert count == 1
    someone.write({STATUS: None, OLD_STATUS: text})


def test_a_status_file_from_before_there_were_kinds_is_moved_with_all_it_says(
    clean_sandbox: Sandbox, someone: Person
) -> None:
    before = someone.read(STATUS)
    as_before_kinds(someone)
    mark = clean_sandbox.mark()
    result = cycle_of(clean_sandbox).run()
    assert (result.exit_code, result.changes, len(result.commits)) == (0, 0, 1)
    assert wrote(clean_sandbox, mark) == []
    assert someone.read(STATUS) == before
    assert not (someone.folder / OLD_STATUS).exists()
    assert cycle_of(clean_sandbox).run().commits == ()


def test_another_repository_is_told_by_a_status_file_from_before_too(
    clean_sandbox: Sandbox, someone: Person, tmp_path: Path
) -> None:
    as_before_kinds(someone)
    delete(clean_sandbox)
    made_outside(clean_sandbox, KINDS, tmp_path / "projects")
    mark = clean_sandbox.mark()
    assert cycle_of(clean_sandbox).run().exit_code == 1
    assert (
        "repository acme/widgets is another one than before" in status(clean_sandbox, "acme-widgets")["next"]
    )
    assert wrote(clean_sandbox, mark) == []


def test_suspended_is_left_alone_and_goes_on_afterwards(clean_sandbox: Sandbox, someone: Person) -> None:
    before = status(clean_sandbox, "acme-widgets")
    someone.write({FILE: WIDGETS + "suspend: true\nresourceLimits: {memoryLimit: 9Gi}\n"})
    mark = clean_sandbox.mark()
    result = cycle_of(clean_sandbox).run()
    assert result.exit_code == 0
    assert statuses(result)["acme-widgets"] is Status.SUSPENDED
    said = status(clean_sandbox, "acme-widgets")
    assert said["status"] == "suspended"
    assert said["resources"] == before["resources"]
    assert wrote(clean_sandbox, mark) == []
    assert cycle_of(clean_sandbox).run().commits == ()
    someone.write({FILE: WIDGETS})
    assert settle_at_once(clean_sandbox).exit_code == 0
    assert status(clean_sandbox, "acme-widgets") == before


def test_a_removed_file_disables_everything_and_may_come_back(
    clean_sandbox: Sandbox, someone: Person
) -> None:
    before = status(clean_sandbox, "acme-widgets")
    someone.write({FILE: None})
    result = settle_at_once(clean_sandbox)
    assert result.exit_code == 0
    assert statuses(result) == {"acme-widgets": Status.OFFBOARDING, "acme-gears": Status.COMPLETED}
    said = status(clean_sandbox, "acme-widgets")
    assert said["status"] == "offboarding"
    assert "Put the file of acme-widgets back" in said["next"]
    assert said["removal"]["state"] == "disabled"
    assert said["resources"].keys() == before["resources"].keys()
    heads = commits(clean_sandbox)
    mark = clean_sandbox.mark()
    assert cycle_of(clean_sandbox).run().commits == ()
    assert wrote(clean_sandbox, mark) == []
    assert commits(clean_sandbox) == heads
    someone.write({FILE: WIDGETS})
    assert settle_at_once(clean_sandbox).exit_code == 0
    after = status(clean_sandbox, "acme-widgets")
    assert "removal" not in after
    assert {name: each["state"] for name, each in after["resources"].items()} == {
        name: each["state"] for name, each in before["resources"].items()
    }
    assert after["status"] == before["status"]


def test_all_files_vanished_and_history_rewritten_loses_nothing(
    clean_sandbox: Sandbox, someone: Person
) -> None:
    git(str(someone.folder), "checkout", "-q", "--orphan", "anew")
    shutil.rmtree(someone.folder / "projects")
    git(str(someone.folder), "add", "-A")
    git(str(someone.folder), "commit", "-qm", "anew")
    git(str(someone.folder), "push", "-qf", "origin", "anew:main")
    mark = clean_sandbox.mark()
    result = cycle_of(clean_sandbox).run()
    assert set(statuses(result).values()) == {Status.OFFBOARDING}
    assert wrote(clean_sandbox, mark) == []


@pytest.mark.parametrize("text", ["repoOwner: [\n", WIDGETS + "limits: 3\n", ""])
def test_a_broken_file_freezes_its_project_and_no_other(
    clean_sandbox: Sandbox, someone: Person, text: str
) -> None:
    before = status(clean_sandbox, "acme-widgets")
    someone.write({FILE: text, "projects/gears.yaml": GEARS + "resourceLimits: {memoryLimit: 9Gi}\n"})
    result = settle_at_once(clean_sandbox)
    assert result.exit_code == 1
    assert [error.path for error in result.broken] == [FILE]
    assert statuses(result) == {"acme-widgets": Status.COMPLETED, "acme-gears": Status.COMPLETED}
    assert status(clean_sandbox, "acme-widgets") == before


def test_a_second_file_for_one_repository_is_refused_and_the_first_goes_on(
    clean_sandbox: Sandbox, someone: Person
) -> None:
    before = status(clean_sandbox, "acme-widgets")
    twice = "repoOwner: ACME\nrepoName: Widgets\nslug: twice\n"
    someone.write({"projects/twice.yaml": twice, FILE: WIDGETS + "displayName: Mine\n"})
    result = settle_at_once(clean_sandbox)
    assert {error.path for error in result.broken} == {"projects/twice.yaml"}
    assert statuses(result) == {"acme-widgets": Status.COMPLETED, "acme-gears": Status.COMPLETED}
    after = status(clean_sandbox, "acme-widgets")
    assert after["resources"]["settings"]["outputs"] != before["resources"]["settings"]["outputs"]


def test_an_unreadable_status_file_is_an_error_and_never_overwritten(
    clean_sandbox: Sandbox, someone: Person
) -> None:
    good = someone.read(STATUS)
    bad = "<<<<<<< HEAD\n" + good
    someone.write({STATUS: bad, FILE: WIDGETS + "resourceLimits: {memoryLimit: 9Gi}\n"})
    mark = clean_sandbox.mark()
    result = cycle_of(clean_sandbox).run()
    assert result.exit_code == 1
    assert [error.path for error in result.broken] == [STATUS]
    assert wrote(clean_sandbox, mark) == []
    assert someone.read(STATUS) == bad
    someone.write({STATUS: good})
    assert settle_at_once(clean_sandbox).exit_code == 0


STYLES: list[dict[str, Any]] = [
    {"sort_keys": True},
    {"sort_keys": False, "default_style": '"'},
    {"sort_keys": False, "indent": 8, "width": 30},
    {"sort_keys": True, "default_flow_style": True},
    {"sort_keys": False, "explicit_start": True, "explicit_end": True, "allow_unicode": True},
]


class Careful(yaml.SafeDumper):
    """Quotes what only YAML 1.2 takes for a number: an option's id can look like 12e45678."""


Careful.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^[0-9]+e[0-9]+$"), list("0123456789"))


def test_a_status_file_in_the_format_of_another_tool_is_taken_as_it_is(
    clean_sandbox: Sandbox, someone: Person
) -> None:
    values = yaml.safe_load(someone.read(STATUS))
    for style in STYLES:
        someone.write({STATUS: yaml.dump(values, Dumper=Careful, **style)})
        mark = clean_sandbox.mark()
        result = cycle_of(clean_sandbox).run()
        assert result.exit_code == 0, style
        assert result.commits == (), style
        assert wrote(clean_sandbox, mark) == [], style


def test_a_project_that_changes_during_the_pass_is_left_out_of_its_commit(
    clean_sandbox: Sandbox, someone: Person
) -> None:
    someone.write({name: text + "resourceLimits: {memoryLimit: 9Gi}\n" for name, text in
                   {FILE: WIDGETS, "projects/gears.yaml": GEARS}.items()})  # fmt: skip
    before = status(clean_sandbox, "acme-widgets")
    changed: list[str] = []

    def meanwhile(change: Any) -> None:
        if not changed:
            changed.append(change.slug)
            someone.write({FILE: WIDGETS + "resourceLimits: {memoryLimit: 10Gi}\n"})

    cycle_of(clean_sandbox).run(announce=meanwhile)
    assert changed
    assert status(clean_sandbox, "acme-widgets") == before
    assert status(clean_sandbox, "acme-gears")["status"] == "waiting_sync"
    assert settle_at_once(clean_sandbox).exit_code == 0
    tree = git(
        clean_sandbox.environment()["MANIFESTS_REPOSITORY"],
        "show",
        "main:k8s/base/envs/acme-widgets/statefulset.yaml",
    )
    assert "10Gi" in tree


def test_storage_grows_and_never_shrinks(clean_sandbox: Sandbox, someone: Person) -> None:
    someone.write({FILE: WIDGETS + "resourceLimits: {storageWorktrees: 30Gi}\n"})
    assert settle_at_once(clean_sandbox).exit_code == 0
    manifests = commits(clean_sandbox)[1]
    someone.write({FILE: WIDGETS + "resourceLimits: {storageWorktrees: 10Gi}\n"})
    result = cycle_of(clean_sandbox).run()
    assert of(result, Condition.ERROR)["acme-widgets"] == {"manifests"}
    said = status(clean_sandbox, "acme-widgets")
    assert "has 30Gi, and the project file asks for 10Gi" in said["next"]
    assert commits(clean_sandbox)[1] == manifests
    someone.write({FILE: WIDGETS + "resourceLimits: {storageWorktrees: 30Gi}\n"})
    assert settle_at_once(clean_sandbox).exit_code == 0


def test_a_status_file_of_nonsense_harms_no_other_project(clean_sandbox: Sandbox, someone: Person) -> None:
    values = yaml.safe_load(someone.read(STATUS))
    values["resources"]["webhook"].update(state=["ok"], outputs=5)
    values["resources"]["registry"] = "fine"
    values.update(oauth={"state": {"a": 1}}, source=["a"], next={"x": []})
    someone.write({STATUS: yaml.dump(values, Dumper=Careful)})
    assert settle_at_once(clean_sandbox).exit_code == 0
    assert status(clean_sandbox, "acme-widgets")["status"] == "completed"


def without_llm_key(sandbox: Sandbox, name: str) -> None:
    environment = sandbox.environment()
    vault = hvac.Client(url=environment["VAULT_ADDR"], token=environment["VAULT_TOKEN"])
    vault.secrets.kv.v2.delete_metadata_and_all_versions(f"mesh-six/envs/acme-{name}.llm-key")
    vault.adapter.close()


def without_devcontainer(sandbox: Sandbox, name: str) -> None:
    environment = sandbox.environment()
    url = f"{environment['GITHUB_API_URL']}/repos/acme/{name}/contents/{DEFAULT_PATH}"
    headers = {"authorization": f"Bearer {environment['GITHUB_TOKEN']}"}
    sha = httpx.get(url, headers=headers).raise_for_status().json()["sha"]
    body = {"message": "Not needed", "sha": sha}
    httpx.request("DELETE", url, headers=headers, json=body).raise_for_status()


@pytest.mark.parametrize(
    ("resource", "lose"), [("llm-key", without_llm_key), ("devcontainer", without_devcontainer)]
)
def test_what_was_lost_and_made_again_changes_no_manifests_that_do_not_tell_of_it(
    clean_sandbox: Sandbox, tmp_path: Path, resource: str, lose: Callable[[Sandbox, str], None]
) -> None:
    # Without skipAuth the pod does not get the key.
    merge(clean_sandbox, tmp_path / "projects", pumps="repoOwner: acme\nrepoName: pumps\n")
    settle_at_once(clean_sandbox)
    manifests = commits(clean_sandbox)[1]
    lose(clean_sandbox, "pumps")
    result = cycle_of(clean_sandbox).run()
    assert resource in of(result, Condition.CHANGED)["acme-pumps"]
    assert {"manifests", "sync", "pod-health"} <= of(result, Condition.OK)["acme-pumps"]
    assert statuses(result) == {"acme-pumps": "waiting_auth"}
    assert commits(clean_sandbox)[1] == manifests
    assert cycle_of(clean_sandbox).run().commits == ()
