"""From bytes to the events of YAML: clean text, bounded, and with every place known.

The parser is libyaml, whose reading kustomize and most other programs share (docs/systems/yaml.md). It yields
one event after the other, so that a file that is too deep or too long is refused long before its end. Knows
no field, and makes no values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import yaml
from yaml.events import CollectionEndEvent, CollectionStartEvent, Event, NodeEvent

from reconciler.model import yaml_strict
from reconciler.model.errors import BeyondBounds, InvalidFile

Position: TypeAlias = tuple[int, int]
"""Line and column, from 1."""


@dataclass(frozen=True)
class Bounds:
    """The most that is read of a file: its bytes, how deep it is nested, and its keys and values together.

    libyaml takes a time that grows with the square of the depth, and an event takes a kilobyte.
    """

    size: int
    depth: int
    nodes: int


# Control characters, the byte order mark inside a text, the signs that turn the direction of text round, and
# what ends a line in YAML 1.1 but not in 1.2.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
    "|\r(?!\n)"
)
_LINE_END = re.compile(r"\r\n?|\n")


def text_of(path: str, content: bytes, bounds: Bounds) -> str:
    """Return a file's text without byte order mark.

    InvalidFile when it is no clean UTF-8, BeyondBounds when it is too large.
    """
    if len(content) > bounds.size:
        message = f"has {len(content)} bytes; the most is {bounds.size}"
        raise BeyondBounds(path, message, remedy="make it smaller")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        readable = error.object[: error.start].decode("utf-8-sig", "replace")
        line, column = position_at(readable, len(readable))
        raise InvalidFile(
            path, "is not UTF-8", line=line, column=column, remedy="save it as UTF-8"
        ) from error
    if found := _FORBIDDEN.search(text):
        line, column = position_at(text, found.start())
        message = f"holds the invisible character U+{ord(found.group()):04X}"
        raise InvalidFile(path, message, line=line, column=column, remedy="remove it")
    return text


def events(path: str, text: str, bounds: Bounds) -> Iterator[Event]:
    """Yield the parser's events.

    InvalidFile where the text cannot be read, BeyondBounds where it is too deep or holds too much.
    """
    depth = nodes = 0
    try:
        parser = yaml.CBaseLoader(text)
        while (event := parser.get_event()) is not None:
            if isinstance(event, NodeEvent):
                nodes += 1
                if nodes > bounds.nodes:
                    message = f"holds more than {bounds.nodes} keys and values"
                    raise _at(BeyondBounds, path, position_of(event), message, "make it smaller")
                if depth > bounds.depth:
                    message = f"is nested more than {bounds.depth} levels deep"
                    raise _at(BeyondBounds, path, position_of(event), message, "make it flatter")
                depth += isinstance(event, CollectionStartEvent)
            elif isinstance(event, CollectionEndEvent):
                depth -= 1
            yield event
    except yaml.YAMLError as error:
        raise _unreadable(path, text, error) from error


def position_of(event: Event) -> Position:
    """Return where an event begins."""
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)


def start_of(event: Event) -> int:
    """Return where an event begins, in characters from the start of the text."""
    return event.start_mark.index if event.start_mark else 0


def end_of(event: Event) -> int:
    """Return where an event ends. For the end of a block that is where the next thing begins."""
    return event.end_mark.index if event.end_mark else 0


def position_at(text: str, index: int) -> Position:
    """Return the line and column of a character."""
    line_ends = [found.end() for found in _LINE_END.finditer(text, 0, index)]
    return len(line_ends) + 1, index - (line_ends[-1] if line_ends else 0) + 1


def within(text: str, position: Position) -> Position:
    """Return the position, or that of the last character where it is behind that."""
    last = position_at(text, max(len(text.rstrip()) - 1, 0))
    return min(position, last)


def _unreadable(path: str, text: str, error: yaml.YAMLError) -> InvalidFile:
    problem, index = "it holds a character that YAML does not allow", getattr(error, "position", len(text))
    if isinstance(error, yaml.MarkedYAMLError):
        problem = error.problem or error.context or "it cannot be read"
        mark = error.problem_mark or error.context_mark
        index = mark.index if mark else len(text)
        if index >= len(text.rstrip()) and error.context_mark:
            # What was never closed is found missing behind the last line, where there is nothing to mend.
            index = error.context_mark.index
    position = within(text, position_at(text, index))
    if not isinstance(yaml_strict.read(text), yaml_strict.Refusal):
        message = f"is YAML, but most programs cannot read it: {problem}"
        return _at(
            InvalidFile,
            path,
            position,
            message,
            "write it in a plainer way, each key and its value on one line",
        )
    return _at(InvalidFile, path, position, f"is not YAML: {problem}", _hint(problem))


def _hint(problem: str) -> str:
    if "start any token" in problem:
        return "indent with spaces, and quote a value that starts with a special character"
    return "check indentation, colons, brackets and quotes here and in the lines around"


def _at(kind: type[InvalidFile], path: str, position: Position, message: str, remedy: str) -> InvalidFile:
    line, column = position
    return kind(path, message, line=line, column=column, remedy=remedy)
