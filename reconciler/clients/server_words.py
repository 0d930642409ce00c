"""What a server says of a refusal, fit to be shown: one sentence without what may be secret or obeyed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

LONGEST = 200
_SECRETIVE = re.compile(r"(?=[A-Za-z0-9+/=_.-]*[0-9])(?=[A-Za-z0-9+/=_.-]*[A-Za-z])[A-Za-z0-9+/=_.-]{20,}")
"""Words long enough to be a token or a key, with digits and letters in them."""
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]*@")
_SENTENCE = re.compile(r"[.!?](?=\s)")
_FIELDS = ("message", "detail", "error_description", "error", "title", "reason")


def first_sentence(said: object) -> str:
    """Return the first sentence of what a server said, as " (…)" to stand behind our own; "" for nothing."""
    text = _text_in(said)
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    line = _SENTENCE.split(line, maxsplit=1)[0].rstrip(".")
    line = _SECRETIVE.sub("…", _CREDENTIALS.sub("", line))
    if not line:
        return ""
    return f" (it says: {line if len(line) <= LONGEST else line[: LONGEST - 1] + '…'})"


def _text_in(said: object) -> str:
    """Find the words in an answer; those about single fields say more than the heading above them."""
    if isinstance(said, str):
        return said
    if isinstance(said, Mapping):
        if found := _text_in(said.get("errors")):
            return found
        return next((text for name in _FIELDS if (text := _text_in(said.get(name)))), "")
    if isinstance(said, Sequence):
        return next((text for each in said if (text := _text_in(each))), "")
    return ""
