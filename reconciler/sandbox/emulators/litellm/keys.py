"""The routes about keys."""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from reconciler.sandbox.emulators.litellm import budgets, key_rows
from reconciler.sandbox.emulators.litellm.calls import (
    KeyDeletion,
    KeyQuery,
    KeyUpdate,
    NewKey,
    Refusal,
    bad,
    masked,
    page_of,
    read_body,
    read_query,
)
from reconciler.sandbox.emulators.litellm.key_rows import ADMIN, ROW, timestamp
from reconciler.sandbox.emulators.store import Store

_SHORTEST = 16
_UNIQUE = "Unique key aliases across all keys are required."


class Keys:
    """The routes about keys."""

    def __init__(self, store: Store, clock: Callable[[], datetime], *, custom_keys: bool) -> None:
        self._store = store
        self._clock = clock
        self._custom_keys = custom_keys

    async def generate(self, request: Request) -> Response:
        """Register the given key or make one; where it is registered already, only the answer is new."""
        given = (await read_body(request, NewKey)).given()
        budgets.check(given)
        self._check_alias(given.get("key_alias"), but=None)
        value = given.pop("key", None)
        self._check_value(value)
        value = value or f"sk-{secrets.token_urlsafe(16)}"
        token, now = _hash(value), timestamp(self._clock)
        row = {
            **ROW,
            **given,
            "token": token,
            "key_name": f"sk-...{value[-4:]}",
            "budget_reset_at": budgets.reset_at(given.get("budget_duration"), self._clock()),
            "created_at": now,
            "updated_at": now,
        }
        kept = self._store.get("keys", token)
        if kept is None:
            self._put(request, row)
        times = {name: (kept or row)[name] for name in ("created_at", "updated_at")}
        return JSONResponse(key_rows.made({**row, **times}, value))

    async def update(self, request: Request) -> Response:
        """Change the fields that are given; null unsets one."""
        given = (await read_body(request, KeyUpdate)).given()
        asked, row = self._asked(given)
        if (wrong := budgets.problem(given)) is not None:
            raise Refusal(400, str({"error": wrong}), "auth_error", "None")
        team_id = given.get("team_id")
        if team_id and not self._store.get("teams", team_id):
            wrong = f"Team doesn't exist in db. Team={team_id}. Create team via `/team/new` call."
            raise Refusal(404, str({"error": wrong}), "auth_error", "None")
        self._check_alias(given.get("key_alias"), but=row["token"])
        row |= given
        if "budget_duration" in given:
            row["budget_reset_at"] = budgets.reset_at(given["budget_duration"], self._clock())
        row["updated_at"] = row["settings_updated_at"] = timestamp(self._clock)
        self._put(request, row)
        return JSONResponse(key_rows.changed(row, asked))

    async def info(self, request: Request) -> Response:
        """Show one key, by value or hash; a deleted one too."""
        asked = request.query_params.get("key", "")
        if row := self._store.get("keys", _token(asked)):
            return JSONResponse({"key": asked, "info": key_rows.alone(row)})
        if row := self._store.get("deleted_keys", _token(asked)):
            return JSONResponse({"key": asked, "info": key_rows.deleted(row)})
        raise Refusal(404, "Key not found in database", "not_found_error", "key")

    async def page(self, request: Request) -> Response:
        """Show one page of the keys with exactly this alias or team."""
        query = read_query(request, KeyQuery)
        rows = [key for _, key in self._store.items("keys")]
        for name, wanted in (("key_alias", query.key_alias), ("team_id", query.team_id)):
            if wanted:
                rows = [key for key in rows if key[name] == wanted]
        chosen, pages = page_of(rows, query.page, query.size)
        shown = [key_rows.listed(key) if query.return_full_object else key["token"] for key in chosen]
        return JSONResponse(
            {"keys": shown, "total_count": len(rows), "current_page": query.page, "total_pages": pages}
        )

    async def delete(self, request: Request) -> Response:
        """Delete keys by value, hash or alias; they can still be shown one by one."""
        call = await read_body(request, KeyDeletion)
        aliases = set(call.key_aliases or [])
        tokens = {_token(key) for key in call.keys or []}
        rows = [
            key for token, key in self._store.items("keys") if token in tokens or key["key_alias"] in aliases
        ]
        if not rows:
            raise bad("No keys found", 404)
        for row in rows:
            self._store.delete("keys", row["token"])
            marks = {"deleted_at": timestamp(self._clock), "deleted_by": ADMIN, "litellm_changed_by": None}
            by = {"deleted_by_api_key": "litellm_proxy_master_key", "org_id": None, "id": str(uuid.uuid4())}
            self._store.put("deleted_keys", row["token"], {**row, **marks, **by})
            request.state.wrote = True
        return JSONResponse({"deleted_keys": [*(call.keys or []), *(call.key_aliases or [])]})

    def _asked(self, given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Take from the fields which key is meant, and return that and its row; the alias is a way, too."""
        asked, alias = given.pop("key", None), given.get("key_alias")
        if asked is not None:
            row = self._store.get("keys", _token(asked))
            if row is None:
                raise Refusal(404, "Key not found.", "not_found_error", "key")
            return asked, row
        for token, row in self._store.items("keys"):
            if alias and row["key_alias"] == alias:
                return token, row
        said = f"Key not found. No key with key_alias={alias!r}."
        raise Refusal(404, said, "not_found_error", "key_alias")

    def _check_value(self, value: str | None) -> None:
        if value is None:
            return
        if not self._custom_keys:
            said = "Custom API key values are disabled by your administrator. Keys must be auto-generated."
            raise bad(said, 403)
        if not value.startswith("sk-"):
            said = f"LiteLLM Virtual Key must start with 'sk-'. Received: {masked(value)}"
            raise bad(f"Invalid key format. {said}")
        if len(value) < _SHORTEST:
            raise bad(
                f"Invalid key format. LiteLLM Virtual Key must be at least {_SHORTEST} characters long."
            )

    def _check_alias(self, alias: str | None, *, but: str | None) -> None:
        if not alias:
            return
        if re.search(r"[\x00-\x1f\x7f]|(^|/)\.\.(/|$)", alias):
            raise Refusal(400, "Invalid key_alias", "bad_request_error", "key_alias")
        if any(key["key_alias"] == alias and token != but for token, key in self._store.items("keys")):
            said = f"Key with alias '{alias}' already exists. {_UNIQUE}"
            raise Refusal(400, said, "bad_request_error", "key_alias")

    def _put(self, request: Request, row: dict[str, Any]) -> None:
        self._store.put("keys", row["token"], row)
        request.state.wrote = True


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def _token(asked: str) -> str:
    return _hash(asked) if asked.startswith("sk-") else asked
