"""An old sealed entry that comes back, over a login that is newer: the auth-service's own login stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from reconciler.clients.http import trusted
from reconciler.clients.vault import VaultWriter
from reconciler.model.outcome import Status
from tests.integration.conftest import VaultCorner
from tests.kinds.project.support.login import TOKEN, LoginWorld, login_world

SLUG = "acme-widgets"
HOUR = timedelta(hours=1)


@pytest.fixture
def world(vault: VaultCorner) -> Iterator[LoginWorld]:
    with login_world(vault) as made:
        yield made


def forget_in_vault(world: LoginWorld) -> None:
    client = VaultWriter.connect(world.sections())
    client.delete(f"mesh-six/oauth/{SLUG}")
    client.close()


def logged_in_twice(world: LoginWorld) -> dict[str, object]:
    """Log in, and again an hour later; return the status files from before, with the first entry in them."""
    world.run()
    world.drop(world.seal(access="first"))
    before = world.statuses_copy()
    world.run()
    world.now += HOUR
    world.drop(world.seal(access="second"))
    world.run()
    assert world.pushed() == ["second"]
    return before


def test_a_restored_branch_brings_no_old_login_back(world: LoginWorld) -> None:
    world.statuses = logged_in_twice(world)  # type: ignore[assignment]
    world.run()
    assert world.pushed() == ["second"]
    assert world.oauth()["reason"] == "other-request"


def test_nor_where_vault_has_forgotten_what_was_served(world: LoginWorld) -> None:
    world.statuses = logged_in_twice(world)  # type: ignore[assignment]
    forget_in_vault(world)
    report = world.run()[SLUG]
    assert report.status is Status.COMPLETED
    assert world.pushed() == ["second"]
    assert "expires later" in str(world.statuses)
    assert "sealed" not in world.oauth()
    assert world.in_vault() is None
    world.run()
    world.quiet()


def test_a_login_that_the_service_got_from_elsewhere_stays_too(world: LoginWorld) -> None:
    world.run()
    world.drop(world.seal(access="older"))
    theirs = {"accessToken": "theirs", "refreshToken": "r", "expiresAt": "2030-01-01T00:00:00.000Z"}
    httpx.post(
        f"{world.service_url}/projects/{SLUG}/credentials",
        json=theirs,
        headers={"authorization": f"Bearer {TOKEN}"},
        verify=trusted(),
    ).raise_for_status()
    world.run()
    assert world.pushed() == ["theirs"]
    assert world.held() == []


def test_a_login_that_lasts_longer_replaces_the_one_before(world: LoginWorld) -> None:
    logged_in_twice(world)
    world.now += HOUR
    world.drop(world.seal(access="third"))
    world.run()
    assert world.pushed() == ["third"]
    world.quiet()


def test_tokens_that_expired_on_their_way_are_handed_over_all_the_same(world: LoginWorld) -> None:
    world.run()
    world.drop(world.seal(access="late"))
    world.service.down = True
    world.run()
    assert world.held() == [SLUG]
    world.service.down = False
    world.run(later=9 * HOUR)
    assert world.pushed() == ["late"]
    assert world.held() == []
