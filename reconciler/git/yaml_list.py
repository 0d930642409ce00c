"""Finds one top-level list of a YAML file, and where each of its entries stands in the text.

Lists only: what else the file says is kept as events, to be compared. Knows no file and no key by name.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from ruamel.yaml.events import (
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
from reconciler.model.yaml_read import events


@dataclass(frozen=True)
class ListItem:
    """One entry of the list: where its text starts and ends; `name` is empty for what is no plain path."""

    name: str
    start: int
    end: int
    style: str


@dataclass
class Found:
    """Where the list stands. `value` is the event that the key's value starts with, None without the key."""

    events: list[Event]
    root: Event | None = None
    root_end: int = 0
    value: Event | None = None
    value_end: int = 0
    items: list[ListItem] = field(default_factory=list)
    inside: tuple[int, int] = (0, 0)
    sibling_column: int | None = None

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


def fail(path: str, message: str, remedy: str, at: Event | None = None) -> NoReturn:
    """Raise InvalidFile, with the place of an event."""
    line, column = (at.start_mark.line + 1, at.start_mark.column + 1) if at else (0, 0)
    raise InvalidFile(path, message, line=line, column=column, remedy=remedy)


def locate(path: str, text: str, key: str) -> Found:
    """Find the list `key`; InvalidFile when it is there in a way that cannot be edited."""
    found = Found(list(events(path, text)))
    starts = [index for index, event in enumerate(found.events) if isinstance(event, DocumentStartEvent)]
    if len(starts) > 1:
        fail(path, "has more than one document", "split it", found.events[starts[1]])
    found.root_end = len(text)
    if not starts:
        return found
    root = found.events[starts[0] + 1]
    if isinstance(root, ScalarEvent) and not root.value:
        return found
    if not isinstance(root, MappingStartEvent):
        fail(path, "is not a mapping of fields to values", f"write a list under `{key}:`", root)
    found.root = root
    index = starts[0] + 2
    while not isinstance(found.events[index], CollectionEndEvent):
        after_key = _after(found.events, index)
        after_value = _after(found.events, after_key)
        _take(path, text, key, found, (index, after_key, after_value))
        index = after_value
    found.root_end = found.events[index].start_mark.index
    return found


def _take(path: str, text: str, key: str, found: Found, span: tuple[int, int, int]) -> None:
    """Look at one field of the file: whether it is the list, and how lists are indented here."""
    index, after_key, after_value = span
    name, value = found.events[index], found.events[after_key]
    is_list = isinstance(value, SequenceStartEvent)
    if isinstance(value, SequenceStartEvent) and not value.flow_style and found.sibling_column is None:
        found.sibling_column = value.start_mark.column
    if not isinstance(name, ScalarEvent) or name.value != key:
        return
    if found.value is not None:
        fail(path, f"says {key} twice", "remove one of the two", name)
    is_null = isinstance(value, ScalarEvent) and value.value in {"", "~", "null"} and not value.style
    if not is_list and not is_null:
        fail(path, f"{key} is not a list written here", "write its entries as `- path`, one a line", value)
    if getattr(value, "anchor", None):
        fail(path, f"{key} has an anchor, so others may use the list", "remove it", value)
    found.value = value
    found.value_end = found.events[after_value - 1].end_mark.index
    found.inside = (index, after_value)
    if is_list:
        found.items = _items(found.events, text, after_key + 1, after_value - 1)


def _items(stream: Sequence[Event], text: str, start: int, end: int) -> list[ListItem]:
    items: list[ListItem] = []
    while start < end:
        after = _after(stream, start)
        first = stream[start]
        value, style = (first.value, first.style) if isinstance(first, ScalarEvent) else ("", "")
        name = posixpath.normpath(value) if value else ""
        last = max(_text_end(event, text) for event in stream[start:after])
        items.append(ListItem(name, first.start_mark.index, last, style or ""))
        start = after
    return items


def _text_end(event: Event, text: str) -> int:
    """Return where an event's own text ends; a block's end mark stands at whatever comes next instead."""
    if isinstance(event, ScalarEvent) and event.style in {"|", ">"}:
        return len(text[: event.end_mark.index].rstrip())
    if isinstance(event, ScalarEvent | AliasEvent) or _closes_flow(event, text):
        return int(event.end_mark.index)
    return 0


def _closes_flow(event: Event, text: str) -> bool:
    end = event.end_mark.index
    return isinstance(event, CollectionEndEvent) and end > event.start_mark.index and text[end - 1] in "]}"


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
