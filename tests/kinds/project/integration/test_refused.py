"""What a server will refuse for ever is an error that says what a person must do, and nothing is awaited."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from reconciler.crypto import ssh_keys
from reconciler.sandbox.supervisor import Sandbox
from tests.support.reconciling import cycle_of, merge, settle_at_once, status
from tests.support.systems import Systems

GEARS = "repoOwner: acme\nrepoName: gears\nskipAuth: true\n"


@pytest.fixture
def systems(clean_sandbox: Sandbox) -> Iterator[Systems]:
    with closing(Systems(clean_sandbox)) as made:
        yield made


def refused(sandbox: Sandbox, resource: str) -> dict[str, Any]:
    """Run passes as --wait does, and return what became of a resource that cannot come right."""
    settle_at_once(sandbox)
    mark = sandbox.mark()
    again = cycle_of(sandbox).run()
    assert again.again_in is None
    assert again.exit_code == 1
    assert len([each for each in sandbox.requests(mark) if each.wrote and each.system == "github"]) <= 1
    found = status(sandbox, "acme-gears")
    entry: dict[str, Any] = found["resources"][resource]
    assert entry["state"] == "error"
    assert entry["remedy"]
    assert found["status"] == "failed"
    return entry


def test_a_deploy_key_of_another_repository(clean_sandbox: Sandbox, systems: Systems, tmp_path: Path) -> None:
    pair = ssh_keys.generate()
    systems.vault.secrets.kv.v2.create_or_update_secret(
        "mesh-six/envs/acme-gears.git-access", {"privateKey": pair.private.get_secret_value()}
    )
    clean_sandbox.emulator("github", "POST", "/_emulator/repositories", {"owner": "acme", "name": "other"})
    wish = {"repository": "acme/other", "key": pair.public, "title": "theirs", "readOnly": False}
    clean_sandbox.emulator("github", "POST", "/_emulator/keys", wish)
    merge(clean_sandbox, tmp_path / "projects", gears=f"{GEARS}adopt: true\n")
    entry = refused(clean_sandbox, "git-access")
    assert "key is already in use" in entry["reason"]
    assert "of one repository only" in entry["remedy"]
    found = status(clean_sandbox, "acme-gears")["resources"]
    assert {found[name]["state"] for name in ("manifests", "sync", "pod-health")} == {"blocked"}


def test_a_webhook_too_many(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    merge(clean_sandbox, tmp_path / "projects", gears=GEARS)
    for number in range(20):
        config = {"url": f"https://theirs.example/{number}", "content_type": "json"}
        wish = {"repository": "acme/gears", "events": ["push"], "config": config}
        clean_sandbox.emulator("github", "POST", "/_emulator/hooks", wish)
    entry = refused(clean_sandbox, "webhook")
    assert "more than 20" in entry["reason"]
    assert "remove webhooks" in entry["remedy"]


def test_a_field_in_another_letter_case(clean_sandbox: Sandbox, systems: Systems, tmp_path: Path) -> None:
    merge(clean_sandbox, tmp_path / "projects", gears=GEARS)
    settle_at_once(clean_sandbox)
    github = systems.store("github")
    for key, board in list(github.items("github.boards")):
        for each in board["fields"]:
            if each["name"] == "Priority":
                each["name"] = "priority"
        github.put("github.boards", key, board)
    entry = refused(clean_sandbox, "project-board")
    assert "a field priority" in entry["reason"]
    assert "rename that field to Priority" in entry["remedy"]
