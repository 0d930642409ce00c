"""Answers that a system itself would not give: of what stands in front of it, or broken on the way.

`FALSE` are given instead of the system's own. `spoiled` makes one of the system's own, after its effect.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

Headers = list[tuple[bytes, bytes]]
_PAGE = b"<!doctype html><html><body>The sandbox made this fail on purpose.</body></html>"
_HTML, _JSON = (b"content-type", b"text/html"), (b"content-type", b"application/json")
_ELSEWHERE = (b"location", b"http://127.0.0.1:9/login")
DEEP = 100_000
_INSANE = b"100000000000000"


@dataclass(frozen=True)
class Answer:
    """What a system answered, and whether that changed anything it keeps."""

    status: int
    headers: Headers
    body: bytes
    wrote: bool = False

    def saying(self, body: bytes) -> Answer:
        """Return the answer with another body of the right length."""
        kept = [(name, value) for name, value in self.headers if name.lower() != b"content-length"]
        return replace(self, headers=[*kept, (b"content-length", str(len(body)).encode())], body=body)


def _answer(status: int, body: bytes = b"", *headers: tuple[bytes, bytes]) -> Answer:
    return Answer(status, list(headers), b"").saying(body)


def _limited(kind: str) -> bytes:
    return json.dumps(
        {"data": None, "errors": [{"type": kind, "message": f"{kind}: try again later"}]}
    ).encode()


FALSE: Mapping[str, Answer] = {
    "500": _answer(500, _PAGE, _HTML),
    "502": _answer(502, _PAGE, _HTML),
    "429": _answer(429, _PAGE, _HTML),
    "429-soon": _answer(429, _PAGE, _HTML, (b"retry-after", b"1")),
    "429-never": _answer(429, _PAGE, _HTML, (b"retry-after", _INSANE)),
    "403": _answer(403, _PAGE, _HTML),
    "404-page": _answer(404, _PAGE, _HTML),
    "404-object": _answer(404, b'{"error": "Not Found", "status": 404}', _JSON),
    "empty": _answer(200, b"", _JSON),
    "302": _answer(302, b"", _ELSEWHERE),
    "307": _answer(307, b"", _ELSEWHERE),
    "204": _answer(204),
    "page": _answer(200, _PAGE, _HTML),
    "empty-object": _answer(200, b"{}", _JSON),
    "empty-list": _answer(200, b"[]", _JSON),
    "malformed": _answer(200, b'{"data": [{"id": ', _JSON),
    "deep": _answer(200, b"[" * DEEP + b"]" * DEEP, _JSON),
    "secondary-limit": _answer(
        403,
        b'{"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}',
        _JSON,
        (b"retry-after", b"60"),
    ),
    "rate-limited": _answer(200, _limited("RATE_LIMITED"), _JSON),
    "graphql-null": _answer(200, b'{"data": null}', _JSON),
}
"""By kind of fault; nothing that was asked for is done."""


def _truncated(answer: Answer, _: Random) -> Answer:
    """Keep the length that was promised: the connection is cut in the middle."""
    whole = answer.saying(answer.body)
    return replace(whole, body=whole.body[: len(whole.body) // 2])


def _partial(answer: Answer, random: Random) -> Answer:
    """Have GraphQL say null where it said something, and tell an error for that place."""
    document = _decoded(answer)
    if not isinstance(document, dict) or not isinstance(document.get("data"), dict) or not document["data"]:
        return answer
    name = random.choice(sorted(document["data"]))
    error = {
        "path": [name],
        "message": "Something went wrong while executing your query.",
        "type": "INTERNAL",
    }
    partial = {**document, "data": {**document["data"], name: None}, "errors": [error]}
    return answer.saying(json.dumps(partial).encode())


def _mutated(answer: Answer, random: Random) -> Answer:
    """Change one value of the JSON that was answered, or the text where it is none."""
    document = _decoded(answer)
    if document is None:
        return answer.saying(_cut(answer.body, random))
    text = json.dumps(_with_mutation(document, random)).encode()
    return answer.saying(text.replace(json.dumps(_DEEP).encode(), b"[" * DEEP + b"]" * DEEP))


SPOILED: Mapping[str, Callable[[Answer, Random], Answer]] = {
    "truncated": _truncated,
    "graphql-partial": _partial,
    "mutated": _mutated,
}
"""By kind of fault; what was asked for is done."""


def spoiled(kind: str, answer: Answer, seed: int) -> Answer:
    """Return the system's own answer, spoiled as that kind of fault says; the same for the same seed."""
    return SPOILED[kind](answer, Random(seed))  # noqa: S311 - repeatable on purpose


_DEEP = "\x00deep"
"""Stands for JSON that is too deep for its own writer."""
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**40, "", "x", _DEEP, "z" * 200_000, [], {}, [[]], {"": None}, "\u202e",
)  # fmt: skip


def _decoded(answer: Answer) -> Any:  # noqa: ANN401 - JSON as it comes
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None


def _places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401 - JSON
    found = [above]
    if isinstance(value, dict):
        found += [each for key, inner in value.items() for each in _places(inner, (*above, key))]
    elif isinstance(value, list):
        found += [each for number, inner in enumerate(value) for each in _places(inner, (*above, number))]
    return found


def _with_mutation(document: Any, random: Random) -> Any:  # noqa: ANN401 - JSON
    """Return it with one value that is gone, another one, or there twice."""
    place = random.choice(_places(document))
    if not place:
        return random.choice(_VALUES)
    return _changed(document, place, random)


def _changed(value: Any, place: tuple[Any, ...], random: Random) -> Any:  # noqa: ANN401 - JSON
    head, rest = place[0], place[1:]
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    if rest:
        copy[head] = _changed(value[head], rest, random)
        return copy
    manner = random.randrange(4)
    if manner == 0:
        del copy[head]
    elif manner == 1 and isinstance(copy, list):
        copy.insert(head, copy[head])
    elif manner == 1:
        copy[f"{head}x"] = copy.pop(head)
    else:
        copy[head] = random.choice(_VALUES)
    return copy


def _cut(body: bytes, random: Random) -> bytes:
    if not body:
        return b"?"
    at = random.randrange(len(body))
    return random.choice((body[:at], body[:at] + b"\xff" + body[at + 1 :], body + body, body[at:]))
