"""Tokens sealed for the reconciler: age armor around a little JSON (design §5, facts §13).

The only module that knows pyrage. It knows nothing of status files, Vault or who is asked to log in. What is
wrong with a sealed text is told as a `Refusal`, a code with a sentence, so that no plaintext can be in it.

age proves nothing about who sealed a text. The plaintext therefore names its project and its request, and one
made for another project, or for an old request, is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

import pyrage
from pydantic import AliasChoices, Field, SecretStr

from reconciler.errors import ConfigurationError
from reconciler.systems import Settings

LARGEST = 64 * 1024
"""Characters; looked at before anything is decrypted."""

_ARMOR = re.compile(
    r"\s*-----BEGIN\s+AGE\s+ENCRYPTED\s+FILE-----(?P<body>[A-Za-z0-9+/=\s]*)-----END\s+AGE\s+ENCRYPTED\s+FILE-----\s*"
)
_REQUEST_ID = re.compile(r"[a-z0-9-]{1,64}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
_MILLISECONDS_FROM = 1e11
"""A number this large counts milliseconds: as seconds it would be the year 5138 (facts §7)."""


class SealingSettings(Settings):
    """Who can open what people seal (docs/sealing.md)."""

    section: ClassVar[str] = "sealing"

    identities: SecretStr | None = Field(
        None, validation_alias=AliasChoices("identities", "RECONCILER_AGE_IDENTITY")
    )
    """age identities (`AGE-SECRET-KEY-1…`), one a line, the newest first; lines that begin with `#` are
    comments. Required where somebody has to log in."""

    def missing(self) -> str | None:
        """Off without an identity."""
        return (
            None
            if self.keys
            else "sealing.identities (RECONCILER_AGE_IDENTITY; `reconcile keygen` makes one)"
        )

    def check(self) -> None:
        """Raise ConfigurationError when a line is no identity."""
        for key in self.keys:
            _identity(key)

    @property
    def keys(self) -> tuple[SecretStr, ...]:
        """The identities, newest first."""
        lines = self.identities.get_secret_value().splitlines() if self.identities else []
        return tuple(SecretStr(line.strip()) for line in lines if line.strip() and line.strip()[0] != "#")

    @property
    def recipient(self) -> str:
        """Whom to seal to, `age1…`: the newest identity's public half; "" without one."""
        return recipient_of(self.keys[0]) if self.keys else ""


@dataclass(frozen=True)
class Tokens:
    """One login's tokens."""

    access_token: SecretStr
    refresh_token: SecretStr
    expires_at: datetime


@dataclass(frozen=True)
class Opened:
    """What was in a sealed text. The caller compares `request_id` with the request that is open."""

    request_id: str
    tokens: Tokens


class Refusal(StrEnum):
    """Why a text is not accepted. The value is the code in a status file."""

    TOO_LARGE = "too-large"
    NOT_ARMOR = "not-armor"
    NO_IDENTITY = "no-identity"
    OTHER_KEY = "other-key"
    DAMAGED = "damaged"
    NOT_JSON = "not-json"
    WRONG_FIELDS = "wrong-fields"
    OTHER_PROJECT = "other-project"
    OTHER_REQUEST = "other-request"
    EXPIRED = "expired"

    @property
    def sentence(self) -> str:
        """What is wrong, for a person; never a word of what was sealed."""
        return _SENTENCES[self]


_SENTENCES = {
    Refusal.TOO_LARGE: f"it is larger than {LARGEST // 1024} KiB",
    Refusal.NOT_ARMOR: "it is not an armored age file from its BEGIN line to its END line",
    Refusal.NO_IDENTITY: "no age identity is configured that could open it (RECONCILER_AGE_IDENTITY)",
    Refusal.OTHER_KEY: "it was sealed to another recipient than the one in this file",
    Refusal.DAMAGED: "it was changed or cut off after it was sealed",
    Refusal.NOT_JSON: "what was sealed is not one JSON object",
    Refusal.WRONG_FIELDS: "accessToken, refreshToken and expiresAt must all be there, with non-empty texts "
    "and expiresAt as epoch milliseconds or ISO 8601; and, when another program seals, project and requestId",
    Refusal.OTHER_PROJECT: "it was sealed for another project",
    Refusal.OTHER_REQUEST: "it was sealed for another request than the one that is open",
    Refusal.EXPIRED: "the tokens in it are past their expiresAt",
}


def generate_identity() -> SecretStr:
    """Return a new age identity, `AGE-SECRET-KEY-1…`."""
    return SecretStr(str(pyrage.x25519.Identity.generate()))


