"""What is asked of both proxies: stories of teams, keys and refusals, each with its own names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from tests.live.compare import Call

RANDOM = "the proxy makes the key up"
OURS = {"managed_by": "mesh-six-reconciler", "project": "acme-widgets"}


def post(path: str, json: Any = None, **options: Any) -> Call:
    return Call("POST", path, json=json, **options)


def get(path: str, params: Mapping[str, Any] | None = None, **options: Any) -> Call:
    return Call("GET", path, params=params, **options)


def own_key(name: str) -> str:
    return f"sk-{name}-0123456789abcdefghijklmnopqrstuvwxyz"


def token(name: str) -> str:
    return sha256(own_key(name).encode()).hexdigest()


def team(team_id: str, **fields: Any) -> Call:
    return post("/team/new", {"team_id": team_id, **fields})


def team_info(team_id: str) -> Call:
    return get("/team/info", {"team_id": team_id})


def change(team_id: str, **fields: Any) -> Call:
    return post("/team/update", {"team_id": team_id, **fields})


def key(name: str, **fields: Any) -> Call:
    return post("/key/generate", {"key": own_key(name), **fields})


def key_info(name: str) -> Call:
    return get("/key/info", {"key": token(name)})


def change_key(name: str, **fields: Any) -> Call:
    return post("/key/update", {"key": token(name), **fields})


TEAMS: Mapping[str, Sequence[Call]] = {
    "a team with what the reconciler sets": [
        team(
            "gh-1", team_alias="acme/widgets", models=["sonnet"], max_budget=50.0, budget_duration="1mo",
            metadata={**OURS, "default_model": "sonnet"}, model_aliases={"default": "sonnet"},
        ),
        team_info("gh-1"),
        get("/v2/team/list", {"team_id": "gh-1"}),
        team("gh-1", team_alias="another"),
        change("gh-1", max_budget=75.5, metadata=OURS),
        team_info("gh-1"),
        change("gh-1", max_budget=None, budget_duration=None),
        team_info("gh-1"),
        change("gh-1", models=[]),
        change("gh-1", model_aliases={"default": "haiku"}),
        change("gh-1", model_aliases={}),
        change("gh-1", metadata={}),
        change("gh-1", team_alias="acme/gadgets", blocked=True),
        team_info("gh-1"),
    ],
    "a team with nothing, and one without an id": [
        team("bare"),
        team_info("bare"),
        post("/team/new", {"team_alias": "no id"}),
        post("/team/new", {}),
        get("/v2/team/list", {"team_alias": "no id"}),
        change("bare", model_aliases={}),
        change("bare", metadata=None),
        change("bare", team_alias=None),
        change("bare"),
        team("bare-aliases", model_aliases={}),
        team("bare-nulls", team_alias=None, metadata=None, max_budget=None, model_aliases=None),
        team("bare-refused", models=None, blocked=None),
    ],
    "one alias, two teams": [
        team("twin-1", team_alias="twins"),
        team("twin-2", team_alias="twins"),
        get("/v2/team/list", {"team_alias": "twins"}),
        get("/v2/team/list", {"team_alias": "WIN"}),
        get("/v2/team/list", {"team_id": "twin-"}),
    ],
    "budgets": [
        *(
            team(f"budget-{duration}", max_budget=1, budget_duration=duration)
            for duration in ("1mo", "30d", "7d", "1d", "3d", "24h", "1h", "1w", "2mo", "monthly", "soon", "")
        ),
        team("budget-negative", max_budget=-1),
        team("budget-zero", max_budget=0),
        team("budget-text", max_budget="12.5"),
        team("budget-words", max_budget="plenty"),
        team("budget-soft", max_budget=5, soft_budget=9),
        change("budget-zero", budget_duration="2mo"),
        change("budget-zero", max_budget=-5),
        change("budget-zero", max_budget=3, budget_duration="7d"),
        change("budget-zero", budget_duration="30d"),
        team_info("budget-zero"),
    ],
    "an unknown team": [
        team_info("nobody"),
        get("/team/info"),
        get("/team/info", {"team_id": ""}),
        change("nobody", team_alias="x"),
        post("/team/update", {"team_alias": "x"}),
        post("/team/update", {}),
        get("/v2/team/list", {"team_id": "nobody"}),
    ],
    "pages of teams": [
        *(team(f"page-{number}", team_alias=f"paged {number}") for number in range(5)),
        *(
            get("/v2/team/list", {"team_alias": "paged", "page": page, "page_size": 2})
            for page in (1, 2, 3, 4)
        ),
        get("/v2/team/list", {"page_size": 100}),
        get("/v2/team/list"),
        get("/v2/team/list", {"page_size": 101}),
        get("/v2/team/list", {"page_size": 0}),
        get("/v2/team/list", {"page": 0}),
        get("/v2/team/list", {"page": "x"}),
        get("/team/list", unordered=True),
    ],
    "a team's fields of wrong types": [
        team("wrong", models="sonnet"),
        team("wrong", metadata="text"),
        team("wrong", blocked="perhaps"),
        team("wrong", team_alias=5),
        post("/team/new", {"team_id": 5}),
        team("wrong", model_aliases="default"),
        team("unknown-field", colour="green"),
    ],
}  # fmt: skip

KEYS: Mapping[str, Sequence[Call]] = {
    "our own key": [
        team("keys-1", team_alias="keys"),
        key("own", key_alias="mesh-six/own", team_id="keys-1", metadata={**OURS, "vault_version": 1}),
        key_info("own"),
        get("/key/info", {"key": own_key("own")}),
        get("/key/list", {"key_alias": "mesh-six/own", "return_full_object": "true", "size": 1, "page": 1}),
        get("/key/list", {"key_alias": "mesh-six/own"}),
        get("/key/list", {"key_alias": "mesh-six"}),
        team_info("keys-1"),
        key("own", key_alias="mesh-six/own", team_id="keys-1"),
        key("own", team_id="keys-1"),
        key("own", key_alias="mesh-six/own-2", team_id="keys-1"),
        key_info("own"),
        key("rival", key_alias="mesh-six/own", team_id="keys-1"),
        key_info("rival"),
    ],
    "a key is changed": [
        key("change", key_alias="mesh-six/change", models=["sonnet"], max_budget=2),
        key("beside", key_alias="mesh-six/beside"),
        change_key("change", key_alias="mesh-six/changed", blocked=True),
        key_info("change"),
        change_key("change", key_alias="mesh-six/beside"),
        change_key("change", key_alias="mesh-six/changed"),
        change_key("change", metadata={**OURS, "vault_version": 2}, team_id="keys-2"),
        team("keys-2"),
        change_key("change", metadata={**OURS, "vault_version": 2}, team_id="keys-2"),
        change_key("change", metadata={}),
        get("/v2/team/list", {"team_id": "keys-2"}),
        change_key("change", max_budget=None),
        change_key("change", blocked=False),
        key_info("change"),
        post("/key/update", {"key": own_key("change"), "max_budget": 4}),
        change_key("nobody", key_alias="x"),
        post("/key/update", {"key_alias": "x"}),
        post("/key/update", {}),
        post("/key/update", {"key_alias": "mesh-six/beside", "max_budget": 1}),
        change_key("change", max_budget=-1),
        change_key("change", budget_duration="1mo"),
    ],
    "a key of a team that is not there": [
        key("dangling", key_alias="mesh-six/dangling", team_id="nobody"),
        key_info("dangling"),
    ],
    "a key that the proxy makes": [
        post("/key/generate", {}, differs=dict.fromkeys(("key", "key_name", "token", "token_id"), RANDOM)),
        post(
            "/key/generate", {"key_alias": "made"},
            differs=dict.fromkeys(("key", "key_name", "token", "token_id"), RANDOM),
        ),
    ],
    "a key's form": [
        post("/key/generate", {"key": "no-prefix-0123456789"}),
        post("/key/generate", {"key": "sk-short"}),
        post("/key/generate", {"key": "sk-0123456789abc"}),
        post("/key/generate", {"key": 5}),
        key("form-1", key_alias=""),
        key("form-2", key_alias="with\nnewline"),
        key("form-3", key_alias="a/../b"),
        key("form-4", max_budget=-1),
        key("form-5", max_budget=1, budget_duration="2mo"),
        key("form-6", max_budget=1, budget_duration="1mo"),
        key("form-7", models="sonnet"),
    ],
    "pages of keys": [
        *(key(f"page-{number}", key_alias=f"paged/{number}", team_id="paged-keys") for number in range(5)),
        *(
            get("/key/list", {"team_id": "paged-keys", "page": page, "size": 2, "return_full_object": "true"})
            for page in (1, 2, 3, 4)
        ),
        get("/key/list", {"team_id": "paged-keys"}),
        get(
            "/key/list",
            {"size": 100, "return_full_object": "true"},
            differs=dict.fromkeys(("key_name", "token"), RANDOM),
        ),
        get("/key/list", {"size": 101}),
        get("/key/list", {"size": 0}),
        get("/key/list", {"page": 0}),
        get("/key/list", {"page": "x"}),
    ],
    "keys are deleted": [
        key("gone-1", key_alias="gone/1"),
        key("gone-2", key_alias="gone/2"),
        post("/key/delete", {"keys": [token("gone-1")]}),
        key_info("gone-1"),
        post("/key/delete", {"key_aliases": ["gone/2"]}),
        post("/key/delete", {"keys": [token("gone-1")]}),
        post("/key/delete", {"key_aliases": ["nobody"]}),
        post("/key/delete", {}),
        key("gone-1", key_alias="gone/1"),
        key_info("gone-1"),
        get("/key/list", {"key_alias": "gone/2"}),
        change_key("gone-2", key_alias="gone/2"),
    ],
}  # fmt: skip

REFUSALS: Mapping[str, Sequence[Call]] = {
    "credentials": [
        Call(method, path, json={}, key=given)
        for given in (None, "", "sk-wrong-0123456789abcdef", "no-prefix")
        for method, path in (("GET", "/v2/team/list"), ("POST", "/team/new"), ("GET", "/key/list"))
    ],
    "a key that is not an administrator's": [
        key("weak", key_alias="weak"),
        *(
            Call(method, path, json={}, key=own_key("weak"))
            for method, path in (("GET", "/v2/team/list"), ("POST", "/team/new"), ("GET", "/key/list"))
        ),
    ],
    "bodies that are no JSON object": [
        Call("POST", path, content=content)
        for path in ("/team/new", "/key/generate", "/team/update", "/key/update", "/key/delete")
        for content in ("{", "", "[]", "null", "5", '"text"')
    ],
    "paths and methods": [
        get("/no/such/route"),
        get("/team/new"),
        post("/v2/team/list", {}),
        get("/key/info", {"key": "sk-unknown-0123456789"}),
        get("/key/info", {"key": "0" * 64}),
        get("/key/info"),
    ],
}

SCENARIOS = {**TEAMS, **KEYS, **REFUSALS}
