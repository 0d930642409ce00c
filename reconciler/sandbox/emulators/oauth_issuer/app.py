"""An OAuth issuer with the device flow of RFC 8628 and rotating refresh tokens.

Kept traps: a code is redeemed once; polling faster than the interval raises it for good; errors come with the
status that `POST /_emulator/settings {"errorStatus": 200}` chooses, since real issuers disagree; an unknown
client is refused. There is one client, without a secret, as command line programs are.
"""

from __future__ import annotations

import html
import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from reconciler.sandbox.emulators.oauth_issuer import CLIENT_ID
from reconciler.sandbox.emulators.store import Store

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that no code is a word (RFC 8628, section 6.1)."""
_DEFAULTS = {"errorStatus": 400, "interval": 5, "expiresIn": 900, "tokenLifetime": 28_800, "refresh": True}

_PAGE = """<!doctype html>
<title>Connect a device</title>
<h1>Connect a device</h1>
<p>{message}</p>
<form method="post">
  <label>Code <input name="user_code" value="{code}" autocomplete="off" required></label>
  <button name="decision" value="approve">Allow</button>
  <button name="decision" value="deny">Refuse</button>
</form>
"""


def create_app(
    store: Store,
    *,
    base_url: str,
    client_id: str = CLIENT_ID,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """Return the app; `base_url` is how clients reach it, and the issuer's name."""
    issuer = _Issuer(store, base_url.rstrip("/"), client_id, clock)
    return Starlette(
        routes=[
            Route("/.well-known/oauth-authorization-server", issuer.discovery),
            Route("/.well-known/openid-configuration", issuer.discovery),
            Route("/device_authorization", issuer.authorize, methods=["POST"]),
            Route("/token", issuer.token, methods=["POST"]),
            Route("/device", issuer.page, methods=["GET"]),
            Route("/device", issuer.decide, methods=["POST"]),
            Route("/_emulator/requests", issuer.requests, methods=["GET"]),
            Route("/_emulator/requests/{user_code}/{decision}", issuer.admin, methods=["POST"]),
            Route("/_emulator/settings", issuer.settings, methods=["POST"]),
        ]
    )


