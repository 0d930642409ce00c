"""Evidence of the team and the key at the LLM gateway."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tests.kinds.project.evidence.item import another, made, number_of, slug_of
from tests.kinds.project.evidence.vault import ENVIRONMENTS
from tests.support.evidence import Look, Rival, Shown
from tests.support.systems import Door, Systems

LITELLM = Door("LITELLM_URL", "LITELLM_ADMIN_KEY")
TEAM = ("team_id", "team_alias", "metadata", "models", "max_budget", "budget_duration", "blocked")
KEY = ("key_alias", "team_id", "metadata", "blocked")


def _team_id(systems: Systems, name: str) -> str:
    return f"gh-{number_of(systems, name)}"


def _known(systems: Systems, name: str) -> Any:
    store, slug = systems.store("litellm"), slug_of(name)
    found = systems.secret(f"{ENVIRONMENTS}/{slug}.llm-key")
    token = hashlib.sha256((found[0] if found else {}).get("key", "").encode()).hexdigest()
    teams = [team for _, team in store.items("teams") if slug in json.dumps(team)]
    keys = [each for _, each in store.items("keys") if slug in json.dumps(each)]
    return {
        "teams": [{field: team.get(field) for field in TEAM} for team in teams],
        "keys": [
            {
                **{field: each.get(field) for field in KEY},
                # None and False are the same to LiteLLM
                "blocked": bool(each.get("blocked")),
                "is the one in Vault": each["token"] == token,
            }
            for each in keys
        ],
    }


def _totals(systems: Systems) -> Mapping[str, int]:
    return {each: sum(1 for _ in systems.store("litellm").items(each)) for each in ("teams", "keys")}


def _their_team(systems: Systems, name: str) -> Look:
    team = _team_id(systems, name)
    systems.ask(LITELLM, "POST", "/team/new", {"team_id": team, "team_alias": f"theirs {name}"})
    return lambda: systems.store("litellm").get("teams", team)


def their_key(systems: Systems, name: str) -> Look:
    """Make a key of the name that the project's has; whatever its file says, nobody can adopt its value."""
    given = systems.ask(LITELLM, "POST", "/key/generate", {"key_alias": f"mesh-six/{slug_of(name)}"})
    token = hashlib.sha256(given["key"].encode()).hexdigest()
    return lambda: systems.store("litellm").get("keys", token)


def _key(systems: Systems, name: str) -> None:
    systems.ask(LITELLM, "POST", "/key/generate", {"key_alias": f"mesh-six/{slug_of(name)}/{another()}"})


SHOWN: Mapping[str, Shown] = {
    "litellm": Shown(
        made=made({"litellm": _known}, _totals, {"teams": 1, "keys": 1}),
        foreign=Rival(_their_team),
        more=_key,
        take_away=lambda systems, name: systems.store("litellm").delete("teams", _team_id(systems, name)),
        left="the team, which tells what was spent",
    )
}
