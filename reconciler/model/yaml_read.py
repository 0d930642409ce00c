"""The one strict reader of YAML that people write: YAML 1.2's plain values, all places known, nothing clever.

Works on the parser's events, so that size, depth and count are bounded before anything is built, and aliases
(what YAML bombs are made of) are refused outright. What two parsers that share no code do not read alike is
refused as well. Knows no field of any file.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from reconciler.model import yaml_strict
from reconciler.model.errors import InvalidFile
from reconciler.model.yaml_strict import KeyPath
from reconciler.model.yaml_text import Bounds, Position, events, position_of, text_of, within

BOUNDS = Bounds(size=256 * 1024, depth=32, nodes=40_000)
MOST_DIGITS = 100

_STANDARD = "tag:yaml.org,2002:"
_NAMES = {int: "int", float: "float", bool: "bool", type(None): "null"}

_NULL = {"", "~", "null", "Null", "NULL"}
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_OLD_TRUTH = {"yes", "no", "on", "off"}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_STARTS_NUMBER = frozenset("-+.0123456789")
_BASES = {"0o": 8, "0x": 16}
_OLD_OCTAL = re.compile(r"[-+]?0[0-9]+")
_STRICTER = "programs that take it all the same go beyond YAML: mend it here or in the line above"
_PLAINER = "quote the value, or write it in a plainer way"


@dataclass(frozen=True)
class Document:
    """A file's top-level mapping, and the place of every key and list item in it."""

    values: dict[str, Any]
    positions: Mapping[KeyPath, Position]

    def position(self, path: KeyPath) -> Position:
        """Return the place of that key, or of the nearest thing around it; (0, 0) for the whole file."""
        while path and path not in self.positions:
            path = path[:-1]
        return self.positions.get(path, (0, 0))


def load_yaml(path: str, content: bytes) -> Document:
    """Read a file that is one mapping. InvalidFile, with place and remedy, when it is anything else."""
    builder = _Builder(path)
    documents = builder.read(content)
    if len(documents) > 1:
        builder.fail("has more than one document", builder.starts[1], "split it at the line ---")
    if not documents or documents[0] is None:
        raise InvalidFile(path, "is empty", remedy="write the fields it needs")
    values = documents[0]
    if not isinstance(values, dict):
        builder.fail(
            "must be a mapping of fields to values", builder.starts[0], "write lines like `field: value`"
        )
    return Document(values, builder.positions)


def load_documents(path: str, content: bytes) -> list[Any]:
    """Read a file of any number of documents of any shape, as strictly."""
    return _Builder(path).read(content)


