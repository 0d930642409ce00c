"""Who calls: bearer tokens known by their hash, each with its scopes. Knows no route and no HTTP.

A plain SHA-256 is enough because the tokens are random and long: there is nothing to guess, and so nothing to
slow down.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr

from reconciler.settings.program import ApiToken, Scope

PREFIX = "mesh6_"
"""So that secret scanners, and people who find one, see what it is."""


@dataclass(frozen=True)
class Caller:
    """Somebody with a token that is valid now."""

    name: str
    scopes: frozenset[Scope]


class Access:
    """Tells callers by their tokens."""

    def __init__(
        self, tokens: Sequence[ApiToken], clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._tokens = tokens
        self._clock = clock

    def caller(self, token: str) -> Caller | None:
        """Return whose token that is; None for one that nobody has, or that is past its day.

        Looks at every known token each time, so that the time it takes tells nothing.
        """
        given = fingerprint(SecretStr(token))
        found: ApiToken | None = None
        for each in self._tokens:
            if hmac.compare_digest(each.sha256, given):
                found = each
        if found is None or (found.expires is not None and self._clock().date() > found.expires):
            return None
        return Caller(found.name, frozenset(found.scopes))


def new_token() -> SecretStr:
    """Return a token that nobody can guess: 256 random bits."""
    return SecretStr(PREFIX + secrets.token_urlsafe(32))


def fingerprint(token: SecretStr) -> str:
    """Return the hash that stands in the configuration."""
    return hashlib.sha256(token.get_secret_value().encode("utf-8", "surrogatepass")).hexdigest()
