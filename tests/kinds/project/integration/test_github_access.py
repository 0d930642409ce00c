"""webhook and git-access against the emulator and a real Vault: the resulting hooks, keys and secrets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from reconciler.clients.vault import VaultWriter
from reconciler.crypto import ssh_keys
from reconciler.kinds.project import vault_paths
from reconciler.kinds.project.resources.git_access import GitAccess
from reconciler.kinds.project.resources.git_access import path as key_path
from reconciler.kinds.project.resources.webhook import Webhook
from reconciler.model.decision import Action, Failed, Needed, Settled, Skipped
from reconciler.model.errors import Denied
from reconciler.model.mark import Mark
from reconciler.model.observation import Remembered, Unknown
from tests.integration.conftest import VaultCorner
from tests.kinds.project.support.github import TOKEN, VALID, Stage, stage, target
from tests.support import servers

URL = "https://mesh-six.example/webhooks/github"
SLUG = "acme-widgets"
TITLE = "mesh-six env acme-widgets"
MARK = Mark("project", "acme-widgets", "1").words()


@pytest.fixture
def github(vault: VaultCorner) -> Iterator[Stage]:
    with stage() as made:
        made.settings["vault"] = {
            "address": vault.address,
            "mount": vault.mount,
            "token": servers.ROOT_TOKEN,
        }
        made.settings["webhook"] = {"url": URL, "events": ["issues", "push"]}
        yield made


@pytest.fixture
def vault_writer(github: Stage) -> Iterator[VaultWriter]:
    made = VaultWriter.connect(github.sections())
    yield made
    made.close()


def outputs(version: str = "1") -> dict[str, Any]:
    return {**VALID, "webhook-secret": {"version": version}}


def put_secret(vault: VaultWriter, text: str, cas: int) -> None:
    path, marks = f"{vault_paths.WEBHOOKS}/{SLUG}", MARK
    vault.write(path, {"secret": SecretStr(text)}, cas=cas, metadata=marks)


def hooks(github: Stage) -> list[Any]:
    found: list[Any] = github.does("GET", "hooks/acme/widgets")
    return found


def keys(github: Stage) -> list[Any]:
    found: list[Any] = github.rest("/repos/acme/widgets/keys")
    return found


def test_a_webhook_is_made_with_vaults_secret(github: Stage, vault_writer: VaultWriter) -> None:
    github.repository()
    put_secret(vault_writer, "first", 0)
    webhook = Webhook(github.sections())
    settled = github.settle(webhook, target(), outputs())
    assert isinstance(settled, Settled)
    (hook,) = hooks(github)
    assert hook["config"] == {
        "url": URL, "content_type": "json", "insecure_ssl": "0", "secret": "first",
    }  # fmt: skip
    assert (hook["events"], hook["active"]) == (["issues", "push"], True)
    writes = github.wire.writes
    assert github.settle(webhook, target(settled.outputs), outputs()) == settled
    assert github.settle(webhook, target(settled.outputs, verify=False), outputs()) == settled
    assert github.wire.writes == writes


def test_an_unverified_webhook_costs_no_request_of_its_own(github: Stage, vault_writer: VaultWriter) -> None:
    github.repository()
    put_secret(vault_writer, "first", 0)
    webhook = Webhook(github.sections())
    settled = github.settle(webhook, target(), outputs())
    assert isinstance(settled, Settled)
    github.wire.requests.clear()
    seen = github.observe(webhook, target(settled.outputs, verify=False))
    assert isinstance(seen[SLUG], Remembered)
    assert github.wire.requests == ["POST /graphql"]


def test_a_rotated_secret_is_written_though_nothing_was_read(
    github: Stage, vault_writer: VaultWriter
) -> None:
    github.repository()
    put_secret(vault_writer, "first", 0)
    webhook = Webhook(github.sections())
    settled = github.settle(webhook, target(), outputs())
    assert isinstance(settled, Settled)
    put_secret(vault_writer, "second", 1)
    again = github.settle(webhook, target(settled.outputs, verify=False), outputs("2"))
    assert isinstance(again, Settled)
    assert again.outputs["secretVersion"] == "2"
    (hook,) = hooks(github)
    assert hook["config"]["secret"] == "second"


def test_a_forgotten_webhook_is_adopted_and_written_once(github: Stage, vault_writer: VaultWriter) -> None:
    github.repository()
    put_secret(vault_writer, "first", 0)
    config = {"url": URL, "content_type": "json", "insecure_ssl": "0", "secret": "unknown"}
    wish = {"repository": "acme/widgets", "config": config, "events": ["push", "release"]}
    github.does("POST", "hooks", wish)
    webhook = Webhook(github.sections())
    decision = github.plan(webhook, target(), outputs())
    assert isinstance(decision, Needed)
    assert decision.change.action is Action.ADOPT
    settled = github.settle(webhook, target(), outputs())
    assert isinstance(settled, Settled)
    (hook,) = hooks(github)
    assert hook["config"]["secret"] == "first"
    assert hook["events"] == ["issues", "push", "release"]
    assert github.settle(webhook, target(settled.outputs), outputs()) == settled


def test_a_webhook_whose_status_cannot_be_kept_is_not_written_in_every_pass(
    github: Stage, vault_writer: VaultWriter
) -> None:
    github.repository()
    put_secret(vault_writer, "first", 0)
    webhook = Webhook(github.sections())
    settled = github.settle(webhook, target(), outputs())
    writes = github.wire.writes
    for _ in range(2):
        assert github.settle(webhook, target(), outputs()) == settled
    assert github.wire.writes == writes
    put_secret(vault_writer, "second", 1)
    assert isinstance(github.settle(webhook, target(), outputs("2")), Settled)
    (hook,) = hooks(github)
    assert hook["config"]["secret"] == "second"
    # Another webhook in its place never had the secret, whatever is noted.
    github.people.delete(
        f"/repos/acme/widgets/hooks/{hook['id']}", headers={"Authorization": f"Bearer {TOKEN}"}
    ).raise_for_status()
    wish = {
        "repository": "acme/widgets",
        "config": {**hook["config"], "secret": "x"},
        "events": ["push", "issues"],
    }
    github.does("POST", "hooks", wish)
    decision = github.plan(webhook, target(), outputs("2"))
    assert isinstance(decision, Needed)
    assert decision.change.summary.startswith("set secret")


def test_what_people_changed_is_put_right(github: Stage, vault_writer: VaultWriter) -> None:
    github.repository()
    put_secret(vault_writer, "first", 0)
    config = {"url": URL, "content_type": "form", "insecure_ssl": "1"}
    made = github.does(
        "POST",
        "hooks",
        {"repository": "acme/widgets", "config": config, "events": ["push"], "active": False},
    )
    remembered = {"hookId": made["id"], "url": URL, "events": ["push"], "secretVersion": "1"}
    webhook = Webhook(github.sections())
    decision = github.plan(webhook, target(remembered), outputs())
    assert isinstance(decision, Needed)
    assert "content type, TLS verification, active, events, secret" in decision.change.summary
    github.settle(webhook, target(remembered), outputs())
    (hook,) = hooks(github)
    assert hook["active"]
    assert hook["config"]["content_type"] == "json"
    assert hook["config"]["secret"] == "first"


def test_foreign_webhooks_survive(github: Stage, vault_writer: VaultWriter) -> None:
    github.repository()
    put_secret(vault_writer, "first", 0)
    config = {"url": "https://ci.example/", "content_type": "json", "secret": "theirs"}
    theirs = github.does(
        "POST", "hooks", {"repository": "acme/widgets", "config": config, "events": ["push"]}
    )
    github.settle(Webhook(github.sections()), target(), outputs())
    kept, ours = hooks(github)
    assert kept == theirs
    assert ours["config"]["url"] == URL


def test_a_moved_receiver_moves_its_webhook(github: Stage, vault_writer: VaultWriter) -> None:
    github.repository()
    put_secret(vault_writer, "first", 0)
    first = github.settle(Webhook(github.sections()), target(), outputs())
    assert isinstance(first, Settled)
    github.settings["webhook"] = {"url": "https://new.example/hook", "events": ["push"]}
    moved = github.settle(Webhook(github.sections()), target(first.outputs, verify=False), outputs())
    assert isinstance(moved, Settled)
    (hook,) = hooks(github)
    assert hook["id"] == first.outputs["hookId"]
    assert hook["config"]["url"] == "https://new.example/hook"


@pytest.mark.parametrize("after", [False, True])
def test_a_webhook_is_not_doubled_by_a_lost_answer(
    github: Stage, vault_writer: VaultWriter, after: bool
) -> None:
    github.repository()
    put_secret(vault_writer, "first", 0)
    webhook = Webhook(github.sections())
    was_cut, done = github.settle_though_cut(webhook, target(), outputs(), cut_at=1, after=after)
    assert was_cut
    assert isinstance(done, Settled)
    assert len(hooks(github)) == 1


def test_without_a_url_the_webhook_is_skipped_and_nothing_is_asked(github: Stage) -> None:
    github.settings["webhook"] = {}
    webhook = Webhook(github.sections())
    skipped = github.settle(webhook, target(), outputs())
    assert isinstance(skipped, Skipped)
    assert "webhook.url" in skipped.reason
    assert github.wire.requests == []
    assert isinstance(github.settle(webhook, target({"hookId": 1}), outputs()), Failed)


def test_a_token_that_may_not_see_webhooks(github: Stage) -> None:
    github.repository()
    github.does("POST", "tokens", {"token": "ghp_weak", "kind": "classic", "default": "write"})
    seen = github.observe(Webhook(github.sections()), target(), token="ghp_weak")[SLUG]
    assert isinstance(seen, Unknown)
    assert "admin:repo_hook" in seen.remedy


def test_a_deploy_key_is_made_private_half_first(github: Stage, vault_writer: VaultWriter) -> None:
    github.repository()
    access = GitAccess(github.sections())
    settled = github.settle(access, target())
    assert isinstance(settled, Settled)
    secret = vault_writer.read(key_path(SLUG))
    assert secret
    assert secret.data.keys() == {"privateKey"}
    public = ssh_keys.public_half(secret.data["privateKey"])
    assert secret.metadata == {**MARK, "public-key": public}
    (key,) = keys(github)
    assert (key["title"], key["key"], key["read_only"]) == (TITLE, public, False)
    assert settled.outputs == {"publicKey": public}
    writes = github.wire.writes
    for again in (target(settled.outputs), target(settled.outputs, verify=False), target()):
        assert github.settle(access, again) == settled
    assert github.wire.writes == writes
    assert "OPENSSH PRIVATE KEY" not in repr(settled) + repr(secret)


def test_a_quiet_pass_reads_no_private_key(github: Stage, vault_writer: VaultWriter) -> None:
    github.repository()
    access = GitAccess(github.sections())
    settled = github.settle(access, target())
    assert isinstance(settled, Settled)
    seen = github.observe(access, target(settled.outputs, verify=False))[SLUG]
    assert isinstance(seen, Remembered)


@pytest.mark.parametrize("after", [False, True])
def test_killed_before_or_after_registering(github: Stage, vault_writer: VaultWriter, after: bool) -> None:
    github.repository()
    access = GitAccess(github.sections())
    was_cut, done = github.settle_though_cut(access, target(), cut_at=1, after=after)
    assert was_cut
    assert isinstance(done, Settled)
    secret = vault_writer.read(key_path(SLUG))
    assert secret
    assert secret.version == 1
    assert [key["key"] for key in keys(github)] == [done.outputs["publicKey"]]


@pytest.mark.parametrize(("cut_at", "after"), [(0, False), (1, False), (1, True), (2, False), (2, True)])
def test_a_lost_private_key_is_replaced(
    github: Stage, vault_writer: VaultWriter, vault: VaultCorner, cut_at: int, after: bool
) -> None:
    github.repository()
    access = GitAccess(github.sections())
    first = github.settle(access, target())
    assert isinstance(first, Settled)
    vault.root.secrets.kv.v2.delete_latest_version_of_secret(key_path(SLUG), mount_point=vault.mount)
    remembered = target(first.outputs)
    _, done = github.settle_though_cut(access, remembered, cut_at=cut_at, after=after)
    assert isinstance(done, Settled)
    assert done.outputs != first.outputs
    secret = vault_writer.read(key_path(SLUG))
    assert secret
    assert ssh_keys.public_half(secret.data["privateKey"]) == done.outputs["publicKey"]
    assert [key["key"] for key in keys(github)] == [done.outputs["publicKey"]]


def test_a_key_of_our_title_that_we_do_not_remember_stays_and_is_told(
    github: Stage, vault_writer: VaultWriter
) -> None:
    github.repository()
    theirs = ssh_keys.generate().public
    wish = {"repository": "acme/widgets", "key": theirs, "title": TITLE, "readOnly": False}
    github.does("POST", "keys", wish)
    access = GitAccess(github.sections())
    first = github.settle(access, target())
    assert isinstance(first, Settled)
    assert {key["key"] for key in keys(github)} == {theirs, first.outputs["publicKey"]}
    again = github.settle(access, target(first.outputs))
    assert isinstance(again, Settled)
    assert "1 more deploy key" in again.note


def test_a_removed_deploy_key_is_registered_again(github: Stage, vault_writer: VaultWriter) -> None:
    github.repository()
    access = GitAccess(github.sections())
    first = github.settle(access, target())
    assert isinstance(first, Settled)
    (key,) = keys(github)
    headers = {"Authorization": "Bearer ghp_token-of-the-tests"}
    github.people.delete(f"/repos/acme/widgets/keys/{key['id']}", headers=headers)
    again = github.settle(access, target(first.outputs, verify=False))
    assert again == first
    assert [key["key"] for key in keys(github)] == [first.outputs["publicKey"]]


def test_a_foreign_secret_in_our_place_is_a_conflict_until_adopted(
    github: Stage, vault_writer: VaultWriter
) -> None:
    github.repository()
    theirs = ssh_keys.generate()
    vault_writer.write(key_path(SLUG), {"privateKey": theirs.private}, cas=0, metadata={"by": "hand"})
    access = GitAccess(github.sections())
    failed = github.settle(access, target())
    assert isinstance(failed, Failed)
    assert failed.conflict
    assert keys(github) == []
    settled = github.settle(access, target(adopt=True))
    assert isinstance(settled, Settled)
    assert settled.outputs == {"publicKey": theirs.public}
    secret = vault_writer.read(key_path(SLUG))
    assert secret
    assert (secret.version, secret.metadata["by"]) == (1, "hand")
    assert github.settle(access, target(settled.outputs)) == settled


def test_something_else_than_a_key_is_for_a_person(github: Stage, vault_writer: VaultWriter) -> None:
    github.repository()
    marks = MARK
    vault_writer.write(key_path(SLUG), {"privateKey": SecretStr("canary")}, cas=0, metadata=marks)
    failed = github.settle(GitAccess(github.sections()), target())
    assert isinstance(failed, Failed)
    assert "canary" not in repr(failed)


def test_a_read_only_key_of_ours_is_for_a_person(github: Stage, vault_writer: VaultWriter) -> None:
    github.repository()
    pair = ssh_keys.generate()
    marks = MARK
    vault_writer.write(key_path(SLUG), {"privateKey": pair.private}, cas=0, metadata=marks)
    github.does("POST", "keys", {"repository": "acme/widgets", "key": pair.public, "title": TITLE})
    failed = github.settle(GitAccess(github.sections()), target())
    assert isinstance(failed, Failed)
    assert "right to push" in failed.reason


def test_an_organization_without_deploy_keys_says_so(github: Stage, vault_writer: VaultWriter) -> None:
    github.repository()
    access = GitAccess(github.sections())
    pair = ssh_keys.generate()
    marks = MARK
    vault_writer.write(key_path(SLUG), {"privateKey": pair.private}, cas=0, metadata=marks)
    decision = github.plan(access, target())
    assert isinstance(decision, Needed)
    refusal = b'{"message": "Deploy keys are disabled for this repository", "status": "422"}'
    github.wire.refusals = {"POST /repos/acme/widgets/keys": (422, refusal)}
    with pytest.raises(Denied, match="must allow deploy keys"):
        github.settle(access, target())


def test_more_than_twenty_deploy_keys(github: Stage, vault_writer: VaultWriter) -> None:
    github.repository()
    for number in range(25):
        wish = {"repository": "acme/widgets", "key": ssh_keys.generate().public, "title": str(number)}
        github.does("POST", "keys", wish)
    access = GitAccess(github.sections())
    first = github.settle(access, target())
    assert isinstance(first, Settled)
    assert github.settle(access, target(first.outputs, verify=False)) == first
    assert len(keys(github)) == 26
