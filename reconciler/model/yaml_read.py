"""The one strict reader of YAML that people write: YAML 1.2's plain values, all places known, nothing clever.

Works on the parser's events, so that size, depth and count are bounded before anything is built, and aliases
(what YAML bombs are made of) are refused outright. Knows no field of any file.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

from _ruamel_yaml import CParser  # type: ignore[import-not-found]
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from reconciler.model.errors import InvalidFile

LARGEST = 256 * 1024
"""Bytes."""
DEEPEST = 32
MOST_VALUES = 20_000

_STANDARD = "tag:yaml.org,2002:"
_NAMES = {int: "int", float: "float", bool: "bool", type(None): "null"}

KeyPath: TypeAlias = tuple[str | int, ...]
Position: TypeAlias = tuple[int, int]
"""Line and column, from 1."""

# Control characters, the byte order mark inside a text, and the signs that turn the direction of text round.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u061c"
    "\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)
_NULL = {"", "~", "null", "Null", "NULL"}
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_OLD_TRUTH = {"yes", "no", "on", "off"}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_STARTS_NUMBER = frozenset("-+.0123456789")
_OLD_OCTAL = re.compile(r"[-+]?0[0-9]+")


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
    documents = list(builder.documents(text_of(path, content)))
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


def load_documents(path: str, content: bytes, largest: int = LARGEST) -> list[Any]:
    """Read a file of any number of documents of any shape, as strictly."""
    return list(_Builder(path).documents(text_of(path, content, largest)))


def text_of(path: str, content: bytes, largest: int = LARGEST) -> str:
    """Return a file's text without byte order mark; InvalidFile when it is too large or no clean UTF-8."""
    if len(content) > largest:
        raise InvalidFile(path, f"has {len(content)} bytes; the most is {largest}", remedy="make it smaller")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise InvalidFile(
            path, "is not UTF-8", line=line, column=column, remedy="save it as UTF-8"
        ) from error
    if found := _FORBIDDEN.search(text):
        line = text.count("\n", 0, found.start()) + 1
        column = found.start() - text.rfind("\n", 0, found.start())
        message = f"holds the invisible character U+{ord(found.group()):04X}"
        raise InvalidFile(path, message, line=line, column=column, remedy="remove it")
    return text


def events(path: str, text: str) -> Iterator[Event]:
    """Yield the parser's events; InvalidFile where the text is not YAML."""
    try:
        parser = CParser(text)
        while (event := parser.get_event()) is not None:
            yield event
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        problem = error.problem or error.context or "cannot be read"
        raise InvalidFile(
            path, f"is not YAML: {problem}", line=line, column=column, remedy=_hint(problem)
        ) from error
    except YAMLError as error:
        raise InvalidFile(path, "is not YAML", remedy="check it with a YAML linter") from error


def _hint(problem: str) -> str:
    if "start any token" in problem:
        return "indent with spaces, and quote a value that starts with a special character"
    return "check indentation, colons and quotes at this line and the one before"


class _Builder:
    """Builds plain values from events, and remembers where they stood."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._count = 0
        self.positions: dict[KeyPath, Position] = {}
        self.starts: list[Event] = []

    def fail(self, message: str, at: Event, remedy: str) -> NoReturn:
        """Raise InvalidFile for the place of an event."""
        line, column = _place(at)
        raise InvalidFile(self._path, message, line=line, column=column, remedy=remedy)

    def documents(self, text: str) -> Iterator[Any]:
        """Yield every document's value."""
        stream = events(self._path, text)
        for event in stream:
            if isinstance(event, DocumentStartEvent):
                start = next(stream)
                self.starts.append(start)
                yield self._value(start, stream, ())

    def _value(self, event: Event, stream: Iterator[Event], at: KeyPath) -> Any:  # noqa: ANN401 - any value
        self._count += 1
        if self._count > MOST_VALUES:
            self.fail(f"holds more than {MOST_VALUES} values", event, "make it smaller")
        if len(at) > DEEPEST:
            self.fail(f"is nested more than {DEEPEST} levels deep", event, "make it flatter")
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
            self.positions[here] = _place(event)
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
            self.positions[here] = _place(event)
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
            if len(text) > 100:
                self.fail("has a number of more than 100 digits", event, "quote it")
            return int(text, 8 if text.startswith("0o") else 16 if text.startswith("0x") else 10)
        if _FLOAT.fullmatch(text):
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        return text


def _place(event: Event) -> Position:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")
