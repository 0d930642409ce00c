"""LiteLLM's team and key, against the emulator that `make test-live` compares with the original."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from reconciler.model.decision import Action, Failed, Needed, Settled
from reconciler.model.errors import Collision, Missing, Rejected
from reconciler.model.item import Identity
from reconciler.sandbox.emulators.litellm.app import create_app
from reconciler.sandbox.emulators.store import Store
from tests.integration.conftest import VaultCorner
from tests.kinds.project.support.litellm import (
    ADMIN,
    ALIAS,
    EVERYTHING,
    FIRST,
    MARKER,
    SECOND,
    World,
    emulated,
    settled,
    token,
)
from tests.kinds.project.support.passes import target
from tests.support.serve import serve


@pytest.fixture
def world(vault: VaultCorner) -> Iterator[World]:
    with emulated(vault) as made:
        yield made


def test_a_team_and_a_key_once(world: World) -> None:
    passes = world.passes()
    decision = passes.plan(target(**EVERYTHING))
    assert passes.apply(target(**EVERYTHING), decision) == Settled({"teamId": "gh-7"})
    team, key = world.team(), world.key()
    assert (team["team_alias"], team["models"], team["max_budget"]) == ("acme/widgets", ["sonnet"], 50.0)
    assert team["budget_duration"] == "1mo"
    assert team["budget_reset_at"]
    assert team["litellm_model_table"]["model_aliases"] == {"default": "sonnet"}
    assert team["metadata"].items() >= {**MARKER, "default_model": "sonnet"}.items()
    assert (key["key_alias"], key["team_id"]) == (ALIAS, "gh-7")
    assert key["metadata"] == {**MARKER, "vault_version": "1 of then"}
    assert settled(passes, **EVERYTHING)
    # Another process had the same plan.
    passes.apply(target(**EVERYTHING), decision)
    assert len(world.everything()) == 2
    assert settled(passes, **EVERYTHING)


def test_a_quiet_pass_changes_nothing(world: World) -> None:
    world.passes().run(target(**EVERYTHING))
    before = world.everything()
    assert settled(world.passes(), **EVERYTHING)
    assert world.everything() == before


def test_a_pass_that_died_between_team_and_key(world: World) -> None:
    world.by_hand("/team/new", team_id="gh-7", team_alias="acme/widgets", metadata=MARKER)
    decision = world.passes().plan(target())
    assert isinstance(decision, Needed)
    assert decision.change.summary == "the key of team acme/widgets"
    world.passes().apply(target(), decision)
    assert world.key()["team_id"] == "gh-7"
    assert settled(world.passes())


def test_a_key_that_vanished_from_vault_leaves_the_team(world: World) -> None:
    decision = world.passes().plan(target())
    world.vault.root.secrets.kv.v2.delete_metadata_and_all_versions(
        "mesh-six/envs/acme-widgets.llm-key", mount_point=world.vault.mount
    )
    with pytest.raises(Missing):
        world.passes().apply(target(), decision)
    world.hold(SECOND)
    world.passes().run(target())
    assert world.key(SECOND)["team_id"] == "gh-7"
    assert len(world.everything()) == 2


def test_a_foreign_team_with_our_id(world: World) -> None:
    create = world.passes().plan(target())
    world.by_hand("/team/new", team_id="gh-7", team_alias="theirs", metadata={"owner": "them"})
    before = world.everything()
    for refused in (world.passes().plan(target()), world.passes().apply(target(), create)):
        assert isinstance(refused, Failed)
        assert refused.conflict
        assert "adopt: true" in refused.remedy
    assert world.everything() == before


def test_a_team_of_another_project_of_ours(world: World) -> None:
    world.by_hand("/team/new", team_id="gh-7", metadata={**MARKER, "project": "acme-other"})
    before = world.everything()
    assert isinstance(world.passes().plan(target()), Failed)
    assert world.everything() == before


def test_teams_with_other_ids_are_no_concern(world: World) -> None:
    world.by_hand(
        "/team/new", team_id="gh-6", team_alias="acme/widgets", metadata={**MARKER, "identity": "6"}
    )
    world.by_hand("/team/new", team_id="gh-8", team_alias="acme/widgets")
    others = world.team("gh-6"), world.team("gh-8")
    world.passes().run(target())
    assert world.key()["team_id"] == "gh-7"
    assert (world.team("gh-6"), world.team("gh-8")) == others


def test_marks_from_before_they_had_an_identity_are_renewed_once(world: World) -> None:
    world.passes().run(target())
    old = {key: value for key, value in MARKER.items() if key != "identity"}
    world.by_hand("/team/update", team_id="gh-7", metadata={**old, "sets": []})
    world.by_hand("/key/update", key=FIRST, metadata={**old, "vault_version": "1 of then"})
    assert isinstance(world.passes().plan(target()), Failed)  # nothing says whose they are
    known = target(identity=Identity("repository acme/widgets", "7"))
    world.passes().run(known)
    assert world.team()["metadata"].items() >= MARKER.items()
    assert world.key()["metadata"].items() >= MARKER.items()
    assert settled(world.passes())


def test_adopting_a_team_keeps_what_is_theirs(world: World) -> None:
    world.by_hand(
        "/team/new", team_id="gh-7", team_alias="theirs", metadata={"owner": "them"}, models=["haiku"],
        model_aliases={"fast": "haiku", "default": "haiku"}, tpm_limit=7, max_budget=5, budget_duration="7d",
    )  # fmt: skip
    decision = world.passes().plan(target(adopt=True))
    assert isinstance(decision, Needed)
    assert decision.change.action is Action.ADOPT
    world.passes().apply(target(adopt=True), decision)
    team = world.team()
    assert team["metadata"] == {**MARKER, "owner": "them", "sets": []}
    assert (team["models"], team["max_budget"], team["budget_duration"], team["tpm_limit"]) == (
        ["haiku"],
        5.0,
        "7d",
        7,
    )
    assert settled(world.passes(), adopt=True)
    world.passes().run(target(adopt=True, **EVERYTHING))
    assert world.team()["litellm_model_table"]["model_aliases"] == {"fast": "haiku", "default": "sonnet"}
    world.passes().run(target(adopt=True))
    assert world.team()["litellm_model_table"]["model_aliases"] == {"fast": "haiku"}
    assert world.team()["metadata"] == {**MARKER, "owner": "them", "sets": []}


def test_a_foreign_key_with_our_alias(world: World) -> None:
    create = world.passes().plan(target())
    theirs = world.by_hand("/key/generate", key_alias=ALIAS)["key"]
    refused = world.passes().plan(target())
    assert isinstance(refused, Failed)
    assert refused.conflict
    with pytest.raises(Collision):
        world.passes().apply(target(), create)
    assert (world.key(theirs)["blocked"], world.key(theirs)["key_alias"]) == (None, ALIAS)
    world.by_hand("/key/delete", key_aliases=[ALIAS])
    world.passes().run(target())
    assert world.key()["key_alias"] == ALIAS


def test_two_keys_of_one_alias_that_raced(world: World) -> None:
    world.passes().run(target())
    ours = world.key()
    theirs = {**ours, "token": "f" * 64, "metadata": {}, "created_at": "2030-01-01T00:00:00.000000Z"}
    world.store.put("keys", theirs["token"], theirs)
    assert settled(world.passes())


def test_a_second_key_of_ours_that_was_late_gives_up_the_alias_and_is_blocked(world: World) -> None:
    world.passes().run(target())
    late = {**world.key(), "token": "f" * 64, "created_at": "2030-01-01T00:00:00.000000Z"}
    world.store.put("keys", late["token"], late)
    decision = world.passes().plan(target())
    assert isinstance(decision, Needed)
    assert decision.change.before["surplusKeys"] == 1
    world.passes().apply(target(), decision)
    kept, blocked = world.key(), world.store.get("keys", "f" * 64)
    assert blocked
    assert (kept["key_alias"], kept["blocked"]) == (ALIAS, None)
    assert (blocked["key_alias"], blocked["blocked"]) == (f"{ALIAS}/{'f' * 12}", True)
    assert settled(world.passes())


def test_a_rotated_secret(world: World) -> None:
    world.passes().run(target())
    world.hold(SECOND)
    decision = world.passes("2 of later").plan(target())
    assert isinstance(decision, Needed)
    assert decision.change.before["keyVersion"] == "1 of then"
    world.passes().apply(target(), decision)
    old, new = world.key(), world.key(SECOND)
    assert (old["blocked"], old["key_alias"]) == (True, f"{ALIAS}/{token(FIRST)[:12]}")
    assert (new["blocked"], new["key_alias"], new["metadata"]["vault_version"]) == (None, ALIAS, "2 of later")
    assert settled(world.passes("2 of later"))


def test_a_rotation_that_died_half_way(world: World) -> None:
    world.passes().run(target())
    world.hold(SECOND)
    world.by_hand("/key/update", key=token(FIRST), key_alias=f"{ALIAS}/{token(FIRST)[:12]}", blocked=True)
    world.passes("2 of later").run(target())
    assert world.key(SECOND)["key_alias"] == ALIAS
    assert settled(world.passes("2 of later"))


@pytest.mark.parametrize("path", ["value", "alias"])
def test_a_deleted_key_is_registered_again(world: World, path: str) -> None:
    world.passes().run(target())
    world.by_hand("/key/delete", **({"keys": [FIRST]} if path == "value" else {"key_aliases": [ALIAS]}))
    world.passes().run(target())
    assert world.key()["key_alias"] == ALIAS
    assert settled(world.passes())


def test_our_key_registered_by_hand_keeps_its_metadata(world: World) -> None:
    world.by_hand("/key/generate", key=FIRST, key_alias="theirs", metadata={"note": "kept"}, max_budget=3)
    world.passes().run(target())
    key = world.key()
    assert key["metadata"] == {**MARKER, "note": "kept", "vault_version": "1 of then"}
    assert (key["key_alias"], key["team_id"], key["max_budget"]) == (ALIAS, "gh-7", 3.0)
    assert settled(world.passes())


def test_wishes_that_are_taken_back(world: World) -> None:
    world.passes().run(target(**EVERYTHING))
    world.passes().run(target())
    team = world.team()
    unset = [team[name] for name in ("max_budget", "budget_duration", "budget_reset_at", "models")]
    assert unset == [None, None, None, []]
    assert team["litellm_model_table"]["model_aliases"] == {}
    assert settled(world.passes())


def test_defaults_of_the_server_and_limits_by_hand_stay(world: World) -> None:
    world.passes().run(target())
    world.by_hand("/team/update", team_id="gh-7", max_budget=9, budget_duration="7d", models=["haiku"])
    assert settled(world.passes())
    assert settled(world.passes(), litellm={"maxBudget": 9}) is False
    world.passes().run(target(litellm={"maxBudget": 10}))
    assert (world.team()["max_budget"], world.team()["models"]) == (10.0, ["haiku"])


def test_models_and_budget_for_all(world: World) -> None:
    settings: dict[str, Any] = {"models": ["sonnet", "haiku"], "maxBudget": 20.5}
    world.passes(**settings).run(target())
    assert (world.team()["models"], world.team()["max_budget"]) == (["haiku", "sonnet"], 20.5)
    assert settled(world.passes(models=["haiku", "sonnet"], maxBudget=20.5))
    world.by_hand("/team/update", team_id="gh-7", models=["sonnet", "haiku"])
    assert settled(world.passes(**settings))


def test_a_proxy_that_takes_no_keys_made_elsewhere(vault: VaultCorner) -> None:
    with serve(create_app(Store(), admin_key=ADMIN, custom_keys=False)) as url:
        world = World(url, Store(), vault)
        world.hold(FIRST)
        with pytest.raises(Rejected) as refused:
            world.passes().run(target())
    assert "disable_custom_api_keys" in refused.value.remedy
    assert FIRST not in str(refused.value)


def test_plans_hold_no_secret(world: World) -> None:
    decision = world.passes().plan(target(**EVERYTHING))
    assert isinstance(decision, Needed)
    shown: Mapping[str, Any] = decision.change.after
    assert FIRST not in str(decision)
    assert list(shown) == [
        "team",
        "alias",
        "models",
        "defaultModel",
        "maxBudget",
        "budgetDuration",
        "keyVersion",
    ]
