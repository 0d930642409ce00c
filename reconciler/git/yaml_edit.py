"""Adds entries to one list of a YAML file that people format by hand, by the fewest bytes.

The parser says where things stand, the text is edited, and the result is parsed again: everything outside the
list must come out as the very same events, and the list as the old entries with the new ones. Otherwise
nothing is changed and the file's owner is told. Knows no file and no key by name.
"""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from yaml.events import SequenceStartEvent

from reconciler.git.yaml_list import BOUNDS, Found, ListItem, fail, locate, meaning
from reconciler.model.errors import InvalidFile
from reconciler.model.yaml_text import position_of, start_of, text_of

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
PLAIN_PATH = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_./-]*")
"""A path that needs no quotes."""


def insert_entries(path: str, content: bytes, key: str, values: Iterable[str]) -> tuple[bytes, set[str]]:
    """Return the file with the paths that the top-level list `key` lacked, and which those were.

    Beside entries of the same folder they are sorted in; without such, they come last. InvalidFile, with
    what to do by hand, when the file is written in a way that this cannot edit.
    """
    text = text_of(path, content, BOUNDS)
    found = locate(path, text, key)
    present = {item.name for item in found.items}
    missing = sorted({value for value in values if posixpath.normpath(value) not in present})
    for value in missing:
        if not PLAIN_PATH.fullmatch(value):
            raise ValueError(f"not a path that needs no quotes: {value!r}")
    if not missing:
        return content, set()
    after = _Editor(path, text, key, found).insert(missing)
    if not _is_the_same(found, reread(path, after, key), missing):
        message = f"{key} cannot be edited without changing something else"
        fail(path, message, f"add {missing[0]} to it by hand", found.place)
    mark = BYTE_ORDER_MARK if content.startswith(BYTE_ORDER_MARK) else b""
    return mark + after.encode(), set(missing)


def entries(path: str, content: bytes, key: str) -> frozenset[str]:
    """Return the normalised paths in the top-level list `key`; `./envs/x/` counts as `envs/x`."""
    found = locate(path, text_of(path, content, BOUNDS), key)
    return frozenset(item.name for item in found.items if item.name)


