"""Tokens that are sealed come back; everything else is refused by a code that holds no plaintext."""

from __future__ import annotations

import json
import textwrap
from datetime import UTC, datetime, timedelta
from typing import Any

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from reconciler.crypto.sealing import (
    LARGEST,
    Refusal,
    generate_identity,
    recipient_of,
    seal,
)
from reconciler.kinds.project.resources.tokens import (
    SealedLogin,
    Tokens,
    fields_to_seal,
    read_tokens,
    sealed_fields,
    unseal_tokens,
)
from reconciler.model.item import ItemId

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOON = NOW + timedelta(hours=8)
SLUG = "acme-widgets"
ITEM = ItemId("project", SLUG)
REQUEST = "login-42-1"
IDENTITY = generate_identity()
TOKENS = Tokens(SecretStr("canary-access"), SecretStr("canary-refresh"), SOON)
GOOD: dict[str, Any] = {
    "project": SLUG,
    "requestId": REQUEST,
    "accessToken": "canary-access",
    "refreshToken": "canary-refresh",
    "expiresAt": int(SOON.timestamp() * 1000),
}


def sealed(plain: str | bytes, identity: SecretStr = IDENTITY) -> str:
    key = pyrage.x25519.Recipient.from_str(recipient_of(identity))
    data = plain if isinstance(plain, bytes) else plain.encode()
    return pyrage.encrypt(data, [key], armored=True).decode()


def opened(text: str, identity: SecretStr = IDENTITY) -> SealedLogin | Refusal:
    return unseal_tokens(text, [identity], ITEM, NOW)


def with_fields(**fields: Any) -> str:
    return sealed(json.dumps({**GOOD, **fields}))


def test_what_is_sealed_comes_back() -> None:
    text = seal(recipient_of(IDENTITY), sealed_fields(TOKENS), item=ITEM, request_id=REQUEST)
    assert opened(text) == SealedLogin(REQUEST, TOKENS)
    assert "canary" not in text
    assert "canary" not in repr(opened(text))


REFORMATTED = {
    "crlf": lambda text: text.replace("\n", "\r\n"),
    "old mac": lambda text: text.replace("\n", "\r"),
    "trailing spaces": lambda text: text.replace("\n", "   \n"),
    "trailing tabs": lambda text: text.replace("\n", "\t\n"),
    "no final newline": str.rstrip,
    "many final newlines": lambda text: text + "\n\n\n",
    "indented": lambda text: textwrap.indent(text, "    "),
    "blank lines between": lambda text: text.replace("\n", "\n\n"),
    "folded into one line": lambda text: text.replace("\n", " "),
    "folded at every space": lambda text: text.replace(" ", "\n"),
    "wrapped elsewhere": lambda text: "\n".join(textwrap.wrap(text, 40)),
    "a byte order mark": lambda text: "\ufeff" + text,
}


@pytest.mark.parametrize("tool", REFORMATTED.values(), ids=REFORMATTED.keys())
def test_armor_survives_what_yaml_tools_do(tool: Any) -> None:
    assert isinstance(opened(tool(with_fields())), SealedLogin)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (int(SOON.timestamp() * 1000), SOON),
        (int(SOON.timestamp()), SOON),
        (SOON.timestamp() + 0.5, SOON + timedelta(seconds=0.5)),
        ("2026-01-01T08:00:00Z", SOON),
        ("2026-01-01T10:00:00+02:00", SOON),
        ("2026-01-01T08:00:00", SOON),
        ("2027-01-01", datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_expiry_in_every_accepted_form(value: Any, moment: datetime) -> None:
    found = opened(with_fields(expiresAt=value))
    assert isinstance(found, SealedLogin)
    assert found.tokens.expires_at == moment


@pytest.mark.parametrize(
    "value",
    ["", "tomorrow", "1767225600000", True, None, [], {}, -1e30, 1e300, float("inf"), 10**400, "9999-99-99"],
)
def test_expiry_that_makes_no_sense(value: Any) -> None:
    assert opened(with_fields(expiresAt=value)) in {Refusal.WRONG_FIELDS, Refusal.EXPIRED, Refusal.NOT_JSON}


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"project": "acme-gadgets"}, Refusal.OTHER_ITEM),
        ({"project": 7}, Refusal.WRONG_FIELDS),
        ({"requestId": None}, Refusal.WRONG_FIELDS),
        ({"requestId": "with\nline"}, Refusal.WRONG_FIELDS),
        ({"accessToken": ""}, Refusal.WRONG_FIELDS),
        ({"refreshToken": "   "}, Refusal.WRONG_FIELDS),
        ({"accessToken": ["canary-access"]}, Refusal.WRONG_FIELDS),
        ({"refreshToken": "two words"}, Refusal.WRONG_FIELDS),
        ({"expiresAt": int(NOW.timestamp())}, Refusal.EXPIRED),
        ({"expiresAt": 1}, Refusal.EXPIRED),
    ],
)
def test_refused_fields(fields: dict[str, Any], refusal: Refusal) -> None:
    assert opened(with_fields(**fields)) is refusal