class _Issuer:
    def __init__(self, store: Store, base_url: str, client_id: str, clock: Callable[[], float]) -> None:
        self._store = store
        self._client_id = client_id
        self._base_url = base_url
        self._clock = clock

    async def discovery(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self._base_url,
                "device_authorization_endpoint": f"{self._base_url}/device_authorization",
                "token_endpoint": f"{self._base_url}/token",
                "grant_types_supported": [DEVICE_GRANT, "refresh_token"],
                "token_endpoint_auth_methods_supported": ["none"],
                "response_types_supported": [],
            }
        )

    async def authorize(self, request: Request) -> Response:
        form = await _form(request)
        if form.get("client_id") != self._client_id:
            return self._error("invalid_client")
        chosen = self._settings()
        device_code = secrets.token_urlsafe(32)
        user_code = "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(2))
        now = self._clock()
        asked = {
            "deviceCode": device_code,
            "state": "pending",
            "expiresAt": now + chosen["expiresIn"],
            "interval": chosen["interval"],
            "lastPoll": None,
            "scope": form.get("scope", ""),
        }
        self._store.put("oauth_requests", user_code, asked)
        self._store.put("oauth_codes", device_code, {"userCode": user_code})
        request.state.wrote = True
        answer = {
            "device_code": device_code,
            "user_code": user_code,
            "verification_uri": f"{self._base_url}/device",
            "verification_uri_complete": f"{self._base_url}/device?user_code={user_code}",
            "expires_in": chosen["expiresIn"],
            "interval": chosen["interval"],
        }
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    async def token(self, request: Request) -> Response:
        form = await _form(request)
        if form.get("client_id") != self._client_id:
            return self._error("invalid_client")
        if form.get("grant_type") == DEVICE_GRANT:
            return self._redeem(request, form)
        if form.get("grant_type") == "refresh_token":
            return self._refresh(request, form)
        return self._error("unsupported_grant_type")

    def _redeem(self, request: Request, form: dict[str, str]) -> Response:
        if "device_code" not in form:
            return self._error("invalid_request")
        known = self._store.get("oauth_codes", form["device_code"])
        asked = self._store.get("oauth_requests", known["userCode"]) if known else None
        if known is None or asked is None or asked["state"] == "redeemed":
            return self._error("invalid_grant")
        now, last = self._clock(), asked["lastPoll"]
        too_fast = last is not None and now - last < asked["interval"]
        asked["lastPoll"] = now
        asked["interval"] += 5 if too_fast else 0
        error = _standing(asked, now, too_fast=too_fast)
        asked["state"] = asked["state"] if error else "redeemed"
        self._store.put("oauth_requests", known["userCode"], asked)
        return self._error(error) if error else self._grant(request, asked["scope"])

    def _refresh(self, request: Request, form: dict[str, str]) -> Response:
        given = form.get("refresh_token", "")
        grant = self._store.get("oauth_refresh", given)
        if grant is None:
            return self._error("invalid_grant")
        self._store.delete("oauth_refresh", given)
        return self._grant(request, grant["scope"])

    def _grant(self, request: Request, scope: str) -> Response:
        chosen = self._settings()
        answer = {
            "access_token": f"at-{secrets.token_urlsafe(32)}",
            "token_type": "Bearer",
            "expires_in": chosen["tokenLifetime"],
            "scope": scope,
        }
        if chosen["refresh"]:
            answer["refresh_token"] = f"rt-{secrets.token_urlsafe(32)}"
            self._store.put("oauth_refresh", answer["refresh_token"], {"scope": scope})
        request.state.wrote = True
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    async def page(self, request: Request) -> Response:
        return _page("Type the code that you were given.", request.query_params.get("user_code", ""))

    async def decide(self, request: Request) -> Response:
        form = await _form(request)
        code = form.get("user_code", "").strip().upper()
        if not self._set(code, form.get("decision", "")):
            return _page("No device is waiting with that code.", code)
        request.state.wrote = True
        return _page("Done. You can close this page.", "")

    async def admin(self, request: Request) -> Response:
        """For tests: approve, deny or expire, as the person or the clock would."""
        found = self._set(request.path_params["user_code"], request.path_params["decision"])
        return Response(status_code=204 if found else 404)

    async def requests(self, _request: Request) -> Response:
        """For tests and people: every request by user code, without its device code."""
        rows = dict(self._store.items("oauth_requests"))
        return JSONResponse(
            {code: {k: v for k, v in row.items() if k != "deviceCode"} for code, row in rows.items()}
        )

    async def settings(self, request: Request) -> Response:
        """For tests: errorStatus, interval and expiresIn in seconds, tokenLifetime, refresh."""
        self._store.put("oauth_settings", "chosen", {**self._settings(), **await request.json()})
        return Response(status_code=204)

    def _settings(self) -> dict[str, Any]:
        return {**_DEFAULTS, **(self._store.get("oauth_settings", "chosen") or {})}

    def _set(self, user_code: str, decision: str) -> bool:
        asked = self._store.get("oauth_requests", user_code)
        states = {"approve": "approved", "deny": "denied", "expire": "pending"}
        if asked is None or asked["state"] != "pending" or decision not in states:
            return False
        asked["state"] = states[decision]
        if decision == "expire":
            asked["expiresAt"] = 0
        self._store.put("oauth_requests", user_code, asked)
        return True

    def _error(self, code: str) -> Response:
        status = 401 if code == "invalid_client" else self._settings()["errorStatus"]
        return JSONResponse({"error": code}, status, headers={"Cache-Control": "no-store"})


def _standing(asked: dict[str, Any], now: float, *, too_fast: bool) -> str:
    """Return the error that a poll gets, "" when the code may be redeemed."""
    if now >= asked["expiresAt"]:
        return "expired_token"
    if asked["state"] == "denied":
        return "access_denied"
    if too_fast:
        return "slow_down"
    return "" if asked["state"] == "approved" else "authorization_pending"


def _page(message: str, code: str) -> Response:
    return HTMLResponse(_PAGE.format(message=html.escape(message), code=html.escape(code)))


async def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
