"""The text of a status file: read in whatever format a tool left it, written in exactly one.

Written by hand and not by a YAML library: a thousand files in a pass have to be quick, the same in every
version of that library, and read alike by YAML 1.1 and 1.2 (so every text that could be taken for something
else is quoted). Knows no key of the file.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from reconciler.model.errors import InvalidFile
from reconciler.model.json import Json, Object
from reconciler.model.yaml_read import load_yaml
from reconciler.model.yaml_strict import KeyPath

HumanKeys: TypeAlias = Mapping[str, Sequence[str]]
"""The keys that people write, by the top-level section that they stand in."""

_PLAIN = re.compile(r"[A-Za-z/](?:[A-Za-z0-9 _./()+@=-]*[A-Za-z0-9_./()+@=-])?")
_RESERVED = re.compile(r"(?:y|n|yes|no|on|off|true|false|null)", re.IGNORECASE)
_UNPRINTABLE = re.compile(
    "[\x7f-\x9f\u00ad\u0600-\u0605\u061c"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufff0-\uffff]"
)
_HEADING = "# Written by the reconciler, except for what it asks people to write here.\n"


def load_status(path: str, content: bytes) -> dict[str, Any]:
    """Return what a status file says. InvalidFile when unreadable: such a file is never overwritten.

    No number in it may be infinite: eight digits of an id with an e among them are one in YAML 1.2, once
    somebody's tool has taken their quotes away.
    """
    document = load_yaml(path, content)
    for keys in _infinite(document.values, ()):
        line, column = document.position(keys)
        message = f"{'.'.join(map(str, keys))} is no finite number"
        raise InvalidFile(path, message, line=line, column=column, remedy="quote it, if it is meant as text")
    return document.values


def _infinite(value: object, at: KeyPath) -> Iterator[KeyPath]:
    if isinstance(value, float) and not math.isfinite(value):
        yield at
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _infinite(item, (*at, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _infinite(item, (*at, number))


def dump_status(document: Object, heading: str = _HEADING) -> bytes:
    """Return the one text of a document, in the order of its keys, below a comment."""
    return (heading + "".join(f"{line}\n" for line in _mapping(document, ""))).encode()


def merge(
    found: Mapping[str, Any],
    wanted: Object,
    human: HumanKeys,
    consumed: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """Return what the file is to say: `wanted`, with people's keys as `found`.

    A key in `consumed` goes if it still holds exactly the text that was used.
    """
    merged: dict[str, Any] = dict(wanted)
    for section, keys in human.items():
        ours = wanted.get(section)
        theirs = found.get(section)
        kept = dict(ours) if isinstance(ours, Mapping) else {}
        for key in keys:
            kept.pop(key, None)
            if (
                isinstance(theirs, Mapping)
                and key in theirs
                and not _used(theirs[key], consumed, section, key)
            ):
                kept[key] = theirs[key]
        if kept or section in merged:
            merged[section] = kept
    return merged


def _used(value: object, consumed: Mapping[str, Mapping[str, str]], section: str, key: str) -> bool:
    text = consumed.get(section, {}).get(key)
    return text is not None and value == text


def _mapping(value: Mapping[str, Json], indent: str) -> Iterator[str]:
    for key, item in value.items():
        yield from _item(f"{indent}{_inline(str(key))}:", item, f"{indent}  ")


def _sequence(value: Sequence[Json], indent: str) -> Iterator[str]:
    for item in value:
        yield from _item(f"{indent}-", item, f"{indent}  ")


def _item(head: str, item: Json, indent: str) -> Iterator[str]:
    if isinstance(item, Mapping) and item:
        lines = list(_mapping(item, indent))
        if head.endswith("-"):
            head, lines[0] = f"{head} {lines[0].lstrip(' ')}", ""
            yield head
            yield from lines[1:]
        else:
            yield head
            yield from lines
    elif isinstance(item, Sequence) and not isinstance(item, str) and item:
        yield head
        yield from _sequence(item, indent)
    elif isinstance(item, str) and _is_block(item):
        yield f"{head} |" + ("" if item.endswith("\n") else "-")
        yield from (f"{indent}{line}" if line else "" for line in item.removesuffix("\n").split("\n"))
    else:
        yield f"{head} {_inline(item)}"


def _is_block(text: str) -> bool:
    """Tell whether a text of several lines survives as a literal block whatever reads it."""
    return (
        "\n" in text.removesuffix("\n")
        and not text.startswith((" ", "\n"))
        and not text.endswith("\n\n")
        and not re.search(r"[\x00-\x09\x0b-\x1f]| \n| $", text)
        and not _UNPRINTABLE.search(text)
    )


def _inline(value: Json) -> str:
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and not _RESERVED.fullmatch(value):
            return value
        return _UNPRINTABLE.sub(
            lambda found: f"\\u{ord(found.group()):04x}", json.dumps(value, ensure_ascii=False)
        )
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, Sequence):
        return "[]"
    if isinstance(value, float):
        # YAML 1.1 takes a number with an exponent for text unless it has a point.
        return re.sub(r"^(-?[0-9]+)e", r"\1.0e", json.dumps(value, allow_nan=False))
    return json.dumps(value)
