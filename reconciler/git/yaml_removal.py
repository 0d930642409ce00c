"""Takes entries out of one list of a YAML file that people format by hand: their lines, and no other byte.

The opposite of `yaml_edit`, with the same promise: what comes out is parsed again, and must say all that was
said before, save the entries. Knows no file and no key by name.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from yaml.events import AliasEvent, SequenceStartEvent

from reconciler.git.yaml_edit import BYTE_ORDER_MARK, reread, spliced_out
from reconciler.git.yaml_list import BOUNDS, Found, ListItem, fail, locate
from reconciler.model.yaml_text import end_of, start_of, text_of


def remove_entries(path: str, content: bytes, key: str, values: Iterable[str]) -> tuple[bytes, set[str]]:
    """Return the file without these paths in the top-level list `key`, and which of them were there.

    A list that is left without an entry is written as `[]`. InvalidFile, with what to do by hand, when the
    file is written in a way that this cannot edit.
    """
    text = text_of(path, content, BOUNDS)
    found = locate(path, text, key)
    wanted = {posixpath.normpath(value) for value in values}
    gone = [item for item in found.items if item.name in wanted]
    if not gone:
        return content, set()
    _check_anchors(path, found, gone)
    after = _without(path, text, key, found, gone)
    if not _is_the_rest(found, reread(path, after, key), gone):
        message = f"{key} cannot be edited without changing something else"
        fail(path, message, f"take {gone[0].name} out of it by hand", gone[0].place)
    mark = BYTE_ORDER_MARK if content.startswith(BYTE_ORDER_MARK) else b""
    return mark + after.encode(), {item.name for item in gone}


def _check_anchors(path: str, found: Found, gone: Sequence[ListItem]) -> None:
    """Refuse to take an anchor away that is used elsewhere: the file would be no YAML any more."""
    left = [*found.outside(), *(part for item in found.items if item not in gone for part in item.said)]
    used = {anchor for name, anchor, *_ in left if name == AliasEvent.__name__}
    for item in gone:
        if used.intersection(anchor for name, anchor, *_ in item.said if name != AliasEvent.__name__):
            remedy = f"write {item.name} out where its anchor is used, and take it out of the list"
            fail(path, f"{item.name} has an anchor, which is used elsewhere", remedy, item.place)


def _without(path: str, text: str, key: str, found: Found, gone: Sequence[ListItem]) -> str:
    emptied = len(gone) == len(found.items)
    if isinstance(found.value, SequenceStartEvent) and found.value.flow_style:
        if emptied:
            return f"{text[: start_of(found.value)]}[]{text[found.value_end :]}"
        return spliced_out(text, _with_commas(found.items, gone))
    rest = _without_lines(text, [_lines_of(path, text, key, item) for item in gone])
    if not emptied:
        return rest
    # Comments between the entries stay where they are, behind the key and what stands for no entry.
    colon = text.index(":", end_of(found.events[found.inside[0]])) + 1
    return f"{text[:colon]} []{rest[colon:]}"


def _without_lines(text: str, places: Sequence[tuple[int, int]]) -> str:
    rest = spliced_out(text, places)
    if places[-1][1] < len(text) or text.endswith("\n"):
        return rest
    # The last line of a file that does not end in a break: the one before it is to be that now.
    return rest.removesuffix("\n").removesuffix("\r")


def _with_commas(items: Sequence[ListItem], gone: Sequence[ListItem]) -> Iterator[tuple[int, int]]:
    """Yield the places of entries, each with the comma that parts it from a neighbour which stays."""
    last = max(index for index, item in enumerate(items) if item not in gone)
    for item, follower in pairwise(items[: last + 1]):
        if item in gone:
            yield item.start, follower.start
    if last + 1 < len(items):
        yield items[last].end, items[-1].end


def _lines_of(path: str, text: str, key: str, item: ListItem) -> tuple[int, int]:
    """Return the place of an entry's own lines, with their break."""
    begin = text.rfind("\n", 0, item.start) + 1
    before = text[begin : item.start].strip(" ")
    if before != "-":
        fail(path, f"{key} cannot be edited where it is", "put each dash and its entry on a line", item.place)
    end = text.find("\n", item.end)
    return begin, end + 1 if end >= 0 else len(text)


def _is_the_rest(before: Found, after: Found | None, gone: Sequence[ListItem]) -> bool:
    if after is None:
        return False
    left = [item.said for item in before.items if item not in gone]
    return [item.said for item in after.items] == left and after.outside() == before.outside()
