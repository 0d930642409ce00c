"""What kustomize makes of a YAML file, as far as it decides whether a build fails.

Takes what kustomize takes: aliases, merged mappings, any tag, a name given to two anchors. Of a scalar only
the text is kept, or None for null, so nothing may be concluded from a value's type. Knows no field.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from reconciler.model.errors import BeyondBounds, InvalidFile
from reconciler.model.yaml_text import Bounds, events, position_at, position_of

BOUNDS = Bounds(size=4 * 1024 * 1024, depth=200, nodes=500_000)
MOST_DOCUMENTS = 10_000
DEEPEST = 50
"""Kustomizations in one another."""
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NULL = {"", "~", "null", "Null", "NULL"}
# kustomize takes a file of objects apart before it parses it: at every line that begins so.
_SEPARATOR = re.compile(r"\n---(?P<rest>.*)\n")


def first_document(path: str, content: bytes) -> Any:  # noqa: ANN401 - YAML's values
    """Return the one document that counts in a kustomization, None when it is empty.

    Of a key that is there twice the last one counts. InvalidFile when kustomize cannot read it either,
    BeyondBounds when this cannot tell.
    """
    return _Reading(path, _text(path, content), last_wins=True).first()


def kustomization_fields(path: str, content: bytes) -> dict[str, Any]:
    """Return what a kustomization says, by its fields in lower case: they may be written in any.

    InvalidFile when it is none, BeyondBounds when this cannot tell.
    """
    document = first_document(path, content)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise InvalidFile(path, "is not a mapping", remedy="write a list under `resources:`")
    return {field.casefold(): value for field, value in document.items()}


def listed(path: str, fields: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return what a kustomization has under a key of `fields`; InvalidFile when it is no list of paths."""
    found = fields.get(key)
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found):
        raise InvalidFile(path, f"{key} is not a list of paths", remedy="write its entries as `- path`")
    return tuple(found)


def objects(path: str, content: bytes) -> list[Any]:
    """Return the documents of a file of objects, save empty ones. Raises as `first_document` does.

    A key that is there twice is an error.
    """
    text = _text(path, content).replace("\r\n", "\n")
    parts = list(_parts(path, text))
    if len(parts) > MOST_DOCUMENTS:
        raise BeyondBounds(path, f"has more than {MOST_DOCUMENTS} documents", remedy="split it")
    found = [_part(path, part, line) for line, part in parts]
    return [document for document in found if document not in (None, {}, [])]


def _text(path: str, content: bytes) -> str:
    if len(content) > BOUNDS.size or content.startswith(_WIDE):
        raise BeyondBounds(path, "is too large, or no UTF-8", remedy="make it smaller, and save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidFile(path, "is not UTF-8", line=line, column=1, remedy="save it as UTF-8") from error


def _parts(path: str, text: str) -> Iterator[tuple[int, str]]:
    """Yield the documents of a file, and how many lines there are before each."""
    begin = line = 0
    for separator in _SEPARATOR.finditer(text):
        rest = separator["rest"].strip()
        if rest and not rest.startswith("#"):
            line, _ = position_at(text, separator.start("rest"))
            message = f"has a line --- with {rest[:20]!r} behind it"
            raise InvalidFile(path, message, line=line, column=1, remedy="put that on a line of its own")
        yield line, text[begin : separator.start()]
        line += text.count("\n", begin, separator.end())
        begin = separator.end()
    yield line, text[begin:]


def _part(path: str, text: str, lines_before: int) -> Any:  # noqa: ANN401 - YAML's values
    try:
        return _Reading(path, text.removeprefix("\ufeff"), last_wins=False).first()
    except InvalidFile as error:
        if error.line:
            error.line += lines_before
        raise


class _Reading:
    """Builds the values of one document."""

    def __init__(self, path: str, text: str, *, last_wins: bool) -> None:
        self._path = path
        self._stream = events(path, text, BOUNDS)
        self._last_wins = last_wins
        self._anchored: dict[str, Any] = {}
        self._merged = 0

    def first(self) -> Any:  # noqa: ANN401 - YAML's values
        for event in self._stream:
            if isinstance(event, DocumentStartEvent):
                return self._value(next(self._stream))
        return None

    def _fail(self, message: str, at: Event) -> NoReturn:
        line, column = position_of(at)
        raise InvalidFile(self._path, message, line=line, column=column, remedy="mend it")

    def _value(self, event: Event) -> Any:  # noqa: ANN401 - YAML's values
        value: Any
        if isinstance(event, AliasEvent):
            # Within what it names an alias has no end.
            if event.anchor not in self._anchored:
                self._fail(f"uses *{event.anchor}, which is nowhere before", event)
            return self._anchored[event.anchor]
        if isinstance(event, ScalarEvent):
            is_null = not event.style and event.tag is None and event.value in _NULL
            value = None if is_null else event.value
        elif isinstance(event, SequenceStartEvent):
            value = self._sequence()
        else:
            value = self._mapping()
        if isinstance(event, NodeEvent) and event.anchor:
            self._anchored[event.anchor] = value
        return value

    def _sequence(self) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self._stream), SequenceEndEvent):
            found.append(self._value(event))
        return found

    def _mapping(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        inherited: dict[str, Any] | None = None
        while not isinstance(event := next(self._stream), MappingEndEvent):
            if isinstance(event, ScalarEvent) and event.value == "<<" and not event.style:
                if inherited is not None:
                    self._fail("merges twice in one mapping", event)
                inherited = self._inherited(next(self._stream))
                continue
            key = self._value(event)
            value = self._value(next(self._stream))
            if not isinstance(event, ScalarEvent | AliasEvent) or not isinstance(key, str):
                continue  # it is no name of anything that is looked for
            if key in found and not self._last_wins:
                self._fail(f"says {key[:60]!r} twice", event)
            found[key] = value
        return {**(inherited or {}), **found}

    def _inherited(self, event: Event) -> dict[str, Any]:
        value = self._value(event)
        found: dict[str, Any] = {}
        for each in reversed(value) if isinstance(value, list) else [value]:
            if not isinstance(each, dict):
                self._fail("merges something that is no mapping", event)
            self._merged += len(each)
            if self._merged > BOUNDS.nodes:
                raise BeyondBounds(self._path, "merges too much", remedy="write it out")
            found.update(each)
        return found
