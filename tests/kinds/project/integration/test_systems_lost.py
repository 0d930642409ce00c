"""A system that is down, or that refuses us: its resources say so, all else goes on, and it recovers."""

from __future__ import annotations

import time
from collections.abc import Set
from pathlib import Path

import hvac
import pytest

from reconciler.engine.result import PassResult
from reconciler.model.errors import ConfigurationError
from reconciler.model.outcome import Condition, Status
from reconciler.sandbox.faults import Fault
from reconciler.sandbox.supervisor import Sandbox
from tests.support.asked import NOT_ASKED, READS, VAULT, without_credential, without_settings
from tests.support.declared import SYSTEM_OF, VARIABLES
from tests.support.reconciling import commits, cycle_of, merge, settle_at_once, status
from tests.support.verdicts import of, outcomes

WIDGETS = "repoOwner: acme\nrepoName: widgets\n"
GEARS = "repoOwner: acme\nrepoName: gears\nskipAuth: true\n"

CREDENTIALS = {
    name: system for name, system in SYSTEM_OF.items() if system in READS and VARIABLES[name].is_secret
}
"""The system of each credential without which something cannot be read."""
SENT = {
    name: system
    for name, system in SYSTEM_OF.items()
    if VARIABLES[name].is_address or VARIABLES[name].is_header
}
"""The system of each address, and of each credential that is a header."""


