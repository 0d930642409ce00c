"""webhook-secret and llm-key on a real Vault: what is there after a pass or two."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import SecretStr

from reconciler.clients.vault import VaultSecret, VaultWriter
from reconciler.kinds.project.resources.llm_key import LlmKey
from reconciler.kinds.project.resources.webhook_secret import WebhookSecret
from reconciler.model.decision import Failed, Settled
from reconciler.model.errors import Collision
from reconciler.model.mark import Mark
from reconciler.model.observation import Absent, Known, Remembered, Unknown
from reconciler.settings.giving import Sections
from tests.integration.conftest import VaultCorner
from tests.kinds.project.support.github import TOKEN, Stage, stage
from tests.kinds.project.support.passes import OUTPUTS, Passes, target
from tests.support import servers

MARK = Mark("project", "acme-widgets", "7").words()


@pytest.fixture(scope="module")
def github() -> Iterator[Stage]:
    with stage() as made:
        for name in ("widgets", "gadgets"):
            made.repository(name)
        yield made


def sections(vault: VaultCorner, github: Stage, token: str = servers.ROOT_TOKEN) -> Sections:
    values: dict[str, dict[str, Any]] = {
        "vault": {"address": vault.address, "mount": vault.mount, "token": token},
        "litellm": {"url": "http://127.0.0.1:1", "adminKey": "k"},
        "github": {"apiUrl": github.url, "token": TOKEN, "writePause": 0},
    }
    return Sections(values, {})


@pytest.fixture(params=[WebhookSecret, LlmKey], ids=["webhook-secret", "llm-key"])
def secret(request: pytest.FixtureRequest, vault: VaultCorner, github: Stage) -> Passes:
    return Passes(request.param(sections(vault, github)))


PATHS = {
    "webhook-secret": ("mesh-six/webhooks/acme-widgets", "secret", r"[0-9a-f]{64}"),
    "llm-key": ("mesh-six/envs/acme-widgets.llm-key", "key", r"sk-[\w-]{43,}"),
}


@pytest.fixture
def writer(vault: VaultCorner) -> Iterator[VaultWriter]:
    client = VaultWriter.connect(vault.sections())
    yield client
    client.close()


def of(passes: Passes, name: str) -> Passes:
    """Return it for the repository of that name."""
    there = {**OUTPUTS["validate-repo"], "fullName": f"acme/{name}"}
    return Passes(passes.resource, {**OUTPUTS, "validate-repo": there})


def value(passes: Passes, writer: VaultWriter) -> tuple[str, VaultSecret]:
    path, key, _ = PATHS[passes.resource.name]
    found = writer.read(path)
    assert found is not None
    return found.data[key].get_secret_value(), found


def plant(passes: Passes, writer: VaultWriter, text: str, metadata: Mapping[str, str]) -> None:
    path, key, _ = PATHS[passes.resource.name]
    writer.write(path, {key: SecretStr(text)}, cas=0, metadata=metadata)


def test_a_secret_is_made_marked_and_settled(secret: Passes, writer: VaultWriter) -> None:
    applied = secret.run(target())
    text, found = value(secret, writer)
    assert re.fullmatch(PATHS[secret.resource.name][2], text)
    assert len(found.data) == 1
    assert found.metadata == MARK
    assert secret.plan(target()) == applied
    assert text not in repr(applied)


def test_two_projects_get_two_secrets(secret: Passes, writer: VaultWriter) -> None:
    secret.run(target())
    of(secret, "gadgets").run(target("gadgets"))
    path = PATHS[secret.resource.name][0].replace("widgets", "gadgets")
    other = writer.read(path)
    assert other is not None
    assert [each.get_secret_value() for each in other.data.values()] != [value(secret, writer)[0]]


def test_applying_twice_keeps_the_first_value(secret: Passes, writer: VaultWriter) -> None:
    decision = secret.plan(target())
    first = secret.apply(target(), decision)
    text = value(secret, writer)[0]
    assert secret.apply(target(), decision) == first
    assert value(secret, writer)[0] == text


def test_killed_after_the_mark_the_next_pass_makes_the_secret(secret: Passes, writer: VaultWriter) -> None:
    writer.annotate(PATHS[secret.resource.name][0], MARK)
    assert isinstance(secret.run(target()), Settled)
    assert value(secret, writer)[1].version == 1


def test_a_soft_deleted_secret_is_made_anew(secret: Passes, vault: VaultCorner, writer: VaultWriter) -> None:
    before = secret.run(target())
    text = value(secret, writer)[0]
    vault.root.secrets.kv.v2.delete_latest_version_of_secret(
        PATHS[secret.resource.name][0], mount_point=vault.mount
    )
    after = secret.run(target())
    assert value(secret, writer)[0] != text
    assert after != before, "those that use it must see that it changed"


def test_somebody_elses_secret_survives_and_is_reported(secret: Passes, writer: VaultWriter) -> None:
    plant(secret, writer, "theirs", {"owner": "them"})
    decision = secret.plan(target())
    assert isinstance(decision, Failed)
    assert decision.conflict
    assert "theirs" not in repr(decision)


def test_a_secret_that_appears_after_the_plan_survives(secret: Passes, writer: VaultWriter) -> None:
    decision = secret.plan(target())
    plant(secret, writer, "theirs", {})
    with pytest.raises(Collision):
        secret.apply(target(), decision)
    text, found = value(secret, writer)
    assert (text, found.metadata) == ("theirs", {})


def test_adopting_marks_it_and_keeps_value_and_version(secret: Passes, writer: VaultWriter) -> None:
    plant(secret, writer, "theirs", {"owner": "them"})
    applied = secret.run(target(adopt=True))
    text, found = value(secret, writer)
    assert (text, found.version) == ("theirs", 1)
    assert found.metadata == {"owner": "them", **MARK}
    assert secret.plan(target()) == applied


def test_a_quiet_pass_reads_no_secret(secret: Passes, vault: VaultCorner, github: Stage) -> None:
    settled = secret.run(target())
    assert isinstance(settled, Settled)
    token = vault.token('path "MOUNT/metadata/mesh-six/*" { capabilities = ["list"] }')
    listing = type(secret.resource)(sections(vault, github, token))
    elsewhere = str(settled.outputs["path"]).replace("widgets", "gadgets")
    seen = Passes(listing).observe(
        target(remembered=settled.outputs),
        target("gadgets", remembered={**settled.outputs, "path": elsewhere}),
    )
    assert isinstance(seen["acme-widgets"], Remembered)
    assert seen["acme-widgets"].state.version == settled.outputs["version"]
    assert isinstance(seen["acme-gadgets"], Absent)


def test_one_unreadable_secret_leaves_the_others(secret: Passes, vault: VaultCorner, github: Stage) -> None:
    secret.run(target())
    of(secret, "gadgets").run(target("gadgets"))
    token = vault.token(
        'path "MOUNT/metadata/mesh-six/*" { capabilities = ["list"] }\n'
        'path "MOUNT/data/mesh-six/webhooks/acme-widgets" { capabilities = ["read"] }\n'
        'path "MOUNT/data/mesh-six/envs/acme-widgets.llm-key" { capabilities = ["read"] }'
    )
    limited = type(secret.resource)(sections(vault, github, token))
    seen = Passes(limited).observe(target(), target("gadgets"))
    assert isinstance(seen["acme-widgets"], Known)
    assert isinstance(seen["acme-gadgets"], Unknown)
    assert "policy" in seen["acme-gadgets"].remedy


@pytest.mark.parametrize("whose", [MARK, {"owner": "them"}, Mark("project", "acme-widgets", "8").words()])
def test_a_secret_from_before_is_copied_to_where_the_receiver_looks(
    vault: VaultCorner, github: Stage, writer: VaultWriter, whose: Mapping[str, str]
) -> None:
    """The slug named it once, in lower case; the receiver takes the repository's name as GitHub has it."""
    github.repository("Grand.Widgets")
    passes = of(Passes(WebhookSecret(sections(vault, github))), "Grand.Widgets")
    project = target("grand.widgets", slug="shop")
    marked = {**whose, "project": "shop"} if "project" in whose else whose
    writer.write("mesh-six/webhooks/shop", {"secret": SecretStr("as it was")}, cas=0, metadata=marked)
    settled = passes.run(project)
    found = writer.read("mesh-six/webhooks/acme-Grand.Widgets")
    assert found is not None
    assert found.metadata == Mark("project", "shop", "7").words()
    assert (found.data["secret"].get_secret_value() == "as it was") == (whose is MARK)
    assert passes.plan(project) == settled
    kept = writer.read("mesh-six/webhooks/shop")
    assert kept is not None
    assert kept.data["secret"].get_secret_value() == "as it was"
