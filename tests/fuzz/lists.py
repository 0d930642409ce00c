"""Entries for lists of files that people format by hand, after accidents.

The file is refused with its place, or it gets one entry: every other byte stays, and a second parser reads
what it read before, and the entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import yaml

from reconciler.git.applied_edits import Fate, apply_edits
from reconciler.git.edits import File, ListEntry
from reconciler.git.tree import EMPTY_TREE, Draft, Memory
from reconciler.git.yaml_edit import entries, insert_entries
from reconciler.model.errors import InvalidFile
from reconciler.model.item import ItemId
from tests.fuzz import second_reader
from tests.fuzz.figures import Figures, Harm
from tests.fuzz.mutation import mutated

PATH, KEY = "k8s/base/kustomization.yaml", "resources"
NEW = ("envs/b", "envs/acme-widgets", "envs/zz-0")
_EMPTY = re.compile(rb"[ ]*(?:\[\s*\]|null|~)")
_SAMPLES = tuple(
    yaml.safe_load((Path(__file__).parent / "data" / "kustomizations.yaml").read_text()).values()
)


def run(figures: Figures, random: Random, size: int) -> None:
    """Try so many changed kustomizations."""
    for number in range(size):
        content = mutated(_SAMPLES[number % len(_SAMPLES)].encode(), random)
        value = random.choice(NEW)
        figures.attempt((content, value), lambda: judge(content, value))  # noqa: B023 - called at once


def judge(content: bytes, value: str) -> Iterable[InvalidFile]:
    """Return why the file cannot be edited; Harm where it is, and something else became of it."""
    draft = Draft(Memory(), EMPTY_TREE)
    draft.put(PATH, content)
    edit = ListEntry(item=ItemId("thing", "mine"), path=PATH, value=value)
    other = File(item=ItemId("thing", "other"), path="other.yaml", content=b"x: 1\n")
    outcome, beside = apply_edits(draft, [edit, other])
    if beside.fate is not Fate.APPLIED:
        raise Harm(f"another item's file was {beside.fate}: {beside.reason}")
    after = draft.read(PATH)
    assert after is not None
    if outcome.fate is Fate.REFUSED:
        return [_refusal(content, after, value)]
    if value not in entries(PATH, after, KEY):
        raise Harm("was edited, and lacks the entry")
    if outcome.fate is Fate.APPLIED:
        _check_edited(content, after, value)
        if [again.fate for again in apply_edits(draft, [edit])] != [Fate.UNCHANGED]:
            raise Harm("is edited again")
    elif after != content:
        raise Harm("was changed without a word")
    return ()


def _refusal(content: bytes, after: bytes, value: str) -> InvalidFile:
    if after != content:
        raise Harm("was refused, and changed all the same")
    try:
        insert_entries(PATH, content, KEY, [value])
    except InvalidFile as error:
        return error
    raise Harm("is refused as one of several edits, and not by itself")


def _check_edited(before: bytes, after: bytes, value: str) -> None:
    emptied = [before[: each.start()] + before[each.end() :] for each in _EMPTY.finditer(before)]
    if not any(_only_inserted(each, after) for each in (before, *emptied)):
        raise Harm(f"lost some of its bytes: {after!r}")
    if before.count(b"\n") == before.count(b"\r\n") > 0 and after.count(b"\n") != after.count(b"\r\n"):
        raise Harm("has lines that end in another way than all others")
    try:
        old = second_reader.tree(before)
    except second_reader.Unreadable:
        return
    try:
        new = second_reader.tree(after)
    except second_reader.Unreadable as error:
        raise Harm(f"cannot be read any more: {error}") from error
    if _without_entry(new, value) != _with_list(old):
        raise Harm(f"means something else now: {after!r}")


def _only_inserted(before: bytes, after: bytes) -> bool:
    rest = iter(after)
    return all(byte in rest for byte in before)


def _with_list(documents: list[Any]) -> list[Any]:
    """Return the file with a list, where it had none or no value for it."""
    (root,) = documents or [[]]
    pairs = root if isinstance(root, list) else []
    nothing = [second_reader.Plain(word) for word in ("", "~", "null")]
    filled = [(key, [] if _is_list(key) and value in nothing else value) for key, value in pairs]
    return [filled if any(_is_list(key) for key, _ in filled) else [*filled, (second_reader.Plain(KEY), [])]]


def _without_entry(documents: list[Any], value: str) -> list[Any]:
    return [
        [(key, _without(found, value) if _is_list(key) else found) for key, found in root]
        for root in documents
    ]


def _without(found: list[Any], value: str) -> list[Any]:
    """Return a list without the entry; only the first of its name, since it had none before."""
    for index, item in enumerate(found):
        if item in (value, second_reader.Plain(value)):
            return [*found[:index], *found[index + 1 :]]
    raise Harm("a second parser does not find the entry")


def _is_list(key: Any) -> bool:
    return key in (KEY, second_reader.Plain(KEY))
