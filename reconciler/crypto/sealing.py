"""Tokens sealed for the reconciler: age armor around a little JSON (docs/sealing.md, docs/systems/age.md).

The only module that knows pyrage. It knows nothing of status files, Vault or who is asked to log in. What is
wrong with a sealed text is told as a `Refusal`, a code with a sentence, so that no plaintext can be in it.

age proves nothing about who sealed a text. The plaintext therefore names its item, as `"<kind>": "<slug>"`,
and its request, and one made for another item, or for an old request, is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, ClassVar

import pyrage
from pydantic import AliasChoices, Field, SecretStr

from reconciler.model.errors import ConfigurationError
from reconciler.model.item import ItemId
from reconciler.model.json import json_object
from reconciler.settings.giving import Settings

LARGEST = 64 * 1024
"""Characters; looked at before anything is decrypted."""

_ARMOR = re.compile(
    r"\s*-----BEGIN\s+AGE\s+ENCRYPTED\s+FILE-----(?P<body>[A-Za-z0-9+/=\s]*)-----END\s+AGE\s+ENCRYPTED\s+FILE-----\s*"
)
_REQUEST_ID = re.compile(r"[a-z0-9-]{1,64}")


class SealingSettings(Settings):
    """Who can open what people seal (docs/sealing.md)."""

    section: ClassVar[str] = "sealing"

    identities: SecretStr | None = Field(
        None, validation_alias=AliasChoices("identities", "RECONCILER_AGE_IDENTITY")
    )
    """age identities (`AGE-SECRET-KEY-1…`), one a line, the newest first; lines that begin with `#` are
    comments. Required where somebody has to log in."""

    recipients: tuple[Annotated[str, Field(pattern=r"^age1[a-z0-9]+$")], ...] = ()
    """Public keys (`age1…`) to which `reconcile seal` may seal where there is no identity, as on a laptop."""

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

    @property
    def trusted(self) -> frozenset[str]:
        """Everybody who may be sealed to: the identities' public halves, and those of `recipients`."""
        return frozenset({*map(recipient_of, self.keys), *self.recipients})


@dataclass(frozen=True)
class Opened:
    """What was in a sealed text. The caller compares `request_id` with the request that is open."""

    request_id: str
    fields: Mapping[str, Any] = field(repr=False)
    """Secret: everything that was sealed beside the names of item and request."""


class Refusal(StrEnum):
    """Why a text is not accepted. The value is the code in a status file."""

    TOO_LARGE = "too-large"
    NOT_ARMOR = "not-armor"
    NO_IDENTITY = "no-identity"
    OTHER_KEY = "other-key"
    DAMAGED = "damaged"
    NOT_JSON = "not-json"
    WRONG_FIELDS = "wrong-fields"
    OTHER_ITEM = "other-item"
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
    Refusal.WRONG_FIELDS: "a field of it is missing or wrong; docs/sealing.md lists what must be there",
    Refusal.OTHER_ITEM: "it was sealed for something else than what this file is about",
    Refusal.OTHER_REQUEST: "it was sealed for another request than the one that is open",
    Refusal.EXPIRED: "what is in it is past its expiresAt",
}


def generate_identity() -> SecretStr:
    """Return a new age identity, `AGE-SECRET-KEY-1…`."""
    return SecretStr(str(pyrage.x25519.Identity.generate()))


def recipient_of(identity: SecretStr) -> str:
    """Return the public half of an identity, `age1…`; ConfigurationError when it is none."""
    return str(_identity(identity).to_public())


def seal(
    recipient: str, fields: Mapping[str, str | int | SecretStr], *, item: ItemId, request_id: str
) -> str:
    """Return armored text that only the reconciler can open; ConfigurationError when `recipient` is none.

    No two results are equal, so never seal again to compare.
    """
    secret = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in fields.items()
    }
    plain = {item.kind: item.slug, "requestId": request_id, **secret}
    try:
        key = pyrage.x25519.Recipient.from_str(recipient)
    except pyrage.RecipientError as error:
        raise ConfigurationError(
            "that is no age recipient", remedy="it starts with age1 and stands in the status file"
        ) from error
    return pyrage.encrypt(json.dumps(plain).encode(), [key], armored=True).decode("ascii")


def unseal(text: str, identities: Sequence[SecretStr], item: ItemId) -> Opened | Refusal:
    """Open a sealed text, or say why it is not accepted.

    Line ends, indents, blank lines and folding that a YAML tool brought in do not matter. ConfigurationError
    when one of `identities` is none.
    """
    plain = _decrypt(text, identities)
    if isinstance(plain, Refusal):
        return plain
    document = json_object(plain)
    if document is None:
        return Refusal.NOT_JSON
    request_id, slug = document.pop("requestId", None), document.pop(item.kind, None)
    named = isinstance(request_id, str) and _REQUEST_ID.fullmatch(request_id)
    if not named or not isinstance(slug, str):
        return Refusal.WRONG_FIELDS
    return Opened(str(request_id), document) if slug == item.slug else Refusal.OTHER_ITEM


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
