"""Finds one top-level list of a YAML file, and where each of its entries stands in the text.

Lists only: what else the file says is kept as events, to be compared. Knows no file and no key by name.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from reconciler.model.errors import InvalidFile
from reconciler.model.yaml_text import Bounds, Position, end_of, events, position_of, start_of

BOUNDS = Bounds(size=4 * 1024 * 1024, depth=200, nodes=100_000)
"""A list of 10,000 environments has half a megabyte."""


@dataclass(frozen=True)
class ListItem:
    """One entry of the list: where its text starts and ends; `name` is empty for what is no plain path.

    `said`: all that the entry says, without places.
    """

    name: str
    start: int
    end: int
    style: str
    place: Position
    said: tuple[tuple[object, ...], ...]


@dataclass
class Found:
    """Where the list stands. `value` is the event that the key's value starts with, None without the key."""

    events: list[Event]
    root: MappingStartEvent | None = None
    root_end: int = 0
    value: Event | None = None
    value_end: int = 0
    items: list[ListItem] = field(default_factory=list)
    inside: tuple[int, int] = (0, 0)
    """The numbers of the events of the key and its value, the second one excluded."""
    sibling_column: int | None = None

    @property
    def place(self) -> Position:
        """Where the list begins; (0, 0) where there is none."""
        return position_of(self.value) if self.value else (0, 0)

    def outside(self) -> list[tuple[object, ...]]:
        """Return all that is not the list, without places."""
        start, end = self.inside
        return [meaning(event) for event in self.events[:start] + self.events[end:]]


def meaning(event: Event) -> tuple[object, ...]:
    """Return what an event says, without its place."""
    return (
        type(event).__name__,
        *(getattr(event, name, None) for name in ("anchor", "tag", "value", "style")),
    )


def fail(path: str, message: str, remedy: str, at: Position) -> NoReturn:
    """Raise InvalidFile for a place in the text that people wrote; (0, 0) for the whole file."""
    line, column = at
    raise InvalidFile(path, message, line=line, column=column, remedy=remedy)


def locate(path: str, text: str, key: str) -> Found:
    """Find the list `key`; InvalidFile when it is there in a way that cannot be edited."""
    found = Found(list(events(path, text, BOUNDS)))
    starts = [index for index, event in enumerate(found.events) if isinstance(event, DocumentStartEvent)]
    if len(starts) > 1:
        message = "has more than one document"
        fail(path, message, "bring all of it together in one", position_of(found.events[starts[1]]))
    found.root_end = len(text)
    if not starts:
        return found
    root = found.events[starts[0] + 1]
    if isinstance(root, ScalarEvent) and not root.value:
        return found
    if not isinstance(root, MappingStartEvent):
        fail(path, "is not a mapping of fields to values", f"write a list under `{key}:`", position_of(root))
    found.root = root
    index = starts[0] + 2
    while not isinstance(found.events[index], CollectionEndEvent):
        after_key = _after(found.events, index)
        after_value = _after(found.events, after_key)
        _take(path, text, key, found, (index, after_key, after_value))
        index = after_value
    found.root_end = start_of(found.events[index])
    return found


def _take(path: str, text: str, key: str, found: Found, span: tuple[int, int, int]) -> None:
    """Look at one field of the file: whether it is the list, and how lists are indented here."""
    index, after_key, after_value = span
    name, value = found.events[index], found.events[after_key]
    is_list = isinstance(value, SequenceStartEvent)
    if isinstance(value, SequenceStartEvent) and not value.flow_style and found.sibling_column is None:
        found.sibling_column = position_of(value)[1] - 1
    if not isinstance(name, ScalarEvent) or name.value != key:
        return
    if found.value is not None:
        fail(path, f"says {key} twice", "bring both lists together in one", position_of(name))
    is_null = isinstance(value, ScalarEvent) and value.value in {"", "~", "null"} and not value.style
    if not is_list and not is_null:
        fail(
            path,
            f"{key} is not a list written here",
            "write its entries as `- path`, one a line",
            position_of(value),
        )
    if getattr(value, "anchor", None):
        message = f"{key} has an anchor, so others may use the list"
        fail(path, message, "write it out wherever it is used", position_of(value))
    found.value = value
    found.value_end = end_of(found.events[after_value - 1])
    found.inside = (index, after_value)
    if is_list:
        found.items = _items(found.events, text, after_key + 1, after_value - 1)


def _items(stream: Sequence[Event], text: str, first: int, behind: int) -> list[ListItem]:
    items: list[ListItem] = []
    while first < behind:
        after = _after(stream, first)
        entry = stream[first]
        value, style = (entry.value, entry.style) if isinstance(entry, ScalarEvent) else ("", "")
        name = posixpath.normpath(value) if value else ""
        last = max(_text_end(event, text) for event in stream[first:after])
        said = tuple(meaning(event) for event in stream[first:after])
        items.append(ListItem(name, start_of(entry), last, style or "", position_of(entry), said))
        first = after
    return items


def _text_end(event: Event, text: str) -> int:
    """Return where an event's own text ends; a block's end mark stands at whatever comes next instead."""
    if isinstance(event, ScalarEvent) and event.style in {"|", ">"}:
        return len(text[: end_of(event)].rstrip())
    if isinstance(event, ScalarEvent | AliasEvent) or _closes_flow(event, text):
        return end_of(event)
    return 0


def _closes_flow(event: Event, text: str) -> bool:
    behind = end_of(event)
    return isinstance(event, CollectionEndEvent) and behind > start_of(event) and text[behind - 1] in "]}"


def _after(stream: Sequence[Event], index: int) -> int:
    """Return the index of the event after the node that starts here."""
    depth = 0
    while True:
        depth += isinstance(stream[index], CollectionStartEvent) - isinstance(
            stream[index], CollectionEndEvent
        )
        index += 1
        if depth == 0:
            return index
