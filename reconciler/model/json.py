"""The JSON values that plans, outputs and status files are made of."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NoReturn, TypeAlias, Union

Json: TypeAlias = Union[bool, int, float, str, Sequence["Json"], Mapping[str, "Json"], "Later", None]
"""JSON, or a value inside it that only applying an earlier change can give."""

Object: TypeAlias = Mapping[str, Json]

DEEPEST = 100
"""Values inside each other; what systems answer has a dozen."""
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(sign for sign in range(256) if sign not in _STEPS)
_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True)
class Later:
    """A value that does not exist yet: the named output of a resource that this plan changes first."""

    resource: str
    field: str

    def __str__(self) -> str:
        return f"<{self.field} of {self.resource}, known after apply>"


def canonical(value: Json) -> str:
    """Return the one text of a value: sorted keys, no spaces, `Later` as its sentence."""
    return _ENCODER.encode(value)


def digest(value: Json) -> str:
    """Return the SHA-256 of the canonical text, in hex."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object's pairs, for `json.loads(object_pairs_hook=…)`; ValueError where a key is there twice.

    Of such a key nobody can tell which value was meant, and two programs would take different ones.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice in one object")
    return found


def decoded(text: bytes) -> Any:  # noqa: ANN401 - JSON as it comes
    """Return the value of a JSON text in UTF-8; ValueError for anything that others would read otherwise.

    That is: a key there twice in an object, numbers that are none or too large, halves of characters, and
    more than `DEEPEST` values inside each other, which what is done with them later cannot go down to.
    """
    brackets = _STRING.sub(b"", text).translate(None, _NO_BRACKETS)
    if max(accumulate(_STEPS[sign] for sign in brackets), default=0) > DEEPEST:
        raise ValueError("values are too deep inside each other")
    # utf-8-sig: editors of some systems put a mark in front.
    value = json.loads(
        text.decode("utf-8-sig"), object_pairs_hook=once_each, parse_constant=_refuse, parse_float=_finite
    )
    if _HALF_CHARACTER.search(text):
        json.dumps(value, ensure_ascii=False).encode()
    return value


def json_object(text: bytes) -> dict[str, Any] | None:
    """Return the one JSON object that a text is, each key once; None for anything else."""
    try:
        document = decoded(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def resolve(value: Json, outputs: Mapping[str, Object]) -> Json:
    """Replace every `Later` by the output it stands for; KeyError when that was never given."""
    if isinstance(value, Later):
        return outputs[value.resource][value.field]
    if isinstance(value, Mapping):
        return {key: resolve(item, outputs) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [resolve(item, outputs) for item in value]
    return value


def _plain(value: object) -> object:
    if isinstance(value, Later):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return list(value)
    raise TypeError(type(value).__name__)


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)
