"""A login from its request to the auth-service: by a sealed entry, by device flow, and what goes wrong."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta

import httpx
import pytest

from reconciler.clients.vault import VaultWriter
from reconciler.model.outcome import Status
from tests.integration.conftest import VaultCorner
from tests.kinds.project.support.login import Fuse, Killed, LoginWorld, login_world

MINUTE = timedelta(minutes=1)
SLUG = "acme-widgets"


@pytest.fixture
def world(vault: VaultCorner) -> Iterator[LoginWorld]:
    with login_world(vault) as made:
        yield made


def logged_in(world: LoginWorld) -> LoginWorld:
    world.run()
    world.drop(world.seal())
    world.run()
    return world


def start_device_flow(world: LoginWorld) -> LoginWorld:
    world.flow = "device"
    world.run()
    return world


def test_a_new_project_waits_for_its_person_and_is_then_quiet(world: LoginWorld) -> None:
    report = world.run()[SLUG]
    assert report.status == "waiting_auth"
    assert f"reconcile seal {SLUG}" in report.todo
    assert world.oauth() == {
        "state": "pending",
        "requestId": "login-4242-1",
        "recipient": world.oauth()["recipient"],
    }
    world.quiet()
    world.now += timedelta(days=20)
    world.quiet()


def test_a_sealed_entry_goes_the_whole_way_in_one_pass(world: LoginWorld) -> None:
    world.run()
    world.drop(world.seal())
    report = world.run()[SLUG]
    assert report.status is Status.COMPLETED
    assert world.pushed() == ["canary-access"]
    assert world.in_vault() is None
    assert world.held() == []
    oauth = world.oauth()
    assert (oauth["state"], oauth["requestId"]) == ("stored", "login-4242-2")
    assert "sealed" not in oauth
    assert "canary" not in str(world.statuses)
    world.quiet()


def test_a_quiet_pass_over_logged_in_projects_asks_neither_service(world: LoginWorld) -> None:
    logged_in(world)
    world.run()
    before = world.service.requests, world.issuer.requests
    for _ in range(3):
        world.run(later=MINUTE)
    assert (world.service.requests, world.issuer.requests) == before


@pytest.mark.parametrize(
    ("dropped", "reason"),
    [
        (lambda world: world.seal(to="acme-gadgets"), "other-item"),
        (lambda world: world.seal(request="login-4242-7"), "other-request"),
        (lambda world: "canary-access", "not-armor"),
        (lambda world: world.seal()[:-60], "not-armor"),
        (lambda world: {"accessToken": "canary"}, "not-armor"),
        (lambda world: "x" * 70_000, "too-large"),
    ],
)
def test_a_bad_entry_is_kept_named_and_replaced(
    world: LoginWorld, dropped: Callable[[LoginWorld], object], reason: str
) -> None:
    world.specs["acme-gadgets"] = {}
    world.run()
    entry = dropped(world)
    world.drop(entry)
    world.drop(world.seal("acme-gadgets"), "acme-gadgets")
    report = world.run()
    assert report["acme-gadgets"].status is Status.COMPLETED
    assert report[SLUG].status == "waiting_auth"
    assert (world.oauth()["state"], world.oauth()["reason"]) == ("rejected", reason)
    assert world.oauth()["sealed"] == entry
    assert world.in_vault() is None
    world.quiet()
    world.drop(world.seal())
    assert world.run()[SLUG].status is Status.COMPLETED
    world.quiet()


def test_an_entry_that_went_past_its_time_is_refused(world: LoginWorld) -> None:
    world.run()
    world.drop(world.seal())
    world.run(later=timedelta(hours=9))
    assert world.oauth()["reason"] == "expired"
    world.quiet()


def test_logging_in_again_uses_the_next_request(world: LoginWorld) -> None:
    logged_in(world)
    world.drop(world.seal(access="second"))
    world.run()
    assert world.pushed() == ["second"]
    assert world.oauth()["requestId"] == "login-4242-3"
    world.quiet()


def test_the_entry_of_an_old_request_cannot_be_replayed(world: LoginWorld) -> None:
    world.run()
    old = world.seal(access="old")
    world.drop(old)
    world.run()
    world.drop(world.seal(access="new"))
    world.run()
    world.drop(old)
    report = world.run()[SLUG]
    assert report.status == "waiting_auth"
    assert world.oauth()["reason"] == "other-request"
    assert world.pushed() == ["new"]
    world.quiet()
    del world.statuses[SLUG]["oauth"]["sealed"]
    assert world.run()[SLUG].status is Status.COMPLETED
    assert world.oauth()["state"] == "stored"
    world.quiet()


def test_without_its_status_file_a_logged_in_project_is_not_asked_again(world: LoginWorld) -> None:
    logged_in(world)
    world.statuses.clear()
    before = world.service.wrote
    report = world.run()[SLUG]
    assert report.status is Status.COMPLETED
    assert (world.oauth()["state"], world.oauth()["requestId"]) == ("stored", "login-4242-2")
    assert world.service.wrote == before
    world.quiet()


def test_credentials_that_the_service_lost_are_asked_for_by_the_next_audit(world: LoginWorld) -> None:
    logged_in(world)
    httpx.delete(f"{world.service_url}/_emulator/projects/{SLUG}/credentials")
    report = world.run(later=timedelta(days=2))[SLUG]
    assert report.status == "waiting_auth"
    assert world.oauth()["state"] == "pending"
    world.quiet()
    world.drop(world.seal(access="again"))
    assert world.run()[SLUG].status is Status.COMPLETED
    assert world.pushed() == ["again"]
    world.quiet()


def test_while_the_auth_service_is_down_tokens_wait_in_vault_and_the_entry_stays(world: LoginWorld) -> None:
    world.run()
    entry = world.seal()
    world.drop(entry)
    world.overrides["authService"] = {"url": "http://127.0.0.1:9", "token": "x"}
    world.run()
    held = world.in_vault()
    assert held is not None
    assert world.oauth()["sealed"] == entry
    world.overrides.clear()
    assert world.run()[SLUG].status is Status.COMPLETED
    assert world.pushed() == ["canary-access"]
    assert world.held() == []
    world.quiet()


def test_a_refused_hand_over_keeps_the_entry_and_says_so(world: LoginWorld) -> None:
    world.run()
    entry = world.seal()
    world.drop(entry)
    world.overrides["authService"] = {"url": world.service_url, "token": "wrong"}
    report = world.run()[SLUG]
    assert report.status is Status.FAILED or world.state("credentials") in {"blocked", "error"}
    assert world.oauth()["sealed"] == entry
    world.overrides.clear()
    assert world.run()[SLUG].status is Status.COMPLETED
    world.quiet()


def test_skip_auth_asks_nobody(world: LoginWorld) -> None:
    world.specs[SLUG] = {"skipAuth": True}
    report = world.run()[SLUG]
    assert report.status is Status.COMPLETED
    assert {world.state("oauth"), world.state("credentials")} == {"skipped"}
    assert "skipAuth" in world.statuses[SLUG]["resources"]["oauth"]["reason"]
    world.quiet()
    world.specs[SLUG] = {}
    assert world.run()[SLUG].status == "waiting_auth"


@pytest.mark.parametrize(
    ("section", "setting"),
    [("vault", "VAULT_ADDR"), ("authService", "AUTH_SERVICE_URL"), ("sealing", "RECONCILER_AGE_IDENTITY")],
)
def test_what_is_not_configured_is_skipped_and_names_its_setting(
    world: LoginWorld, section: str, setting: str
) -> None:
    world.overrides[section] = {}
    world.run()
    assert world.state("oauth") == "skipped"
    assert setting in world.statuses[SLUG]["resources"]["oauth"]["reason"]
    assert world.state("credentials") == "skipped"


def test_a_foreign_secret_survives_and_is_adopted_on_request(world: LoginWorld) -> None:
    writer = VaultWriter.connect(world.sections())
    writer.write(f"mesh-six/oauth/{SLUG}", {}, cas=0, metadata={"managed-by": "somebody"})
    report = world.run()[SLUG]
    assert report.status is Status.FAILED
    assert "adopt: true" in report.todo
    kept = world.in_vault()
    assert kept is not None
    assert kept.metadata == {"managed-by": "somebody"}
    world.specs[SLUG] = {"adopt": True}
    assert world.run()[SLUG].status == "waiting_auth"
    world.quiet()
    world.drop(world.seal())
    assert world.run()[SLUG].status is Status.COMPLETED
    writer.close()


def test_a_new_key_opens_new_entries_and_the_old_key_those_already_sealed(world: LoginWorld) -> None:
    world.run()
    entry = world.seal()
    old = world.identity
    world.identity = type(world)(world.vault, "", "", world.service, world.issuer).identity + f"\n{old}"
    world.drop(entry)
    assert world.run()[SLUG].status is Status.COMPLETED


def test_device_flow_from_code_to_credentials(world: LoginWorld) -> None:
    start_device_flow(world)
    oauth = world.oauth()
    assert oauth["state"] == "pending"
    assert oauth["verificationUri"] == f"{world.issuer_url}/device"
    assert oauth["userCode"] in world.statuses[SLUG]["next"]
    held = world.in_vault()
    assert held is not None
    assert held.data["deviceCode"].get_secret_value() not in str(world.statuses)
    world.quiet()
    world.now += MINUTE
    world.quiet()
    world.decide("approve")
    assert world.run(later=MINUTE)[SLUG].status is Status.COMPLETED
    assert len(world.pushed()) == 1
    assert world.held() == []
    assert world.oauth()["state"] == "stored"
    assert "userCode" not in world.oauth()
    world.quiet()


def test_polls_keep_their_distance(world: LoginWorld) -> None:
    start_device_flow(world)
    for _ in range(12):
        world.run(later=timedelta(seconds=1))
    ((_, asked),) = world.requests().items()
    assert asked["interval"] == 5


def test_slow_down_is_obeyed_for_good(world: LoginWorld) -> None:
    world.verifications = None  # nobody remembers the last poll, so it comes too early
    start_device_flow(world)
    world.run(later=timedelta(seconds=6))
    world.run(later=timedelta(seconds=1))
    held = world.in_vault()
    assert held is not None
    assert held.metadata["interval"] == "10"
    assert world.state("oauth") == "waiting"
    world.decide("approve")
    assert world.run(later=MINUTE)[SLUG].status is Status.COMPLETED


@pytest.mark.parametrize("status", [200, 400, 403])
def test_errors_are_told_by_their_code_whatever_the_status(world: LoginWorld, status: int) -> None:
    world.issuer_settings(errorStatus=status)
    start_device_flow(world)
    assert world.run(later=MINUTE)[SLUG].status == "waiting_auth"
    world.decide("deny")
    world.run(later=MINUTE)
    assert (world.oauth()["state"], world.oauth()["reason"]) == ("rejected", "denied")
    world.quiet()


def test_a_refused_login_waits_until_it_is_asked_for(world: LoginWorld) -> None:
    start_device_flow(world)
    world.decide("deny")
    report = world.run(later=MINUTE)[SLUG]
    assert "oauth section" in report.todo
    for _ in range(3):
        world.now += timedelta(hours=1)
        world.quiet()
    assert len(world.requests()) == 1
    del world.statuses[SLUG]["oauth"]
    world.run()
    assert world.oauth()["state"] == "pending"
    assert len(world.requests()) == 2
    world.decide("approve")
    assert world.run(later=MINUTE)[SLUG].status is Status.COMPLETED


@pytest.mark.parametrize("by", ["our clock", "the issuer"])
def test_expired_codes_are_renewed_a_few_times_only(world: LoginWorld, by: str) -> None:
    start_device_flow(world)
    for _ in range(6):
        if by == "the issuer" and "userCode" in world.oauth():
            world.decide("expire")
            world.run(later=MINUTE)
        else:
            world.run(later=timedelta(hours=1))
    assert len(world.requests()) == 4
    assert world.oauth()["state"] == "expired"
    world.quiet()
    world.now += timedelta(days=30)
    world.quiet()
    del world.statuses[SLUG]["oauth"]
    world.run()
    world.decide("approve")
    assert world.run(later=MINUTE)[SLUG].status is Status.COMPLETED


def test_a_sealed_entry_beats_the_device_flow(world: LoginWorld) -> None:
    start_device_flow(world)
    world.drop(world.seal())
    assert world.run(later=MINUTE)[SLUG].status is Status.COMPLETED
    assert world.pushed() == ["canary-access"]
    assert world.held() == []


def test_a_bad_entry_does_not_stop_the_device_flow(world: LoginWorld) -> None:
    start_device_flow(world)
    world.drop("nonsense")
    world.run()
    assert world.oauth()["state"] == "rejected"
    assert world.oauth()["userCode"]
    world.quiet()
    world.run(later=MINUTE)
    assert world.oauth()["state"] == "rejected"
    world.decide("approve")
    world.run(later=MINUTE)
    assert len(world.pushed()) == 1


def test_a_logged_in_project_gets_a_new_code_when_its_section_is_taken_out(world: LoginWorld) -> None:
    start_device_flow(world)
    world.decide("approve")
    world.run(later=MINUTE)
    (first,) = world.pushed()
    del world.statuses[SLUG]["oauth"]
    assert world.run()[SLUG].status == "waiting_auth"
    world.decide("approve")
    assert world.run(later=MINUTE)[SLUG].status is Status.COMPLETED
    (second,) = world.pushed()
    assert first != second
    world.quiet()


def test_an_issuer_without_refresh_tokens_is_told_once(world: LoginWorld) -> None:
    world.issuer_settings(refresh=False)
    start_device_flow(world)
    world.decide("approve")
    report = world.run(later=MINUTE)[SLUG]
    assert "oauth.scope" in report.todo
    assert world.pushed() == []
    world.now += MINUTE
    world.quiet()


def test_device_flow_without_its_issuer_is_half_set_up(world: LoginWorld) -> None:
    world.overrides["oauth"] = {"flow": "device"}
    report = world.run()[SLUG]
    assert report.status is Status.FAILED
    assert "OAUTH_ISSUER" in report.todo


def manual(world: LoginWorld) -> None:
    world.run()
    world.drop(world.seal())


def again(world: LoginWorld) -> None:
    logged_in(world)
    world.drop(world.seal(access="second"))


def device_start(world: LoginWorld) -> None:
    world.flow = "device"


def device_grant(world: LoginWorld) -> None:
    start_device_flow(world)
    world.decide("approve")
    world.now += MINUTE


def device_renewal(world: LoginWorld) -> None:
    start_device_flow(world)
    world.now += timedelta(hours=1)


SCENARIOS = (manual, again, device_start, device_grant, device_renewal)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_any_write_the_next_passes_converge(
    vault: VaultCorner, scenario: Callable[[LoginWorld], None], moment: str
) -> None:
    for number in itertools.count(1):
        with login_world(vault) as world:
            client = VaultWriter.connect(world.sections())
            client.delete(f"mesh-six/oauth/{SLUG}")
            client.close()
            scenario(world)
            fuse = Fuse()
            fuse.kill_at = (number, moment)
            try:
                world.run(fuse)
            except Killed:
                pass
            else:
                assert number > 1
                return
            world.run(later=MINUTE)
            if world.state("oauth") == "waiting":
                world.decide("approve")
                world.run(later=MINUTE)
            assert len(world.pushed()) == 1, f"killed {moment} write {number}"
            assert world.held() == []
            assert world.oauth()["state"] == "stored"
            assert "sealed" not in world.oauth()
            world.quiet()