def recipient_of(identity: SecretStr) -> str:
    """Return the public half of an identity, `age1…`; ConfigurationError when it is none."""
    return str(_identity(identity).to_public())


def seal(recipient: str, tokens: Tokens, *, slug: str, request_id: str) -> str:
    """Return armored text that only the reconciler can open; ConfigurationError when `recipient` is none.

    No two results are equal, so never seal again to compare.
    """
    plain = {
        "project": slug,
        "requestId": request_id,
        "accessToken": tokens.access_token.get_secret_value(),
        "refreshToken": tokens.refresh_token.get_secret_value(),
        "expiresAt": int(tokens.expires_at.timestamp() * 1000),
    }
    try:
        key = pyrage.x25519.Recipient.from_str(recipient)
    except pyrage.RecipientError as error:
        raise ConfigurationError(
            "that is no age recipient", remedy="it starts with age1 and is oauth.recipient of the status file"
        ) from error
    return pyrage.encrypt(json.dumps(plain).encode(), [key], armored=True).decode("ascii")


def unseal(text: str, identities: Sequence[SecretStr], slug: str, now: datetime) -> Opened | Refusal:
    """Open a sealed text, or say why it is not accepted.

    Line ends, indents, blank lines and folding that a YAML tool brought in do not matter. ConfigurationError
    when one of `identities` is none.
    """
    plain = _decrypt(text, identities)
    if isinstance(plain, Refusal):
        return plain
    document = _json_object(plain)
    if document is None:
        return Refusal.NOT_JSON
    request_id = document.get("requestId")
    tokens = _tokens(document)
    named = isinstance(request_id, str) and _REQUEST_ID.fullmatch(request_id)
    if tokens is None or not named or not isinstance(document.get("project"), str):
        return Refusal.WRONG_FIELDS
    if document["project"] != slug:
        return Refusal.OTHER_PROJECT
    return Refusal.EXPIRED if tokens.expires_at <= now else Opened(str(request_id), tokens)


def read_tokens(text: str) -> Tokens | Refusal:
    """Read the tokens that a person wants to seal.

    JSON with accessToken, refreshToken and expiresAt, at the top or, as in the Claude CLI's credentials file,
    under `claudeAiOauth` (facts §7).
    """
    if len(text) > LARGEST:
        return Refusal.TOO_LARGE
    document = _json_object(text.encode("utf-8", "replace"))
    if document is None:
        return Refusal.NOT_JSON
    inner = document.get("claudeAiOauth", document)
    return (_tokens(inner) if isinstance(inner, dict) else None) or Refusal.WRONG_FIELDS


def _identity(key: SecretStr) -> pyrage.x25519.Identity:
    try:
        return pyrage.x25519.Identity.from_str(key.get_secret_value())
    except pyrage.IdentityError:
        # Without its cause: the library's message may quote what it was given.
        raise ConfigurationError(
            "sealing.identities has a line that is no age identity",
            remedy="each line of RECONCILER_AGE_IDENTITY is AGE-SECRET-KEY-1… or starts with #",
        ) from None


def _decrypt(text: str, identities: Sequence[SecretStr]) -> bytes | Refusal:
    if len(text) > LARGEST:
        return Refusal.TOO_LARGE
    armor = _ARMOR.fullmatch(text.lstrip("\ufeff"))
    if armor is None:
        return Refusal.NOT_ARMOR
    if not identities:
        return Refusal.NO_IDENTITY
    try:
        sealed = base64.b64decode("".join(armor["body"].split()), validate=True)
        return pyrage.decrypt(sealed, [_identity(key) for key in identities])
    except binascii.Error:
        return Refusal.DAMAGED
    except pyrage.DecryptError as error:
        return Refusal.OTHER_KEY if "no matching keys" in str(error).lower() else Refusal.DAMAGED


def _json_object(plain: bytes) -> dict[str, Any] | None:
    try:
        # utf-8-sig: editors of some systems put a mark in front.
        document = json.loads(plain.decode("utf-8-sig"), object_pairs_hook=_once_each)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _tokens(document: dict[str, Any]) -> Tokens | None:
    access, refresh = document.get("accessToken"), document.get("refreshToken")
    expires_at = _moment(document.get("expiresAt"))
    if expires_at is None or not (isinstance(access, str) and isinstance(refresh, str)):
        return None
    if not (_TOKEN.fullmatch(access) and _TOKEN.fullmatch(refresh)):
        return None
    return Tokens(SecretStr(access), SecretStr(refresh), expires_at)


def _moment(value: object) -> datetime | None:
    """Return the moment that a number (seconds, or milliseconds when large) or an ISO 8601 text names."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if value >= _MILLISECONDS_FROM else value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
