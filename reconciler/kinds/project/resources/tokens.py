"""A login's tokens: as the Claude CLI keeps them, as people seal them, and when they expire. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from reconciler.crypto.sealing import LARGEST, Refusal, unseal
from reconciler.model.item import ItemId
from reconciler.model.json import json_object

_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
_MILLISECONDS_FROM = 1e11
"""A number this large counts milliseconds: as seconds it would be the year 5138."""

WHAT = (
    "what the Claude CLI keeps in ~/.claude/.credentials.json after `claude auth login`, or any JSON with "
    "accessToken, refreshToken and expiresAt"
)
MADE_UP = '{"accessToken": "a", "refreshToken": "r", "expiresAt": 4102444800000}'
_SENTENCES = {
    Refusal.WRONG_FIELDS: "accessToken, refreshToken and expiresAt must all be there, with non-empty texts "
    "and expiresAt as epoch milliseconds or ISO 8601; and, when another program seals, project and requestId",
    Refusal.EXPIRED: "the tokens in it are past their expiresAt",
}


@dataclass(frozen=True)
class Tokens:
    """One login's tokens."""

    access_token: SecretStr
    refresh_token: SecretStr
    expires_at: datetime


@dataclass(frozen=True)
class SealedLogin:
    """What was in a sealed entry. The caller compares `request_id` with the request that is open."""

    request_id: str
    tokens: Tokens


def sentence_of(refusal: Refusal) -> str:
    """Return what is wrong with tokens, for a person."""
    return _SENTENCES.get(refusal, refusal.sentence)


def unseal_tokens(
    text: str, identities: Sequence[SecretStr], item: ItemId, now: datetime
) -> SealedLogin | Refusal:
    """Open a sealed entry, or say why it is not accepted."""
    opened = unseal(text, identities, item)
    if isinstance(opened, Refusal):
        return opened
    tokens = _tokens(opened.fields)
    if tokens is None:
        return Refusal.WRONG_FIELDS
    return Refusal.EXPIRED if tokens.expires_at <= now else SealedLogin(opened.request_id, tokens)


def read_tokens(content: bytes) -> Tokens | Refusal:
    """Read the tokens that a person wants to seal.

    JSON with accessToken, refreshToken and expiresAt, at the top or, as in the Claude CLI's credentials file,
    under `claudeAiOauth`.
    """
    if len(content) > LARGEST:
        return Refusal.TOO_LARGE
    document = json_object(content)
    if document is None:
        return Refusal.NOT_JSON
    inner = document.get("claudeAiOauth", document)
    return (_tokens(inner) if isinstance(inner, dict) else None) or Refusal.WRONG_FIELDS


def fields_to_seal(content: bytes, now: datetime) -> Mapping[str, str | int | SecretStr] | str:
    """Return the fields of tokens that a person hands in, or the sentence why they are not taken."""
    tokens = read_tokens(content)
    if isinstance(tokens, Refusal):
        return sentence_of(tokens)
    return sentence_of(Refusal.EXPIRED) if tokens.expires_at <= now else sealed_fields(tokens)


def sealed_fields(tokens: Tokens) -> Mapping[str, str | int | SecretStr]:
    """Return tokens as they are sealed."""
    return {
        "accessToken": tokens.access_token,
        "refreshToken": tokens.refresh_token,
        "expiresAt": int(tokens.expires_at.timestamp() * 1000),
    }


def _tokens(document: Mapping[str, Any]) -> Tokens | None:
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
