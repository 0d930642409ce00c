"""Teams: what is kept of one, and the routes about them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from reconciler.sandbox.emulators.litellm import budgets
from reconciler.sandbox.emulators.litellm.calls import (
    NewTeam,
    Refusal,
    TeamQuery,
    TeamUpdate,
    bad,
    page_of,
    read_body,
    read_query,
)
from reconciler.sandbox.emulators.litellm.key_rows import ADMIN, timestamp
from reconciler.sandbox.emulators.store import Store

_MEMBER = {"user_id": ADMIN, "user_email": None, "role": "admin"}
_ROW: Mapping[str, Any] = {
    "team_id": None, "team_alias": None, "organization_id": None, "admins": [], "members": [],
    "members_with_roles": [_MEMBER], "team_member_permissions": [], "metadata": {}, "tpm_limit": None,
    "rpm_limit": None, "tpd_limit": None, "max_budget": None, "soft_budget": None, "budget_duration": None,
    "budget_limits": None, "models": [], "blocked": False, "router_settings": {}, "access_group_ids": [],
    "default_team_member_models": [], "spend": 0.0, "max_parallel_requests": None, "budget_reset_at": None,
    "model_id": None, "model_spend": {}, "model_max_budget": {}, "policies": [],
    "allow_team_guardrail_config": False, "litellm_model_table": None, "object_permission": None,
    "object_permission_id": None, "updated_at": None, "created_at": None,
}  # fmt: skip
_GROUPS = {"access_group_models": None, "access_group_mcp_server_ids": None, "access_group_agent_ids": None}
_INFO = {
    **_GROUPS, "team_member_budget_table": None, "access_group_details": None, "organization_models": None,
    "model_max_budget_usage": {}, "caller_edit_access": {"kind": "unrestricted"},
}  # fmt: skip


class Teams:
    """The routes about teams."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    async def new(self, request: Request) -> Response:
        """Make a team, with a random id unless one is given."""
        given = (await read_body(request, NewTeam)).given()
        team_id = given.get("team_id") or str(uuid.uuid4())
        if self._store.get("teams", team_id):
            raise bad(f"Team id = {team_id} already exists. Please use a different team id.")
        budgets.check(given)
        team = {**_ROW, "created_at": timestamp(self._clock)}
        self._change(request, team, {**given, "team_id": team_id, "metadata": given.get("metadata") or {}})
        return JSONResponse(_brief(team))

    async def update(self, request: Request) -> Response:
        """Change the fields that are given; null unsets one."""
        given = (await read_body(request, TeamUpdate)).given()
        team = self._store.get("teams", given["team_id"])
        if team is None:
            raise bad(f"Team not found, passed team_id={given['team_id']}", 404)
        budgets.check(given)
        self._change(request, team, given)
        data = {**team, "litellm_organization_table": None, "projects": None}
        return JSONResponse({"team_id": team["team_id"], "data": data})

    async def info(self, request: Request) -> Response:
        """Show one team with its keys."""
        team_id = request.query_params.get("team_id")
        if team_id is None:
            raise _unfound(422, "Malformed request. No team id passed in.")
        team = self._store.get("teams", team_id)
        if team is None:
            raise _unfound(404, f"Team not found, passed team id: {team_id}.")
        members = [{**member, "user_alias": None} for member in team["members_with_roles"]]
        body = {
            "team_id": team_id,
            "team_info": {**_brief(team), **_INFO, "members_with_roles": members},
            "keys": self._keys().get(team_id, []),
            "team_memberships": [{**_membership(team_id), "budget_source": "none"}],
        }
        return JSONResponse(body)

    async def everything(self, request: Request) -> Response:
        """Show all teams with all their keys, as one list."""
        found = self._keys()
        return JSONResponse(
            [
                {
                    **_brief(team),
                    "team_memberships": [_membership(team_id)],
                    "keys": found.get(team_id, []),
                }
                for team_id, team in self._store.items("teams")
            ]
        )

    async def page(self, request: Request) -> Response:
        """Show one page of the teams with this id, or with this text in their alias in any letter case."""
        query = read_query(request, TeamQuery)
        rows = [team for _, team in self._store.items("teams")]
        if query.team_id:
            rows = [team for team in rows if team["team_id"] == query.team_id]
        if query.team_alias:
            part = query.team_alias.lower()
            rows = [team for team in rows if part in str(team["team_alias"] or "").lower()]
        chosen, pages = page_of(rows, query.page, query.page_size)
        found = self._keys() if chosen else {}
        body = {
            "teams": [
                {
                    **_brief(team),
                    **_GROUPS,
                    "members_count": len(team["members_with_roles"]),
                    "keys_count": len(found.get(team["team_id"], [])),
                }
                for team in chosen
            ],
            "total": len(rows),
            "page": query.page,
            "page_size": query.page_size,
            "total_pages": pages,
        }
        return JSONResponse(body)

    def _keys(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for _, key in self._store.items("keys"):
            found.setdefault(str(key["team_id"]), []).append(key)
        return found

    def _change(self, request: Request, team: dict[str, Any], given: Mapping[str, Any]) -> None:
        now = timestamp(self._clock)
        team |= {name: value for name, value in given.items() if name in _ROW}
        if "budget_duration" in given:
            team["budget_reset_at"] = budgets.reset_at(given["budget_duration"], self._clock())
        if given.get("model_aliases") is not None:
            team["model_id"] = team["model_id"] or self._store.next_number("model")
            old = team["litellm_model_table"] or {"created_at": now}
            team["litellm_model_table"] = {
                "id": team["model_id"], "model_aliases": given["model_aliases"], "team": None,
                "created_by": ADMIN, "updated_by": ADMIN, "created_at": old["created_at"], "updated_at": now,
            }  # fmt: skip
        team["updated_at"] = now
        self._store.put("teams", team["team_id"], team)
        request.state.wrote = True


def _brief(team: Mapping[str, Any]) -> dict[str, Any]:
    aliases = team["litellm_model_table"]
    hidden = {"created_at", "updated_at"}
    shown = aliases and {name: value for name, value in aliases.items() if name not in hidden}
    return {**team, "litellm_model_table": shown}


def _membership(team_id: str) -> dict[str, Any]:
    return {
        "user_id": ADMIN, "team_id": team_id, "budget_id": None, "spend": 0.0, "total_spend": 0.0,
        "litellm_budget_table": None,
    }  # fmt: skip


def _unfound(status: int, message: str) -> Refusal:
    return Refusal(status, str({"message": message}), "auth_error", "None")
