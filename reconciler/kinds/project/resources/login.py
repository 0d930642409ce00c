"""What the resources of a login share: request ids, the Vault entry, the `oauth` section of a status file.

    login-<repository id>-<attempt>    names one request; tokens are sealed for one, and it is remembered as
                                       `login` once its tokens were received
    mesh-six/oauth/<slug>              holds the device code of an open request, then the tokens until the
                                       auth-service has them; which of the two is told by the data alone,
                                       since Vault writes custom metadata and data one after the other. What
                                       stays is the mark and the last request that was served

Pure: reads what a client gave, and asks nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import AwareDatetime, Field, SecretStr, ValidationError

from reconciler.clients.auth_service import instant
from reconciler.clients.oauth_issuer import DeviceRequest
from reconciler.clients.vault import VaultSecret
from reconciler.crypto.sealing import Refusal
from reconciler.engine.contract import Target
from reconciler.kinds.project.resources.tokens import SealedLogin, Tokens, unseal_tokens
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.kinds.project.vault_paths import OAUTH
from reconciler.model.item import ItemId
from reconciler.model.json import Json, Object
from reconciler.model.mark import Mark
from reconciler.model.observation import State

SECTION = "oauth"
SEALED = "sealed"
"""The key of that section which people write."""
RENEWALS = 3
"""How often an expired device request is replaced unasked; then it waits to be asked for."""
HANDED_OVER = "handed-over"
"""The custom metadata that stay at the path when the tokens are gone: the last request that was served."""
_LOGIN = re.compile(r"login-([0-9]{1,20})-([0-9]{1,9})")


class DeviceState(State):
    """An open request as kept in Vault's custom metadata; the device code itself stays there.

    `interval` is seconds between two polls. `renewals`: how often an expired request was replaced without
    anybody asking. `ended`: "no", or why it will never be polled again.
    """

    request_id: str
    user_code: str
    verification_uri: str
    expires_at: AwareDatetime
    started_at: AwareDatetime
    interval: int = Field(ge=0, le=86_400)
    renewals: int = 0
    ended: str = "no"


def vault_path(slug: str) -> str:
    """Return where a project's login is kept while it is under way."""
    return f"{OAUTH}/{slug}"


def request_after(login: str, repository: Json) -> str:
    """Return the id of the request that follows a received login; "" stands for none so far."""
    return f"login-{repository}-{_attempt(login) + 1}"


def handed_over_in(metadata: Mapping[str, str], repository: str) -> str:
    """Return the last request of the repository whose tokens the auth-service got; "" for none."""
    login = metadata.get(HANDED_OVER, "")
    found = _LOGIN.fullmatch(login)
    return login if found and found[1] == repository else ""


def expected_request(target: Target[ProjectSpec], repository: Json, handed_over: str) -> str:
    """Return the request that is open: the one being handed over, or the one after the last received.

    `handed_over` is what Vault knows. What the status file says counts only beyond that: whoever puts back an
    old one there must not have a sealed entry accepted that has served already.
    """
    login = str(target.remembered.get("login") or "")
    if _attempt(login) <= _attempt(handed_over):
        return request_after(handed_over or login, repository)
    handing_over = (
        target.section.get("state") in ("sealed", "rejected") and target.section.get("requestId") == login
    )
    return login if handing_over else request_after(login, repository)


def later(login: str, other: str) -> str:
    """Return the later one of two requests of a repository; "" stands for none."""
    return login if _attempt(login) >= _attempt(other) else other


def following(login: str) -> str:
    """Return the id of the next request of the same repository."""
    found = _LOGIN.fullmatch(login)
    return request_after(login, found[1] if found else "0")


def sealed_text(found: Object) -> str | None:
    """Return what a person put into the section; None for nothing. What is no text cannot be opened."""
    value = found.get(SEALED)
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else "?"


def open_sealed(
    found: Object, keys: tuple[SecretStr, ...], item: ItemId, now: datetime
) -> SealedLogin | Refusal | None:
    """Open what a person put into the section; None when there is nothing."""
    text = sealed_text(found)
    return None if text is None else unseal_tokens(text, keys, item, now)


def tokens_in(secret: VaultSecret | None) -> Tokens | None:
    """Return the tokens that a Vault entry holds, if it does."""
    if secret is None or not {"accessToken", "refreshToken"} <= secret.data.keys():
        return None
    expires_at = _moment(secret.metadata.get("tokens-expire-at"))
    return Tokens(secret.data["accessToken"], secret.data["refreshToken"], expires_at or secret.created)


def tokens_data(tokens: Tokens) -> dict[str, SecretStr]:
    """Return the data of a Vault entry that holds tokens."""
    return {"accessToken": tokens.access_token, "refreshToken": tokens.refresh_token}


def tokens_metadata(mark: Mark, request_id: str, tokens: Tokens) -> dict[str, str]:
    """Return the custom metadata of a Vault entry that holds tokens."""
    return {**mark.words(), "request-id": request_id, "tokens-expire-at": instant(tokens.expires_at)}


def same_tokens(left: Tokens | None, right: Tokens) -> bool:
    """Whether these are the same tokens, to the millisecond that Vault keeps."""
    return (
        left is not None
        and left.access_token == right.access_token
        and left.refresh_token == right.refresh_token
        and instant(left.expires_at) == instant(right.expires_at)
    )


def device_code_in(secret: VaultSecret | None) -> SecretStr | None:
    """Return the device code that a Vault entry holds, if it does."""
    return secret.data.get("deviceCode") if secret else None


def device_in(secret: VaultSecret | None) -> DeviceState | None:
    """Return the request that a Vault entry holds, if it does and can be understood."""
    if secret is None or "deviceCode" not in secret.data:
        return None
    fields = {name: secret.metadata.get(key) for name, key in _DEVICE_KEYS.items()}
    try:
        return DeviceState.model_validate(fields)
    except ValidationError:
        return None


def device_metadata(
    mark: Mark, request_id: str, device: DeviceRequest, now: datetime, renewals: int
) -> Mapping[str, str]:
    """Return the custom metadata of a Vault entry that holds a device code."""
    return {
        **mark.words(),
        "request-id": request_id,
        "user-code": device.user_code,
        "verification-uri": device.verification_uri,
        "expires-at": instant(device.expires_at),
        "started-at": instant(now),
        "interval": str(device.interval),
        "renewals": str(renewals),
        "ended": "no",
    }


_DEVICE_KEYS = {
    "request_id": "request-id",
    "user_code": "user-code",
    "verification_uri": "verification-uri",
    "expires_at": "expires-at",
    "started_at": "started-at",
    "interval": "interval",
    "renewals": "renewals",
    "ended": "ended",
}


def _attempt(login: str) -> int:
    found = _LOGIN.fullmatch(login)
    return int(found[2]) if found else 0


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