class _Editor:
    """Turns missing paths into pieces of text and their places."""

    def __init__(self, path: str, text: str, key: str, found: Found) -> None:
        self._path = path
        self._text = text
        self._key = key
        self._found = found
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._folders: dict[str, list[int]] = {}
        for index, item in enumerate(found.items):
            if item.name:
                self._folders.setdefault(posixpath.dirname(item.name), []).append(index)
        self._greatest: dict[str, list[str]] = {}
        """By folder, the greatest name so far at each of its entries."""

    def insert(self, values: Sequence[str]) -> str:
        """Return the text with all of them, which are sorted."""
        found = self._found
        if found.value is None:
            return self._with_new_list(values)
        if not found.items:
            return self._with_first_entries(values)
        pieces: dict[int, str] = {}
        for value in values:
            place, piece = self._piece(value)
            pieces[place] = pieces.get(place, "") + piece
        return _spliced(self._text, pieces)

    def _piece(self, value: str) -> tuple[int, str]:
        """Return where the entry goes, and its text with all that separates it from its neighbours."""
        neighbour, before = self._neighbour(value)
        written = neighbour.style + value + neighbour.style if neighbour.style in {"'", '"'} else value
        if self._is_flow():
            return (neighbour.start, f"{written}, ") if before else (neighbour.end, f", {written}")
        line = self._prefix(neighbour) + written
        if before:
            return self._line_start(neighbour), line + self._newline
        return self._below(neighbour.end, line)

    def _neighbour(self, value: str) -> tuple[ListItem, bool]:
        """Return the entry to stand beside, and whether before it."""
        items = self._found.items
        folder = posixpath.dirname(value)
        alike = self._folders.get(folder)
        if not alike:
            return items[-1], False
        if alike[-1] - alike[0] + 1 == len(alike):
            if folder not in self._greatest:
                self._greatest[folder] = list(accumulate((items[index].name for index in alike), max))
            # The first entry with a greater name, also where people have not sorted them.
            place = bisect_right(self._greatest[folder], value)
            if place < len(alike):
                index = alike[place]
                return (items[index], True) if place == 0 else (items[index - 1], False)
        return items[alike[-1]], False

    @property
    def _column(self) -> int:
        """The column of the file's fields, from 0."""
        return position_of(self._found.root)[1] - 1 if self._found.root else 0

    def _is_flow(self) -> bool:
        return isinstance(self._found.value, SequenceStartEvent) and bool(self._found.value.flow_style)

    def _prefix(self, item: ListItem) -> str:
        line_start = self._text.rfind("\n", 0, item.start) + 1
        prefix = self._text[line_start : item.start]
        column = self._found.place[1] - 1
        return prefix if re.fullmatch(r" *- +", prefix) else " " * column + "- "

    def _line_start(self, item: ListItem) -> int:
        line_start = self._text.rfind("\n", 0, item.start) + 1
        if not re.fullmatch(r" *- +", self._text[line_start : item.start]):
            message = f"{self._key} cannot be edited where it is"
            fail(self._path, message, "put each dash and its entry on a line", item.place)
        return line_start

    def _below(self, end: int, lines: str) -> tuple[int, str]:
        """Return the place of a line below the one that holds `end`, and its text with the line's break."""
        line_end = self._text.find("\n", end)
        if line_end < 0:
            return len(self._text), self._newline + lines
        return line_end + 1, lines + self._newline

    def _lines(self, values: Sequence[str]) -> str:
        column = self._found.sibling_column
        if column is None:
            column = self._column
        return self._newline.join(f"{' ' * column}- {value}" for value in values)

    def _with_new_list(self, values: Sequence[str]) -> str:
        root, end = self._found.root, self._found.root_end
        if root is not None and root.flow_style:
            message = f"has no {self._key}, and is written in braces"
            fail(self._path, message, f"add `{self._key}: []`", position_of(root))
        piece = f"{' ' * self._column}{self._key}:{self._newline}{self._lines(values)}{self._newline}"
        starts_line = end == 0 or self._text[end - 1] == "\n"
        return _spliced(self._text, {end: piece if starts_line else self._newline + piece})

    def _with_first_entries(self, values: Sequence[str]) -> str:
        """Fill a list that is empty: `resources: []`, `resources:` or `resources: null`."""
        assert self._found.value is not None  # noqa: S101 - the caller saw it
        begin, end = start_of(self._found.value), self._found.value_end
        in_braces = self._found.root is not None and bool(self._found.root.flow_style)
        if self._is_flow() and (in_braces or "\n" in self._text[begin:end]):
            return _spliced(self._text, {begin + 1: ", ".join(values)})
        if in_braces:
            message = f"{self._key} is empty, and is written in braces"
            fail(self._path, message, f"write `{self._key}: []`", self._found.place)
        place, piece = self._below(end, self._lines(values))
        head, tail = self._text[:begin].rstrip(" "), self._text[end:place]
        return head + tail + piece + self._text[place:]


def _spliced(text: str, pieces: dict[int, str]) -> str:
    parts: list[str] = []
    last = 0
    for place in sorted(pieces):
        parts += [text[last:place], pieces[place]]
        last = place
    return "".join([*parts, text[last:]])


def spliced_out(text: str, places: Iterable[tuple[int, int]]) -> str:
    """Return the text without what is at these places, which do not overlap."""
    parts: list[str] = []
    last = 0
    for begin, end in sorted(places):
        parts.append(text[last:begin])
        last = max(last, end)
    return "".join([*parts, text[last:]])


def reread(path: str, after: str, key: str) -> Found | None:
    """Find the list in the text that is proposed. What is wrong with that is not what people wrote."""
    try:
        return locate(path, after, key)
    except InvalidFile:
        return None


def _is_the_same(before: Found, after: Found | None, inserted: Sequence[str]) -> bool:
    """Tell whether the entries came into the list, and nothing else became different."""
    if after is None:
        return False
    new = set(inserted)
    old = [item.said for item in after.items if item.name not in new]
    return (
        old == [item.said for item in before.items]
        and len(after.items) == len(old) + len(inserted)
        and before.outside() == _without_key(after, before)
    )


def _without_key(after: Found, before: Found) -> list[tuple[object, ...]]:
    """Return what is outside of the list; for a file that had no content, also without the new mapping."""
    outside = after.outside()
    if before.root is not None:
        return outside
    return [meaning(event) for event in before.events]
