"""A push of many items' edits of which the server refuses some: those of the others arrive all the same.

A rule about paths, sizes or secrets refuses a whole commit for one file in it, pass after pass. So the items
are pushed by halves until those are found that are refused by themselves, as the build gate finds those that
break the tree. Each part that is taken is a commit of its own.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.git.edits import Edit
from reconciler.git.remote import Declined
from reconciler.git.repository import PushResult
from reconciler.model.errors import ReconcilerError
from reconciler.model.item import ItemId

MOST_PUSHES = 60
"""One that is refused among 1,000 takes about 20."""
MOST_IN_VAIN = 15
"""Refusals without one push that is taken, after which the server is taken to refuse all of them."""
MOST_NAMED = 8
"""Items that a server's words are believed about."""


@dataclass(frozen=True)
class SplitPush:
    """What was taken, in one or several pushes, and why the edits of some items were not. None: nobody's."""

    taken: tuple[PushResult, ...]
    refused: Mapping[ItemId | None, ReconcilerError] = field(default_factory=dict)


def split_push(push: Callable[[Sequence[Edit]], PushResult], edits: Sequence[Edit]) -> SplitPush:
    """Push the edits, and where a server declines them, all that it takes of them.

    `push` makes one commit of some edits. Raises what it raises where nothing was taken at all.
    """
    try:
        return SplitPush((push(edits),))
    except Declined as declined:
        first = declined
    items = list(dict.fromkeys(edit.item for edit in edits))
    if len(items) == 1 or first.by_rule_of_branch:
        raise first
    waiting = deque(_parts(items, _named(edits, first.message)))
    taken: list[PushResult] = []
    refused: dict[ItemId | None, ReconcilerError] = {}
    pushes = 1
    while waiting:
        part = waiting.popleft()
        theirs = [edit for edit in edits if edit.item in set(part)]
        try:
            taken.append(push(theirs))
        except Declined as declined:
            enough = pushes >= MOST_PUSHES or (not taken and pushes >= MOST_IN_VAIN)
            if len(part) > 1 and not enough:
                waiting.extend(_parts(part, _named(theirs, declined.message)))
            else:
                refused |= dict.fromkeys(part, declined)
            if enough:
                refused |= {item: declined for rest in waiting for item in rest}
                break
        except ReconcilerError as fault:
            if not taken:
                raise
            refused |= {item: fault for rest in (part, *waiting) for item in rest}
            break
        pushes += 1
    if not taken:
        raise first
    return SplitPush(tuple(taken), refused)


def _parts(items: Sequence[ItemId | None], named: set[ItemId | None]) -> list[Sequence[ItemId | None]]:
    """Return the others and each that is named; else two halves."""
    others = [item for item in items if item not in named]
    if named and others and len(named) <= MOST_NAMED:
        return [others, *([item] for item in items if item in named)]
    middle = len(items) // 2
    return [items[:middle], items[middle:]]


def _named(edits: Sequence[Edit], said: str) -> set[ItemId | None]:
    """Return the items that a refusal names, by a path or by their slug."""
    words = set(re.findall(r"[\w-]+", said))
    return {
        edit.item
        for edit in edits
        if edit.path in said or (edit.item is not None and edit.item.slug in words)
    }
