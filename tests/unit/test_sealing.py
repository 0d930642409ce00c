"""What is sealed comes back, whatever it is; everything else is refused by a code that holds no plaintext."""

from __future__ import annotations

import base64
import json
from typing import Any

import pyrage
import pytest
from pydantic import SecretStr

from reconciler.crypto.sealing import (
    Opened,
    Refusal,
    SealingSettings,
    generate_identity,
    recipient_of,
    seal,
    unseal,
)
from reconciler.model.errors import ConfigurationError
from reconciler.model.item import ItemId

SLUG = "kitchen"
ITEM = ItemId("lamp", SLUG)
REQUEST = "bulb-1"
IDENTITY = generate_identity()
GOOD: dict[str, Any] = {"lamp": SLUG, "requestId": REQUEST, "watts": "canary-watts"}


def sealed(plain: str | bytes, identity: SecretStr = IDENTITY) -> str:
    key = pyrage.x25519.Recipient.from_str(recipient_of(identity))
    data = plain if isinstance(plain, bytes) else plain.encode()
    return pyrage.encrypt(data, [key], armored=True).decode()


def opened(text: str, identity: SecretStr = IDENTITY) -> Opened | Refusal:
    return unseal(text, [identity], ITEM)


def with_fields(**fields: Any) -> str:
    return sealed(json.dumps({**GOOD, **fields}))


def test_what_is_sealed_comes_back() -> None:
    text = seal(recipient_of(IDENTITY), {"watts": SecretStr("canary-watts")}, item=ITEM, request_id=REQUEST)
    assert opened(text) == Opened(REQUEST, {"watts": "canary-watts"})
    assert "canary" not in text
    assert "canary" not in repr(opened(text))


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"lamp": "den"}, Refusal.OTHER_ITEM),
        ({"lamp": 7}, Refusal.WRONG_FIELDS),
        ({"requestId": None}, Refusal.WRONG_FIELDS),
        ({"requestId": "with\nline"}, Refusal.WRONG_FIELDS),
    ],
)
def test_what_names_something_else_is_refused(fields: dict[str, Any], refusal: Refusal) -> None:
    assert opened(with_fields(**fields)) is refusal


def test_damage_of_every_line_is_noticed() -> None:
    lines = with_fields().splitlines()
    for number in range(1, len(lines) - 1):
        cut = "\n".join(lines[:number] + lines[number + 1 :])
        assert isinstance(opened(cut), Refusal)
    body = base64.b64decode("".join(lines[1:-1]))
    for place in (0, 30, len(body) // 2, len(body) - 1):
        changed = bytes([*body[:place], body[place] ^ 1, *body[place + 1 :]])
        text = f"{lines[0]}\n{base64.b64encode(changed).decode()}\n{lines[-1]}"
        assert isinstance(opened(text), Refusal)


def test_any_of_several_identities_opens_and_the_newest_is_sealed_to() -> None:
    older, newer = generate_identity(), generate_identity()
    lines = f"# created today\n{newer.get_secret_value()}\r\n\n  {older.get_secret_value()}  \n"
    settings = SealingSettings.load({}, {"RECONCILER_AGE_IDENTITY": lines})
    settings.check()
    assert settings.missing() is None
    assert settings.recipient == recipient_of(newer)
    for identity in (older, newer):
        assert isinstance(unseal(sealed(json.dumps(GOOD), identity), settings.keys, ITEM), Opened)


def test_without_identities_sealing_is_off() -> None:
    settings = SealingSettings.load({}, {})
    assert "RECONCILER_AGE_IDENTITY" in str(settings.missing())
    assert settings.recipient == ""


def test_a_wrong_identity_is_not_quoted() -> None:
    settings = SealingSettings.load({}, {"RECONCILER_AGE_IDENTITY": "AGE-SECRET-KEY-1CANARY"})
    with pytest.raises(ConfigurationError) as caught:
        settings.check()
    assert "CANARY" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_wrong_recipient_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        seal("age1nonsense", {"watts": 1}, item=ITEM, request_id=REQUEST)


def test_a_secret_of_another_kind_of_item_is_refused() -> None:
    text = seal(recipient_of(IDENTITY), {"watts": 7}, item=ITEM, request_id=REQUEST)
    assert unseal(text, [IDENTITY], ItemId("torch", SLUG)) is Refusal.WRONG_FIELDS
    assert unseal(text, [IDENTITY], ItemId("lamp", "other")) is Refusal.OTHER_ITEM


def test_refusals_have_sentences_without_secrets() -> None:
    for refusal in Refusal:
        assert refusal.sentence
        assert "canary" not in refusal.sentence + refusal.value