@pytest.fixture(scope="module")
def settled(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """Two projects that want nothing more; every test here leaves them so."""
    sandbox.clear()
    merge(sandbox, tmp_path_factory.mktemp("settled") / "projects", widgets=WIDGETS, gears=GEARS)
    assert settle_at_once(sandbox).exit_code == 0
    return sandbox


def assert_only_unread(sandbox: Sandbox, result: PassResult, unread: Set[str]) -> None:
    """These could not be read and say what to do; nothing was done, written or lost."""
    assert result.exit_code == 1
    assert of(result, Condition.UNKNOWN) == {
        "acme-widgets": unread,
        "acme-gears": unread - {"oauth"},
    }
    assert all(each.reason and each.remedy for each in outcomes(result, Condition.UNKNOWN))
    assert not any(of(result, Condition.ERROR).values())
    assert result.commits == ()
    assert result.changes == 0
    assert {each.slug: each.status for each in result.reports} == {
        "acme-widgets": "waiting_auth",
        "acme-gears": Status.COMPLETED,
    }


def assert_recovered(sandbox: Sandbox) -> None:
    before = commits(sandbox)
    result = settle_at_once(sandbox)
    assert result.exit_code == 0
    assert commits(sandbox) == before


@pytest.mark.parametrize("system", READS)
def test_a_system_that_is_down_is_unknown_and_changes_no_status(settled: Sandbox, system: str) -> None:
    settled.inject(Fault(system, "refuse"))
    try:
        result = cycle_of(settled).run()
    finally:
        settled.clear_faults()
    assert_only_unread(settled, result, READS[system])
    assert_recovered(settled)


@pytest.mark.parametrize("system", NOT_ASKED)
def test_a_quiet_pass_does_not_even_notice_systems_that_it_does_not_ask(
    settled: Sandbox, system: str
) -> None:
    settled.inject(Fault(system, "refuse"))
    try:
        assert cycle_of(settled).run().exit_code == 0
    finally:
        settled.clear_faults()


def wrong(sandbox: Sandbox, variable: str) -> str:
    value = sandbox.environment()[variable]
    if variable == "DATABASE_URL":
        user, _, place = value.rpartition("@")
        return f"{user.rpartition(':')[0]}:wrong@{place}"
    return "wrong-" + value


@pytest.mark.parametrize(("variable", "system"), CREDENTIALS.items())
def test_a_wrong_credential_is_unknown_with_a_remedy(settled: Sandbox, variable: str, system: str) -> None:
    result = cycle_of(settled, **{variable: wrong(settled, variable)}).run()
    assert_only_unread(settled, result, READS[system])
    assert_recovered(settled)


def test_an_expired_vault_token_is_unknown_with_a_remedy(settled: Sandbox) -> None:
    environment = settled.environment()
    vault = hvac.Client(url=environment["VAULT_ADDR"], token=environment["VAULT_TOKEN"])
    token = vault.auth.token.create(ttl="2s", explicit_max_ttl="2s")["auth"]["client_token"]
    vault.adapter.close()
    time.sleep(2.5)
    assert_only_unread(settled, cycle_of(settled, VAULT_TOKEN=token).run(), READS["vault"])


@pytest.mark.parametrize(("variable", "system"), CREDENTIALS.items())
def test_a_credential_taken_away_is_an_error_of_its_resources_alone(
    settled: Sandbox, variable: str, system: str
) -> None:
    before = {slug: status(settled, slug) for slug in ("acme-widgets", "acme-gears")}
    result = cycle_of(settled, **{variable: ""}).run()
    assert result.exit_code == 1
    assert of(result, Condition.ERROR)["acme-gears"] == without_credential(system)
    assert all(variable in each.remedy for each in outcomes(result, Condition.ERROR))
    assert of(result, Condition.BLOCKED)["acme-gears"] == set()
    assert not any(of(result, Condition.UNKNOWN).values())
    assert variable in status(settled, "acme-gears")["next"]
    assert settle_at_once(settled).exit_code == 0
    for slug, document in before.items():
        after = status(settled, slug)
        assert {
            name: entry["outputs"] for name, entry in after["resources"].items() if "outputs" in entry
        } == {name: entry["outputs"] for name, entry in document["resources"].items() if "outputs" in entry}
        assert (after["status"], after.get("next")) == (document["status"], document.get("next"))


@pytest.mark.parametrize(("variable", "system"), SENT.items())
def test_an_address_or_credential_that_is_none_is_an_error_of_its_resources_alone(
    settled: Sandbox, variable: str, system: str
) -> None:
    value = "http://x y/" if VARIABLES[variable].is_address else "canary\nand more"
    result = cycle_of(settled, **{variable: value}).run()
    assert of(result, Condition.ERROR)["acme-gears"] - {"credentials"} == without_settings(system)
    assert all("setting " in each.reason for each in outcomes(result, Condition.ERROR))
    assert all(each.remedy for each in outcomes(result, Condition.ERROR))
    assert of(result, Condition.BLOCKED)["acme-gears"] == set()
    assert not any(of(result, Condition.UNKNOWN).values())
    assert settle_at_once(settled).exit_code == 0


@pytest.mark.parametrize("identity", ["AGE-SECRET-KEY-1WRONG", ""])
def test_without_a_usable_identity_only_logins_fail(settled: Sandbox, identity: str) -> None:
    result = cycle_of(settled, RECONCILER_AGE_IDENTITY=identity).run()
    assert result.exit_code == 1
    assert of(result, Condition.ERROR) == {"acme-widgets": {"oauth"}, "acme-gears": set()}
    assert all("RECONCILER_AGE_IDENTITY" in each.remedy for each in outcomes(result, Condition.ERROR))
    assert settle_at_once(settled).exit_code == 0


def test_a_secret_rotated_to_what_cannot_be_sent_stops_only_what_it_is_for(
    settled: Sandbox, tmp_path: Path
) -> None:
    file, token = tmp_path / "token", settled.environment()["VAULT_TOKEN"]
    file.write_text(token, encoding="utf-8")
    cycle = cycle_of(settled, VAULT_TOKEN="", VAULT_TOKEN_FILE=str(file))
    assert cycle.run().exit_code == 0
    file.write_text(f"{token}\nand more", encoding="utf-8")
    assert of(cycle.run(), Condition.ERROR)["acme-gears"] == VAULT
    file.write_text(token, encoding="utf-8")
    result = cycle.run()
    assert not any(of(result, Condition.ERROR).values())
    assert settle_at_once(settled).exit_code == 0


def test_a_rotated_secret_counts_from_the_next_pass_on(settled: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(settled.environment()["VAULT_TOKEN"])
    cycle = cycle_of(settled, VAULT_TOKEN="", VAULT_TOKEN_FILE=str(file))
    before = commits(settled)
    assert cycle.run().exit_code == 0
    file.write_text("no longer valid")
    assert of(cycle.run(), Condition.UNKNOWN)["acme-gears"] >= VAULT
    file.unlink()
    with pytest.raises(ConfigurationError, match="VAULT_TOKEN_FILE"):
        cycle.run()
    file.write_text(settled.environment()["VAULT_TOKEN"])
    assert cycle.run().exit_code == 0
    assert commits(settled) == before
