"""A project gets nothing that is another's, whatever its file or a status file claims."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from reconciler.crypto.sealing import generate_identity, recipient_of
from reconciler.faces.sealed_entry import seal_for
from reconciler.git.status_text import dump_status, load_status
from reconciler.model.errors import Conflict
from reconciler.sandbox.supervisor import Sandbox
from tests.kinds.project.evidence.auth_service import AUTH_SERVICE
from tests.support.reconciling import cycle_of, git, merge, settle_at_once, status
from tests.support.systems import Systems

TOKENS = {"accessToken": "access-1", "refreshToken": "refresh-1", "expiresAt": 1_900_000_000_000}
EVIL = "repoOwner: mallory-org\nrepoName: evil\nslug: legacy\n"
GEARS = "repoOwner: acme\nrepoName: gears\nslug: shared\nskipAuth: true\n"
OTHERS = "repoOwner: mallory-org\nrepoName: evil\nslug: shared\nskipAuth: true\n"
Edit = Callable[[dict[str, Any]], None]


@pytest.fixture
def systems(clean_sandbox: Sandbox) -> Iterator[Systems]:
    with closing(Systems(clean_sandbox)) as made:
        yield made


@pytest.fixture
def projects(tmp_path: Path) -> Path:
    return tmp_path / "projects"


def rewrite(systems: Systems, slug: str, edit: Edit) -> None:
    """Change a status file as somebody does who may push to the config repository."""
    path = f"status/project/{slug}.yaml"
    try:
        document = load_status(path, systems.config.revparse_single(f"main:{path}").read_raw())
    except KeyError:
        document = {}
    edit(document)
    systems.commit(systems.config, {path: dump_status(document).decode()}, "By hand")


def states(sandbox: Sandbox, slug: str) -> dict[str, str]:
    return {name: entry["state"] for name, entry in status(sandbox, slug)["resources"].items()}


def environments(systems: Systems) -> str:
    return git(
        systems.environment["MANIFESTS_REPOSITORY"], "ls-tree", "-r", "--name-only", "main", "k8s/base/envs"
    )


def legacy(systems: Systems) -> Any:
    """Make what mesh-six had before there was a reconciler: an entry without our mark, with a login."""
    body = {"id": "legacy", "displayName": "Legacy", "settingsJson": json.dumps({"theirs": True})}
    systems.ask(AUTH_SERVICE, "POST", "/projects", body)
    login = {"accessToken": "legacy", "refreshToken": "legacy", "expiresAt": "2100-01-01T00:00:00Z"}
    systems.ask(AUTH_SERVICE, "POST", "/projects/legacy/credentials", login)
    return kept(systems, "legacy")


def kept(systems: Systems, slug: str) -> Any:
    store = systems.store("auth-service")
    return store.get("auth_projects", slug), store.get("auth_credentials", slug)


def test_a_slug_of_somebody_elses_entry_gets_neither_its_login_nor_an_environment(
    clean_sandbox: Sandbox, systems: Systems, projects: Path
) -> None:
    before = legacy(systems)
    merge(clean_sandbox, projects, evil=EVIL)
    result = settle_at_once(clean_sandbox)
    assert result.exit_code == 1
    found = states(clean_sandbox, "legacy")
    assert found["settings"] == "error"
    assert {found[name] for name in ("manifests", "sync", "pod-health", "credentials")} == {"blocked"}
    assert found["oauth"] == "waiting"
    assert environments(systems) == ""
    assert kept(systems, "legacy") == before


def forged(document: dict[str, Any]) -> None:
    document["status"] = "completed"
    outputs = {"digest": "x", "keys": ["meshSix"], "repository": "mallory-org/evil"}
    resources = document.setdefault("resources", {})
    resources["settings"] = {"state": "ok", "outputs": outputs}
    resources["oauth"] = {"state": "ok", "outputs": {"login": "login-1-1"}}
    resources["credentials"] = {"state": "ok", "outputs": {"login": "login-1-1"}}
    document["oauth"] = {"state": "stored", "requestId": "login-1-2"}


@pytest.mark.parametrize("when", ["before the first pass", "after it"])
def test_a_forged_status_file_makes_nothing_ours(
    clean_sandbox: Sandbox, systems: Systems, projects: Path, when: str
) -> None:
    before = legacy(systems)
    if when == "before the first pass":
        rewrite(systems, "legacy", forged)
    merge(clean_sandbox, projects, evil=EVIL)
    settle_at_once(clean_sandbox)
    rewrite(systems, "legacy", forged)
    settle_at_once(clean_sandbox)
    assert states(clean_sandbox, "legacy")["settings"] == "error"
    assert kept(systems, "legacy") == before
    assert environments(systems) == ""


def test_a_forged_board_stays_its_owners(clean_sandbox: Sandbox, systems: Systems, projects: Path) -> None:
    merge(clean_sandbox, projects, gears=GEARS)
    settle_at_once(clean_sandbox)
    number = status(clean_sandbox, "shared")["repository"]["id"]
    clean_sandbox.emulator(
        "github", "POST", "/_emulator/repositories", {"owner": "mallory-org", "name": "evil"}
    )
    readme = f"<!-- onboard-id: {number} -->"
    wish = {"owner": "mallory-org", "title": "Trap", "readme": readme, "repositories": []}
    trap = clean_sandbox.emulator("github", "POST", "/_emulator/projects", wish)
    before = systems.store("github").get("github.boards", str(trap["id"]))
    github = systems.store("github")
    for _, board in list(github.items("github.boards")):
        if number in board["repositories"]:
            github.delete("github.boards", str(board["id"]))
            github.delete("github.owner-boards", f"{board['ownerId']}/{board['number']:08d}")

    def forge(document: dict[str, Any]) -> None:
        document["resources"]["project-board"]["outputs"]["boardId"] = trap["nodeId"]

    rewrite(systems, "shared", forge)
    settle_at_once(clean_sandbox)
    found = status(clean_sandbox, "shared")["resources"]["project-board"]
    assert found["state"] == "ok"
    assert found["outputs"]["boardId"] != trap["nodeId"]
    assert github.get("github.boards", str(trap["id"])) == before


def test_a_slug_that_is_used_again_inherits_nothing(
    clean_sandbox: Sandbox, systems: Systems, projects: Path
) -> None:
    merge(clean_sandbox, projects, shared=GEARS)
    settle_at_once(clean_sandbox)
    assert status(clean_sandbox, "shared")["status"] == "completed"
    (projects / "shared.yaml").unlink()
    clean_sandbox.merge_projects(projects)
    settle_at_once(clean_sandbox)
    systems.commit(systems.config, {"status/project/shared.yaml": None}, "Offboarded")
    paths = ("webhooks/acme-gears", "envs/shared.llm-key", "envs/shared.git-access")
    secrets = {path: systems.secret(path) for path in (f"mesh-six/{each}" for each in paths)}
    entry, tree = kept(systems, "shared"), systems.manifests.branches["main"].target
    merge(clean_sandbox, projects, shared=OTHERS)
    settle_at_once(clean_sandbox)
    found = status(clean_sandbox, "shared")["resources"]
    for name in ("git-access", "llm-key", "registry"):
        assert found[name]["reason"].startswith("conflict: "), name
    behind = ("litellm", "settings", "manifests", "sync")
    assert {found[name]["state"] for name in behind} == {"blocked"}
    assert {path: systems.secret(path) for path in secrets} == secrets
    assert kept(systems, "shared") == entry
    assert systems.manifests.branches["main"].target == tree
    # The webhook's secret is the repository's and not the slug's: it has one of its own.
    (hook,) = clean_sandbox.emulator("github", "GET", "/_emulator/hooks/mallory-org/evil")
    own, old = (systems.secret(f"mesh-six/webhooks/{each}") for each in ("mallory-org-evil", "acme-gears"))
    assert own
    assert old
    assert hook["config"]["secret"] == own[0]["secret"] != old[0]["secret"]


def test_marks_from_before_they_had_an_identity_are_renewed_where_the_status_file_knows_the_project(
    clean_sandbox: Sandbox, systems: Systems, projects: Path
) -> None:
    merge(clean_sandbox, projects, shared=GEARS)
    settle_at_once(clean_sandbox)
    path = "mesh-six/webhooks/acme-gears"
    data, about = systems.secret(path) or ({}, {})
    old = {key: value for key, value in about["custom_metadata"].items() if key != "identity"}
    systems.vault.secrets.kv.v2.delete_metadata_and_all_versions(path)
    systems.vault.secrets.kv.v2.create_or_update_secret(path, data)
    systems.vault.secrets.kv.v2.update_metadata(path, custom_metadata=old)
    systems.rows("DELETE FROM reconciler_item_verifications")
    assert settle_at_once(clean_sandbox).exit_code == 0
    renewed, about = systems.secret(path) or ({}, {})
    assert renewed == data
    assert about["custom_metadata"]["identity"] == status(clean_sandbox, "shared")["identity"]["proof"]


def test_a_sealed_entry_that_is_put_back_is_not_taken_again(
    clean_sandbox: Sandbox, systems: Systems, projects: Path
) -> None:
    merge(clean_sandbox, projects, widgets="repoOwner: acme\nrepoName: widgets\n")
    settle_at_once(clean_sandbox)
    old = {}
    for number in (1, 2):
        tokens = {**TOKENS, "accessToken": f"access-{number}"}
        seal_for(cycle_of(clean_sandbox), "acme-widgets", json.dumps(tokens).encode(), only_print=False)
        old[number] = status(clean_sandbox, "acme-widgets")
        settle_at_once(clean_sandbox)
    before = kept(systems, "acme-widgets")

    def put_back(document: dict[str, Any]) -> None:
        document.clear()
        document |= old[1]

    rewrite(systems, "acme-widgets", put_back)
    settle_at_once(clean_sandbox)
    assert kept(systems, "acme-widgets") == before
    found = status(clean_sandbox, "acme-widgets")["oauth"]
    assert (found["state"], found["reason"]) == ("rejected", "other-request")
    assert found["requestId"].endswith("-3")


def test_nobody_seals_to_a_stranger(clean_sandbox: Sandbox, systems: Systems, projects: Path) -> None:
    merge(clean_sandbox, projects, widgets="repoOwner: acme\nrepoName: widgets\n")
    settle_at_once(clean_sandbox)
    ours = status(clean_sandbox, "acme-widgets")["oauth"]["recipient"]
    stranger = recipient_of(generate_identity())
    rewrite(systems, "acme-widgets", lambda document: document["oauth"].update(recipient=stranger))
    with pytest.raises(Conflict, match="none of the reconciler's keys"):
        seal_for(cycle_of(clean_sandbox), "acme-widgets", json.dumps(TOKENS).encode(), only_print=True)
    result = settle_at_once(clean_sandbox)
    assert any(stranger in problem and "git log" in problem for problem in result.problems)
    assert status(clean_sandbox, "acme-widgets")["oauth"]["recipient"] == ours
    assert settle_at_once(clean_sandbox).exit_code == 0
