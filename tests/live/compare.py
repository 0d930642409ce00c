"""Sends the same calls to two servers and says field by field where their answers differ.

What cannot agree is replaced by what can: an identifier or a generated key by its kind, a time by its form;
of the time when a budget starts anew the hour stays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?")
_VARIES = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<uuid>"),
    (re.compile(r"\bsk-[A-Za-z0-9_-]{22}\b"), "<generated key>"),
    (_TIME, "<time>"),
)


@dataclass(frozen=True)
class Call:
    """One request. `key` None sends none; `content` is sent as it is, in place of `json`.

    `differs`: fields (by their last name) whose values are not compared, and why not.
    `unordered`: the answer is a list whose order nobody promises.
    """

    method: str
    path: str
    params: Mapping[str, Any] | None = None
    json: Any = None
    content: str | None = None
    key: str | None = "admin"
    differs: Mapping[str, str] | None = None
    unordered: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.params or self.json or self.content or ''}"


@dataclass
class Tally:
    """What was compared in this run."""

    original: str = ""
    answers: int = 0
    fields: int = 0
    differences: int = 0

    def __str__(self) -> str:
        compared = f"{self.answers} answers with {self.fields} fields compared"
        return f"{self.original}: {compared}, {self.differences} differ"


TALLY = Tally()


@dataclass(frozen=True)
class Server:
    """A running server and the key that it takes from an administrator."""

    client: httpx.Client
    admin_key: str

    def answer(self, call: Call) -> dict[str, Any]:
        """Return status and body, with what varies replaced."""
        headers = {"content-type": "application/json"}
        if call.key is not None:
            given = self.admin_key if call.key == "admin" else call.key
            headers["authorization"] = f"Bearer {given}".strip()
        sent = {"content": call.content} if call.content is not None else {"json": call.json}
        response = self.client.request(
            call.method,
            call.path,
            params=call.params,
            headers=headers,
            **(sent if call.method != "GET" else {}),
        )
        try:
            said = response.json()
        except ValueError:
            said = {"text": response.text}
        body = plain(said)
        if call.unordered:
            body = sorted(body, key=lambda row: json.dumps(row, sort_keys=True))
        return {"status": response.status_code, "body": body}


def plain(value: Any, name: str = "") -> Any:
    """Return the value with what varies replaced by its kind."""
    if isinstance(value, Mapping):
        return {key: plain(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item, name) for item in value]
    if not isinstance(value, str):
        return value
    if name == "budget_reset_at":
        return _TIME.sub(lambda found: found[0][:13], value)
    for pattern, kind in _VARIES:
        value = pattern.sub(kind, value)
    return value


def compare(original: Server, copy: Server, call: Call) -> list[str]:
    """Return a sentence for every field in which the two answers differ."""
    left, right = original.answer(call), copy.answer(call)
    ignored = set(call.differs or {})
    found = list(differences(left, right, "", ignored))
    TALLY.answers += 1
    TALLY.fields += sum(1 for _ in leaves(left))
    TALLY.differences += len(found)
    return [f"{call}: {difference}" for difference in found]


def differences(left: Any, right: Any, where: str, ignored: set[str]) -> Iterator[str]:
    """Yield where two JSON values differ; 1 and 1.0 are different types."""
    if where.rsplit(".", 1)[-1] in ignored and type(left) is type(right):
        return
    if isinstance(left, dict) and isinstance(right, dict):
        for key in sorted(left.keys() | right.keys()):
            if key not in right:
                yield f"{where}.{key} is missing (original: {left[key]!r})"
            elif key not in left:
                yield f"{where}.{key} is not in the original ({right[key]!r})"
            else:
                yield from differences(left[key], right[key], f"{where}.{key}", ignored)
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for place, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from differences(one, other, f"{where}[{place}]", ignored)
    elif type(left) is not type(right) or left != right:
        yield f"{where} is {right!r} and not {left!r}"


def leaves(value: Any) -> Iterator[Any]:
    """Yield every value that holds no others."""
    if isinstance(value, dict | list) and value:
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves(item)
    else:
        yield value
