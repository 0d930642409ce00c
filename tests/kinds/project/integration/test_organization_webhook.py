"""organization-webhook against the emulator and a real Vault: one webhook for all of an organization."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from reconciler.clients.vault import VaultWriter
from reconciler.kinds.project.resources.organization_webhook import OrganizationWebhook
from reconciler.model.decision import Failed, Needed, Settled, Skipped
from reconciler.model.observation import Known, Remembered, Unknown
from tests.integration.conftest import VaultCorner
from tests.kinds.project.support.github import TOKEN, Stage, stage, target
from tests.support import servers

URL = "https://mesh-six.example/webhooks/github"
COPY, NOTE = "mesh-six/webhooks/@@receiver", "mesh-six/webhooks/@acme"


@pytest.fixture
def github(vault: VaultCorner) -> Iterator[Stage]:
    with stage() as made:
        made.settings["vault"] = {
            "address": vault.address,
            "mount": vault.mount,
            "token": servers.ROOT_TOKEN,
        }
        made.settings["webhook"] = {"url": URL, "organizationSecret": "the receiver's"}
        yield made


@pytest.fixture
def vault_writer(github: Stage) -> Iterator[VaultWriter]:
    made = VaultWriter.connect(github.sections())
    yield made
    made.close()


def resource_of(github: Stage) -> OrganizationWebhook:
    return OrganizationWebhook(github.sections())


def as_owner(github: Stage, method: str, path: str, body: Any = None) -> Any:
    answer = httpx.request(
        method, f"{github.url}/orgs/acme/hooks{path}", json=body, headers={"Authorization": f"Bearer {TOKEN}"}
    )
    answer.raise_for_status()
    return answer.json() if answer.content else None


def secret_of(github: Stage, number: int) -> str | None:
    """Return what the emulator signs with, which no answer tells."""
    (found,) = (hook for hook in github.does("GET", "organization-hooks/acme") if hook["id"] == number)
    secret: str | None = found["config"].get("secret")
    return secret


def test_all_projects_of_an_organization_share_one(github: Stage) -> None:
    github.repository("widgets")
    github.repository("gears")
    first = github.settle(resource_of(github), target())
    assert isinstance(first, Settled)
    (hook,) = as_owner(github, "GET", "")
    assert (hook["events"], hook["active"], hook["config"]["url"]) == (["projects_v2_item"], True, URL)
    assert secret_of(github, hook["id"]) == "the receiver's"
    writes = github.wire.writes
    assert github.settle(resource_of(github), target(repoName="gears")) == first
    assert github.settle(resource_of(github), target(first.outputs, verify=False)) == first
    assert github.wire.writes == writes
    assert "the receiver's" not in repr(first)


def test_those_that_come_at_once_make_one(github: Stage) -> None:
    """Each planned to make it, seeing none; whoever is applied second finds it."""
    names = ["widgets", "gears", "cogs"]
    for name in names:
        github.repository(name)
    targets = [target(repoName=name) for name in names]
    github.wire.requests.clear()
    seen = github.observe(resource_of(github), *targets)
    assert github.wire.requests.count("GET /orgs/acme/hooks") == 1
    for each in targets:
        found = seen[each.slug]
        assert isinstance(found, Known)
        assert isinstance(resource_of(github).plan(each, found, {}), Needed)
    settled = [github.settle(resource_of(github), each) for each in targets]
    assert settled[0] == settled[1] == settled[2]
    assert len(as_owner(github, "GET", "")) == 1


def test_a_quiet_pass_asks_nothing_of_its_own(github: Stage) -> None:
    github.repository()
    settled = github.settle(resource_of(github), target())
    assert isinstance(settled, Settled)
    github.wire.requests.clear()
    seen = github.observe(resource_of(github), target(settled.outputs, verify=False))
    assert isinstance(seen["acme-widgets"], Remembered)
    assert github.wire.requests == ["POST /graphql"]


def test_another_secret_is_written_and_people_s_events_stay(github: Stage) -> None:
    github.repository()
    first = github.settle(resource_of(github), target())
    assert isinstance(first, Settled)
    number = first.outputs["hookId"]
    assert isinstance(number, int)
    as_owner(github, "PATCH", f"/{number}", {"events": ["team"], "config": {"url": URL}})
    github.settings["webhook"] = {"url": URL, "organizationSecret": "a new one"}
    again = github.settle(resource_of(github), target(first.outputs))
    assert isinstance(again, Settled)
    assert again.outputs["events"] == ["projects_v2_item", "team"]
    assert secret_of(github, number) == "a new one"
    assert github.plan(resource_of(github), target()) == again


def test_foreign_webhooks_of_the_organization_survive(github: Stage) -> None:
    github.repository()
    body = {"name": "web", "events": ["push"], "config": {"url": "https://theirs.example/"}}
    theirs = as_owner(github, "POST", "", body)
    assert isinstance(github.settle(resource_of(github), target()), Settled)
    assert len(as_owner(github, "GET", "")) == 2
    assert as_owner(github, "GET", f"/{theirs['id']}") == theirs


@pytest.mark.parametrize("cut_at", [1, 2])
@pytest.mark.parametrize("after", [False, True])
def test_it_is_not_doubled_by_a_lost_answer(github: Stage, cut_at: int, after: bool) -> None:
    github.repository()
    _, done = github.settle_though_cut(resource_of(github), target(), cut_at=cut_at, after=after)
    assert isinstance(done, Settled)
    (hook,) = as_owner(github, "GET", "")
    assert secret_of(github, hook["id"]) == "the receiver's"


def test_a_new_secret_is_noticed_though_nothing_else_was_read(github: Stage) -> None:
    for name in ("widgets", "gears"):
        github.repository(name)
    first, second = (
        github.settle(resource_of(github), target(repoName=name)) for name in ("widgets", "gears")
    )
    assert isinstance(first, Settled)
    assert isinstance(second, Settled)
    github.settings["webhook"] = {"url": URL, "organizationSecret": "a new one"}
    again = github.settle(resource_of(github), target(first.outputs, verify=False))
    assert isinstance(again, Settled)
    assert again.outputs["secretVersion"] != first.outputs["secretVersion"]
    (hook,) = as_owner(github, "GET", "")
    assert secret_of(github, hook["id"]) == "a new one"
    # The other project finds that it is done.
    writes = github.wire.writes
    assert github.settle(resource_of(github), target(second.outputs, verify=False, repoName="gears")) == again
    assert github.wire.writes == writes


def test_a_secret_of_somebody_elses_in_the_copys_place_is_a_conflict(
    github: Stage, vault_writer: VaultWriter
) -> None:
    github.repository()
    vault_writer.write(COPY, {"secret": SecretStr("theirs")}, cas=0, metadata={"owner": "them"})
    failed = github.settle(resource_of(github), target())
    assert isinstance(failed, Failed)
    assert failed.conflict
    assert as_owner(github, "GET", "") == []
    assert isinstance(github.settle(resource_of(github), target(adopt=True)), Settled)


def test_the_note_of_an_organization_that_had_the_name_before_is_not_believed(
    github: Stage, vault_writer: VaultWriter
) -> None:
    github.repository()
    body = {"name": "web", "events": ["push"], "config": {"url": "https://theirs.example/"}}
    theirs = as_owner(github, "POST", "", body)
    words = {"managed-by": "mesh-six-reconciler", "organization": "acme", "identity": "O_another"}
    vault_writer.annotate(NOTE, {**words, "webhook": f"{theirs['id']}: 1 of 2026-01-01T00:00:00Z"})
    assert isinstance(github.settle(resource_of(github), target()), Settled)
    assert as_owner(github, "GET", f"/{theirs['id']}") == theirs
    assert len(as_owner(github, "GET", "")) == 2


@pytest.mark.parametrize("refused", ["github", "vault"])
def test_a_refusal_costs_one_request_however_many_projects_there_are(
    github: Stage, vault: VaultCorner, refused: str
) -> None:
    names = [f"p{number}" for number in range(6)]
    for name in names:
        github.repository(name)
    weak = {"token": "ghp_weak", "kind": "classic", "scopes": ["repo", "project"]}
    github.does("POST", "tokens", weak)
    if refused == "vault":
        token = vault.token('path "MOUNT/data/mesh-six/*" { capabilities = ["read"] }')
        github.settings["vault"] = {**github.settings["vault"], "token": token}
    more = {"token": "ghp_weak"} if refused == "github" else {}
    github.wire.requests.clear()
    seen = github.observe(resource_of(github), *(target(repoName=name) for name in names), **more)
    assert all(isinstance(each, Unknown) for each in seen.values())
    assert github.wire.requests.count("GET /orgs/acme/hooks") == 1


def test_a_users_boards_send_no_events(github: Stage) -> None:
    github.repository(ownerType="User")
    skipped = github.settle(resource_of(github), target())
    assert isinstance(skipped, Skipped)
    assert "is a user" in skipped.reason
    assert github.wire.writes == 0


def test_without_the_receivers_secret_nothing_is_asked(github: Stage) -> None:
    github.settings["webhook"] = {"url": URL}
    skipped = resource_of(github).unwanted(target())
    assert isinstance(skipped, Skipped)
    assert skipped.unconfigured
    assert "GITHUB_WEBHOOK_SECRET" in skipped.reason
    assert isinstance(resource_of(github).unwanted(target({"hookId": 1})), Failed)


@pytest.mark.parametrize(
    "weak",
    [
        {"token": "ghp_weak", "kind": "classic", "scopes": ["repo", "admin:repo_hook", "project"]},
        {"token": "ghs_weak", "kind": "app", "permissions": {"repository_hooks": "write"}},
    ],
)
def test_a_token_that_may_not_see_them(github: Stage, weak: dict[str, Any]) -> None:
    github.repository()
    github.does("POST", "tokens", weak)
    seen = github.observe(resource_of(github), target(), token=weak["token"])["acme-widgets"]
    assert isinstance(seen, Unknown)
    assert "admin:org_hook" in seen.remedy
