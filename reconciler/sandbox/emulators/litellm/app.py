"""Routes, and who may use them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.sandbox.emulators.litellm.calls import Detail, Refusal, masked
from reconciler.sandbox.emulators.litellm.keys import Keys
from reconciler.sandbox.emulators.litellm.teams import Teams
from reconciler.sandbox.emulators.store import Store

Handler = Callable[[Request], Awaitable[Response]]


def create_app(
    store: Store,
    *,
    admin_key: str,
    custom_keys: bool = True,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Starlette:
    """Return the app; every route asks for the admin key.

    `custom_keys` False is a proxy whose administrator set `disable_custom_api_keys`.
    """
    teams, keys = Teams(store, clock), Keys(store, clock, custom_keys=custom_keys)

    def guarded(handler: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            try:
                _authorise(request, admin_key, store)
                return await handler(request)
            except Refusal as refusal:
                return refusal.response

        return answer

    def route(path: str, handler: Handler, method: str) -> Route:
        return Route(path, guarded(handler), methods=[method])

    return Starlette(
        routes=[
            route("/team/new", teams.new, "POST"),
            route("/team/update", teams.update, "POST"),
            route("/team/info", teams.info, "GET"),
            route("/team/list", teams.everything, "GET"),
            route("/v2/team/list", teams.page, "GET"),
            route("/key/generate", keys.generate, "POST"),
            route("/key/update", keys.update, "POST"),
            route("/key/info", keys.info, "GET"),
            route("/key/list", keys.page, "GET"),
            route("/key/delete", keys.delete, "POST"),
        ],
        exception_handlers={HTTPException: _as_json},
    )


async def _as_json(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - only ever registered for it
    return JSONResponse({"detail": error.detail}, error.status_code)


def _authorise(request: Request, admin_key: str, store: Store) -> None:
    header = request.headers.get("authorization", "")
    given = header.removeprefix("Bearer ").strip()
    if not given:
        raise Refusal(401, "Authentication Error, No api key passed in.", "auth_error", "None")
    if given == "Bearer":
        message = "Malformed API Key passed in. Ensure Key has `Bearer ` prefix."
        raise Refusal(401, f"Authentication Error, {message}", "auth_error", "None")
    if secrets.compare_digest(given.encode(), admin_key.encode()):
        return
    if not given.startswith("sk-"):
        message = f"LiteLLM Virtual Key expected. Received={masked(given)}, expected to start with 'sk-'."
        raise Refusal(401, message, "auth_error", "None")
    token = hashlib.sha256(given.encode()).hexdigest()
    if store.get("keys", token):
        raise _too_weak(request.url.path)
    message = (
        f"Authentication Error, Invalid proxy server token passed. Received API Key = sk-...{given[-4:]}, "
        f"Key Hash (Token) ={token}. "
        "Unable to find token in cache or `LiteLLM_VerificationTokenTable`"
    )
    raise Refusal(401, message, "token_not_found_in_db", "key")


def _too_weak(path: str) -> Refusal:
    """Refuse a key that is registered, but not the administrator's; each of the lists has its own way."""
    if path == "/v2/team/list":
        said = "Only admin users can query all teams/other teams. Your user role=internal_user"
        return Detail(401, {"error": said})
    if path == "/key/list":
        said = "You are not authorized to access this endpoint. No 'user_id' is associated with your API key."
        return Refusal(403, said, "bad_request_error", "user_id")
    said = (
        "Only proxy admin can be used to generate, delete, update info for new keys/users/teams. "
        f"Route={path}. Your role=unknown. Your user_id=*******"
    )
    return Refusal(401, f"Authentication Error, {said}", "auth_error", "None")