class _Builder:
    """Builds plain values from events, and remembers where they stood."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.positions: dict[KeyPath, Position] = {}
        self.starts: list[Event] = []

    def fail(self, message: str, at: Event, remedy: str) -> NoReturn:
        """Raise InvalidFile for the place of an event."""
        line, column = position_of(at)
        raise InvalidFile(self._path, message, line=line, column=column, remedy=remedy)

    def read(self, content: bytes) -> list[Any]:
        """Return every document's value, if a second parser makes the same of the text."""
        text = text_of(self._path, content, BOUNDS)
        documents = list(self._documents(text))
        strictly = yaml_strict.read(text)
        if isinstance(strictly, yaml_strict.Refusal):
            line, column = within(text, (strictly.line, strictly.column))
            message = f"is not YAML: {strictly.reason}"
            raise InvalidFile(self._path, message, line=line, column=column, remedy=_STRICTER)
        # Where there is no document, the other parser may find one without content.
        path = yaml_strict.difference(documents or [None], strictly or [None])
        if path is not None:
            # Places are those of the last document, which is nearly always the only one.
            is_last = path[:1] == (len(documents) - 1,)
            line, column = self.positions.get(path[1:], (0, 0)) if is_last else (0, 0)
            message = "says something that programs read differently"
            raise InvalidFile(self._path, message, line=line, column=column, remedy=_PLAINER)
        return documents

    def _documents(self, text: str) -> Iterator[Any]:
        stream = events(self._path, text, BOUNDS)
        for event in stream:
            if isinstance(event, DocumentStartEvent):
                start = next(stream)
                self.starts.append(start)
                yield self._value(start, stream, ())

    def _value(self, event: Event, stream: Iterator[Event], at: KeyPath) -> Any:  # noqa: ANN401 - any value
        if isinstance(event, ScalarEvent):
            return self._scalar(event)
        if isinstance(event, AliasEvent):
            self.fail(f"uses the alias {_shown(f'*{event.anchor}')}", event, "write the value out")
        is_list = isinstance(event, SequenceStartEvent)
        if getattr(event, "tag", None) not in {None, "!", _STANDARD + ("seq" if is_list else "map")}:
            self._refuse_tag(event)
        return self._sequence(stream, at) if is_list else self._mapping(stream, at)

    def _sequence(self, stream: Iterator[Event], at: KeyPath) -> list[Any]:
        items: list[Any] = []
        for event in stream:
            if isinstance(event, SequenceEndEvent):
                break
            here = (*at, len(items))
            self.positions[here] = position_of(event)
            items.append(self._value(event, stream, here))
        return items

    def _mapping(self, stream: Iterator[Event], at: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for event in stream:
            if isinstance(event, MappingEndEvent):
                break
            if not isinstance(event, ScalarEvent):
                self.fail(
                    "has a key that is not plain text",
                    event,
                    "write `field: value`, with the field in plain text",
                )
            # A thousand files say the same few keys: one text of each is kept.
            key = sys.intern(event.value)
            here = (*at, key)
            if key in found:
                first = self.positions[here][0]
                self.fail(f"says {_shown(key)} twice (first in line {first})", event, "remove one of the two")
            self.positions[here] = position_of(event)
            found[key] = self._value(next(stream), stream, here)
        return found

    def _scalar(self, event: ScalarEvent) -> Any:  # noqa: ANN401 - YAML's values
        if event.tag is None:
            return event.value if event.style else self._plain(event.value, event)
        if event.tag in {"!", f"{_STANDARD}str"}:
            return event.value
        value = self._plain(event.value, event)
        # Some tools spell out the type of everything: a tag that only says what the value is does no harm.
        if event.tag != _STANDARD + _NAMES.get(type(value), ""):
            self._refuse_tag(event)
        return value

    def _refuse_tag(self, event: Event) -> NoReturn:
        tag = _shown(getattr(event, "tag", ""))
        self.fail(f"uses the tag {tag}", event, "remove it; quote a value to make it text")

    def _plain(self, text: str, event: ScalarEvent) -> Any:  # noqa: ANN401 - YAML's values
        if text in _NULL:
            return None
        if text in _TRUTH:
            return _TRUTH[text]
        if text.lower() in _OLD_TRUTH:
            self.fail(
                f"says {text}, which some programs read as a truth value",
                event,
                f'write true or false, or "{text}"',
            )
        if text[0] not in _STARTS_NUMBER:
            return text
        if _OLD_OCTAL.fullmatch(text):
            self.fail(
                f"says {_shown(text)}, which some programs read as octal",
                event,
                "quote it, or drop the leading zero",
            )
        return self._number(text, event)

    def _number(self, text: str, event: ScalarEvent) -> int | float | str:
        if _INTEGER.fullmatch(text):
            whole = 0 if len(text) > MOST_DIGITS else int(text, _BASES.get(text[:2], 10))
            if len(text) > MOST_DIGITS or abs(whole) >= 10**MOST_DIGITS:
                # Also of one that is shorter in another base: written anew, it could not be read again.
                self.fail(f"has a number of more than {MOST_DIGITS} digits", event, "quote it")
            return whole
        if _FLOAT.fullmatch(text):
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        return text


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")
