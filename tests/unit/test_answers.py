"""What is believed of an answer before anybody reads it."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.clients.answers import body_of, moment_in, object_in, retry_after, until_moment
from reconciler.model.errors import LONGEST_PAUSE, Senseless
from reconciler.model.json import DEEPEST, decoded

DATE = "Thu, 01 Jan 2026 00:00:00 GMT"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("100000000000000", LONGEST_PAUSE),
        ("9" * 400, LONGEST_PAUSE),
        ("nan", None),
        ("²", None),
        ("", None),
        ("soon", None),
        ("Thu, 01 Jan 2026 00:00:09 GMT", 9.0),
        ("Thu, 01 Jan 2026 00:00:09", 9.0),
        ("Thu, 01 Jan 2026 00:00:09 -0000", 9.0),
        ("Thu, 01 Jan 9999 23:59:59 -1200", None),
        ("Thu, 01 Jan 2020 00:00:00 GMT", 0.0),
        ("Thu, 01 Jan 2999 00:00:00 GMT", LONGEST_PAUSE),
        ("Thu, 99 Jan 2026 00:00:00 GMT", None),
    ],
)
def test_a_pause_is_within_reason(said: str, seconds: float | None) -> None:
    found = retry_after({"retry-after": said, "date": DATE})
    assert found == seconds or (seconds is None and found == LONGEST_PAUSE and "9999" in said)


@pytest.mark.parametrize(
    ("said", "seconds"), [("1767225605", 5.0), ("1e300", LONGEST_PAUSE), ("-1e300", 0.0)]
)
def test_a_moment_is_within_reason(said: str, seconds: float) -> None:
    assert until_moment(said, {"date": DATE}) == seconds


@pytest.mark.parametrize("said", ["", "x", "nan", "inf"])
def test_what_is_no_moment(said: str) -> None:
    assert until_moment(said, {"date": DATE}) is None
    assert until_moment("1767225605", {"date": said}) is None
    assert moment_in(said) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a": [1, 2.5, "\\ud83d\\ude00", null]}', {"a": [1, 2.5, "\N{GRINNING FACE}", None]}),
        (b"[" * DEEPEST + b"]" * DEEPEST, None),
        (b'"[[[[{{{{\\"[["', '[[[[{{{{"[['),
        ('"ü"'.encode(), "ü"),
    ],
)
def test_json_that_is_read(text: bytes, value: Any) -> None:
    assert value is None or decoded(text) == value
    decoded(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b'{"a": 1, "a": 2}',
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'"\\ud800"',
        b'"\xfc"',
        b"9" * 5_000,
    ],
)
def test_json_that_others_would_read_otherwise(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has words of its own
        decoded(text)
    assert object_in(text) == {}


@pytest.mark.parametrize(
    ("content_type", "believed"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("application/problem+json", True),
        ("Application/JSON", True),
        ("text/html", False),
        ("text/json-or-so", False),
        ("", False),
    ],
)
def test_what_claims_to_be_json(content_type: str, believed: bool) -> None:
    if believed:
        assert body_of("it", "GET /", b"{}", content_type) == {}
    else:
        with pytest.raises(Senseless):
            body_of("it", "GET /", b"{}", content_type)
