"""What callers send besides a project, the same through HTTP and MCP."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr, WithJsonSchema

from reconciler.model.item import Strict

_MOMENT = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "minLength": 1}],
    "examples": [4102444800000, "2100-01-01T00:00:00Z"],
}
_TOKEN = Field(json_schema_extra={"pattern": "^[!-~]{1,16384}$"})
"""Told to callers; that it is so is for whoever seals it to say."""


def _moment(value: object) -> object:
    """Refuse what no moment can be read from; whether one can is for whoever seals it to say."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("is no moment; write epoch milliseconds, or ISO 8601 as text")  # noqa: TRY004 - what pydantic takes
    return value


class TokenSubmission(Strict):
    """A login's tokens."""

    access_token: Annotated[SecretStr, _TOKEN]
    """The access token."""
    refresh_token: Annotated[SecretStr, _TOKEN]
    """The refresh token."""
    expires_at: Annotated[Any, AfterValidator(_moment), WithJsonSchema(_MOMENT)]
    """When the access token expires: epoch milliseconds (seconds, when small), or ISO 8601."""

    def content(self) -> bytes:
        """Return them as `reconcile seal` takes them. Holds secrets."""
        return json.dumps(
            {
                "accessToken": self.access_token.get_secret_value(),
                "refreshToken": self.refresh_token.get_secret_value(),
                "expiresAt": self.expires_at,
            }
        ).encode()