@pytest.mark.parametrize("missing", list(GOOD))
def test_every_field_must_be_there(missing: str) -> None:
    plain = {key: value for key, value in GOOD.items() if key != missing}
    assert opened(sealed(json.dumps(plain))) is Refusal.WRONG_FIELDS


def test_more_fields_than_needed_do_no_harm() -> None:
    assert isinstance(opened(with_fields(scopes=["user:inference"], v=1)), SealedLogin)


@pytest.mark.parametrize(
    "plain",
    [
        "",
        "canary-access",
        "[]",
        "null",
        '"text"',
        "{",
        '{"project": "a", "project": "b"}',
        "[" * 20_000,
        '{"a":' * 8_000,
        b"\xff\xfe",
        '{"expiresAt": NaN',
    ],
)
def test_plaintext_that_is_no_object(plain: str | bytes) -> None:
    assert opened(sealed(plain)) is Refusal.NOT_JSON


def test_texts_that_nobody_here_can_open() -> None:
    text = with_fields()
    assert opened(text, generate_identity()) is Refusal.OTHER_KEY
    assert unseal_tokens(text, [], ITEM, NOW) is Refusal.NO_IDENTITY
    assert opened("canary-access") is Refusal.NOT_ARMOR
    assert opened(text.replace("END AGE", "END FOO")) is Refusal.NOT_ARMOR
    assert opened(text + "trailing words") is Refusal.NOT_ARMOR
    assert opened("x" * (LARGEST + 1)) is Refusal.TOO_LARGE


# `{}` sealed with the passphrase "secret"; written out, since such sealing takes a second on purpose.
PASSPHRASE_FILE = """\
-----BEGIN AGE ENCRYPTED FILE-----
YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCBzMXZYS0RlSEZKZ0lQaVls
ZnhINHJBIDE5Cnl1TnM0aWNTTTRsOVRqVXJoKzZpV3AvTnZOKzJHRTQ4WmN2SlJ0
YTU5ancKLS0tIGJ6NjdDZ1JORHlQY2hjaDg5VldZM2Y5Vmc3TEpzb3IwMnlKK3dK
Ylc3UmsKzV2kfGSiYSaGFhIncADTBwoCwTeFv+If+Fkcflm+wmtRJg==
-----END AGE ENCRYPTED FILE-----
"""


def test_a_passphrase_file_is_refused() -> None:
    assert isinstance(opened(PASSPHRASE_FILE), Refusal)


@given(st.text(max_size=300))
def test_no_text_whatever_breaks_it(text: str) -> None:
    assert isinstance(opened(text), Refusal)
    assert isinstance(
        opened(f"-----BEGIN AGE ENCRYPTED FILE-----{text}-----END AGE ENCRYPTED FILE-----"), Refusal
    )


@given(
    st.dictionaries(
        st.sampled_from([*GOOD, "more"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=2),
        ),
    )
)
def test_no_plaintext_whatever_breaks_it(plain: dict[str, Any]) -> None:
    assert isinstance(opened(sealed(json.dumps(plain))), Refusal | SealedLogin)


@pytest.mark.parametrize("wrapped", [True, False])
def test_tokens_are_read_as_the_cli_keeps_them(wrapped: bool) -> None:
    inner = {"accessToken": "a", "refreshToken": "b", "expiresAt": GOOD["expiresAt"], "scopes": []}
    assert read_tokens(json.dumps({"claudeAiOauth": inner} if wrapped else inner).encode()) == Tokens(
        SecretStr("a"), SecretStr("b"), SOON
    )


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("not json", Refusal.NOT_JSON),
        ("{}", Refusal.WRONG_FIELDS),
        ('{"claudeAiOauth": 7}', Refusal.WRONG_FIELDS),
        ("x" * (LARGEST + 1), Refusal.TOO_LARGE),
        ("\ud800", Refusal.NOT_JSON),
    ],
)
def test_tokens_that_cannot_be_read(text: str, refusal: Refusal) -> None:
    assert read_tokens(text.encode("utf-8", "surrogatepass")) is refusal


def test_what_is_handed_in_is_refused_with_a_sentence_before_it_is_sealed() -> None:
    past = {"accessToken": "canary-access", "refreshToken": "b", "expiresAt": 1_000}
    for content in (b"not json", b"{}", json.dumps(past).encode()):
        said = fields_to_seal(content, NOW)
        assert isinstance(said, str)
        assert "canary" not in said
