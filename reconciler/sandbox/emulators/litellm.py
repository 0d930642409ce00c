"""LiteLLM's admin API for teams and keys, as its proxy answers (facts §6; compared by `make test-live`).

Kept traps: a duplicate `team_alias` is fine and makes two teams; a duplicate team id or key alias is a 400
whose message is the repr of a dict; a key's value is shown once; an unknown team id is accepted for a key;
`metadata` is replaced as a whole; a budget without a duration never resets; pages hold at most 100 rows.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.sandbox.emulators.store import Store

MOST = 100
Handler = Callable[[Request], Awaitable[Response]]

TEAM_FIELDS: Mapping[str, Any] = {
    "team_alias": None, "organization_id": None, "admins": [], "members": [], "members_with_roles": [],
    "team_member_permissions": [], "metadata": {}, "tpm_limit": None, "rpm_limit": None, "max_budget": None,
    "soft_budget": None, "budget_duration": None, "models": [], "blocked": False, "model_id": None,
}  # fmt: skip
KEY_FIELDS: Mapping[str, Any] = {
    "key_name": None, "key_alias": None, "soft_budget_cooldown": False, "spend": 0.0, "expires": None,
    "models": [],
    "aliases": {}, "config": {}, "user_id": None, "team_id": None, "permissions": {},
    "max_parallel_requests": None, "metadata": {},
    "blocked": None, "tpm_limit": None, "rpm_limit": None, "max_budget": None,
    "budget_duration": None, "budget_reset_at": None, "allowed_cache_controls": [], "allowed_routes": [],
}  # fmt: skip


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str, kind: str, param: str | None = None) -> None:
        super().__init__(message)
        self.response = JSONResponse(
            {"error": {"message": message, "type": kind, "param": param, "code": str(status)}}, status
        )


def create_app(
    store: Store, *, admin_key: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Starlette:
    """Return the app; every route but the seams asks for the admin key."""
    proxy = _Proxy(store, clock)

    def guarded(handler: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            try:
                _authorise(request, admin_key)
                return await handler(request)
            except Refusal as refusal:
                return refusal.response

        return answer

    def route(path: str, handler: Handler, method: str) -> Route:
        return Route(path, guarded(handler), methods=[method])

    return Starlette(
        routes=[
            route("/team/new", proxy.new_team, "POST"),
            route("/team/update", proxy.update_team, "POST"),
            route("/team/info", proxy.team_info, "GET"),
            route("/team/list", proxy.all_teams, "GET"),
            route("/v2/team/list", proxy.team_page, "GET"),
            route("/key/generate", proxy.generate_key, "POST"),
            route("/key/update", proxy.update_key, "POST"),
            route("/key/info", proxy.key_info, "GET"),
            route("/key/list", proxy.key_page, "GET"),
            route("/key/delete", proxy.delete_keys, "POST"),
        ]
    )


def _authorise(request: Request, admin_key: str) -> None:
    given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    if not given:
        raise Refusal(401, "Authentication Error, No api key passed in.", "auth_error", "None")
    if not secrets.compare_digest(given, admin_key):
        raise Refusal(
            401, "Authentication Error, Invalid proxy server token passed.", "token_not_found_in_db", "key"
        )


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError:
        raise Refusal(400, "Invalid JSON payload", "invalid_request_error") from None
    if not isinstance(body, dict):
        raise Refusal(400, "Invalid JSON payload", "invalid_request_error")
    return body


def _bad(message: str) -> Refusal:
    """LiteLLM shows the detail of an HTTPException as Python would print it."""
    return Refusal(400, str({"error": message}), "bad_request_error", "None")


class _Proxy:
    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    async def new_team(self, request: Request) -> Response:
        body = await _body(request)
        team_id = str(body.get("team_id") or uuid.uuid4())
        if self._store.get("teams", team_id):
            raise _bad(f"Team id = {team_id} already exists. Please use a different team id.")
        _check_budget(body)
        now = self._now()
        team = {
            "team_id": team_id,
            **TEAM_FIELDS,
            **{name: body[name] for name in TEAM_FIELDS if name in body},
            "spend": 0.0,
            "max_parallel_requests": None,
            "budget_reset_at": self._reset(body.get("budget_duration")),
            "created_at": now,
            "updated_at": now,
        }
        self._aliases(team, body)
        self._put(request, "teams", team_id, team)
        return JSONResponse(team)

    async def update_team(self, request: Request) -> Response:
        body = await _body(request)
        team = self._team(str(body.get("team_id") or ""))
        _check_budget(body)
        team |= {name: body[name] for name in TEAM_FIELDS if name in body}
        if "budget_duration" in body:
            team["budget_reset_at"] = self._reset(body["budget_duration"])
        self._aliases(team, body)
        team["updated_at"] = self._now()
        self._put(request, "teams", team["team_id"], team)
        return JSONResponse({"team_id": team["team_id"], "data": team})

    async def team_info(self, request: Request) -> Response:
        team = self._team(request.query_params.get("team_id", ""))
        keys = [key for _, key in self._store.items("keys") if key["team_id"] == team["team_id"]]
        return JSONResponse(
            {"team_id": team["team_id"], "team_info": team, "keys": keys, "team_memberships": []}
        )

    async def all_teams(self, request: Request) -> Response:
        keys: dict[str, list[Any]] = {}
        for _, key in self._store.items("keys"):
            keys.setdefault(str(key["team_id"]), []).append(key)
        teams = [{**team, "keys": keys.get(team["team_id"], [])} for _, team in self._store.items("teams")]
        return JSONResponse(teams)

    async def team_page(self, request: Request) -> Response:
        query = request.query_params
        rows = [team for _, team in self._store.items("teams")]
        if team_id := query.get("team_id"):
            rows = [team for team in rows if team["team_id"] == team_id]
        if alias := query.get("team_alias"):
            rows = [team for team in rows if alias.lower() in str(team["team_alias"] or "").lower()]
        page, size, pages, chosen = _page(query, "page_size", rows)
        return JSONResponse(
            {"teams": chosen, "total": len(rows), "page": page, "page_size": size, "total_pages": pages}
        )

    async def generate_key(self, request: Request) -> Response:
        body = await _body(request)
        value = str(body.get("key") or f"sk-{secrets.token_urlsafe(16)}")
        if not value.startswith("sk-") or len(value) < 16:
            raise Refusal(
                400, "Invalid key format. LiteLLM Virtual Key must start with 'sk-'.", "bad_request_error"
            )
        _check_budget(body)
        token = hashlib.sha256(value.encode()).hexdigest()
        self._check_alias(body.get("key_alias"), but=None)
        now = self._now()
        key = self._store.get("keys", token) or {
            "token": token,
            **KEY_FIELDS,
            "key_name": f"sk-...{value[-4:]}",
            **{name: body[name] for name in KEY_FIELDS if name in body},
            "created_at": now,
            "updated_at": now,
        }
        self._put(request, "keys", token, key)
        return JSONResponse({**key, "key": value, "token_id": token})

    async def update_key(self, request: Request) -> Response:
        body = await _body(request)
        key = self._key(str(body.get("key") or ""))
        _check_budget(body)
        if "key_alias" in body:
            self._check_alias(body["key_alias"], but=key["token"])
        key |= {name: body[name] for name in KEY_FIELDS if name in body}
        key["updated_at"] = self._now()
        self._put(request, "keys", key["token"], key)
        return JSONResponse({"key": body["key"], **{name: key[name] for name in KEY_FIELDS}})

    async def key_info(self, request: Request) -> Response:
        asked = request.query_params.get("key", "")
        key = self._key(asked)
        return JSONResponse({"key": asked, "info": {name: key[name] for name in key if name != "token"}})

    async def key_page(self, request: Request) -> Response:
        query = request.query_params
        rows = [key for _, key in self._store.items("keys")]
        for name in ("key_alias", "team_id"):
            if wanted := query.get(name):
                rows = [key for key in rows if key[name] == wanted]
        page, _, pages, chosen = _page(query, "size", rows)
        full = query.get("return_full_object", "").lower() == "true"
        keys = chosen if full else [key["token"] for key in chosen]
        return JSONResponse(
            {"keys": keys, "total_count": len(rows), "current_page": page, "total_pages": pages}
        )

    async def delete_keys(self, request: Request) -> Response:
        body = await _body(request)
        aliases = set(body.get("key_aliases") or [])
        tokens = {_token(str(key)) for key in body.get("keys") or []}
        tokens |= {token for token, key in self._store.items("keys") if key["key_alias"] in aliases}
        gone = [token for token in sorted(tokens) if self._store.get("keys", token)]
        for token in gone:
            self._store.delete("keys", token)
            request.state.wrote = True
        return JSONResponse({"deleted_keys": gone})

    def _team(self, team_id: str) -> dict[str, Any]:
        team = self._store.get("teams", team_id)
        if team is None:
            message = f"Team not found, passed team id: {team_id}."
            raise Refusal(404, str({"message": message}), "not_found_error", "team_id")
        return team

    def _key(self, asked: str) -> dict[str, Any]:
        key = self._store.get("keys", _token(asked))
        if key is None:
            raise Refusal(404, str({"message": "No keys found"}), "not_found_error", "key")
        return key

    def _check_alias(self, alias: object, *, but: str | None) -> None:
        if alias and any(
            key["key_alias"] == alias and token != but for token, key in self._store.items("keys")
        ):
            message = (
                f"Key with alias '{alias}' already exists. Unique key aliases across all keys are required."
            )
            raise Refusal(400, message, "bad_request_error", "key_alias")

    def _aliases(self, team: dict[str, Any], body: Mapping[str, Any]) -> None:
        if body.get("model_aliases"):
            team["model_id"] = team["model_id"] or self._store.next_number("model")
            team["litellm_model_table"] = {"model_aliases": body["model_aliases"]}

    def _put(self, request: Request, collection: str, key: str, document: dict[str, Any]) -> None:
        self._store.put(collection, key, document)
        request.state.wrote = True

    def _now(self) -> str:
        return self._clock().isoformat()

    def _reset(self, duration: object) -> str | None:
        """Return when the budget starts anew: the first of the month for a month or 30 days (facts §6)."""
        if not duration:
            return None
        today = self._clock().replace(hour=0, minute=0, second=0, microsecond=0)
        if duration in {"1mo", "30d"}:
            return (today.replace(day=1) + timedelta(days=32)).replace(day=1).isoformat()
        return (today + timedelta(days=1)).isoformat()


def _token(asked: str) -> str:
    return hashlib.sha256(asked.encode()).hexdigest() if asked.startswith("sk-") else asked


def _check_budget(body: Mapping[str, Any]) -> None:
    budget = body.get("max_budget")
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int | float)):
        raise Refusal(422, "max_budget: Input should be a valid number", "invalid_request_error")
    if budget is not None and budget < 0:
        raise _bad(f"max_budget cannot be negative. Received: {budget}")
    duration = body.get("budget_duration")
    if duration is not None and (
        not re.fullmatch(r"[0-9]+(?:s|m|h|d|w|mo)", str(duration))
        or re.fullmatch(r"(?!1mo)[0-9]+mo", str(duration))
    ):
        raise _bad(f"Invalid budget_duration: {duration}")


def _page(
    query: Mapping[str, str], size_name: str, rows: list[dict[str, Any]]
) -> tuple[int, int, int, list[dict[str, Any]]]:
    try:
        page, size = int(query.get("page", 1)), int(query.get(size_name, 10))
    except ValueError:
        raise Refusal(422, "page: Input should be a valid integer", "invalid_request_error") from None
    if page < 1 or not 1 <= size <= MOST:
        raise Refusal(422, f"{size_name}: Input should be between 1 and {MOST}", "invalid_request_error")
    pages = -(-len(rows) // size)
    return page, size, pages, rows[(page - 1) * size : page * size]
