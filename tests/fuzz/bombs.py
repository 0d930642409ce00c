"""Files that are small and stand for something huge, deep or slow: read by all that reads what people write.

Nothing but an error with a place may come of one; the longest that any of them took is among the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from random import Random

from reconciler.engine.item_file import InvalidFiles, parse
from reconciler.git.status_text import dump_status, load_status
from reconciler.git.yaml_edit import insert_entries
from reconciler.model.errors import InvalidFile
from reconciler.model.json import json_object
from reconciler.model.yaml_read import load_documents, load_yaml
from tests.fuzz import samples, shown
from tests.fuzz.figures import Figures, Harm
from tests.fuzz.worlds import NOW
from tests.kinds.everyone import EVERYONE

PATH = "projects/fuzz.yaml"
BOMBS: Mapping[str, Callable[[int], str]] = {
    "lists in lists": lambda size: "a: " + "[" * size,
    "closed lists in lists": lambda size: "a: " + "[" * size + "]" * size,
    "mappings in mappings": lambda size: "{a: " * size + "}" * size,
    "lists in lists, in blocks": lambda size: "- " * size + "x",
    "keys of keys": lambda size: "? " * size + "x",
    "deeper with each line": lambda size: "".join(f"{' ' * depth}a:\n" for depth in range(min(size, 1_000))),
    "many keys": lambda size: "".join(f"k{number}: 1\n" for number in range(size)),
    "many keys in one": lambda size: "a:\n" + "".join(f"  k{number}:\n" for number in range(size)),
    "one key again and again": lambda size: "kind: project\n" * size,
    "unknown keys that are nearly right": lambda size: "repoOwnr" * 5 + ": x\n" + "".join(
        f"repoNam{number}: x\n" for number in range(size)),
    "many entries": lambda size: "resources:\n" + "- x\n" * size,
    "many entries in one line": lambda size: "resources: [" + "x, " * size + "]",
    "a long text": lambda size: "displayName: " + "x" * size,
    "a long text in quotes": lambda size: 'displayName: "' + "\\x41" * size + '"',
    "a text of many lines": lambda size: "displayName: a\n" + "  b\n" * size,
    "a block of many lines": lambda size: "displayName: |\n" + "  b\n" * size,
    "a text of empty lines": lambda size: 'displayName: "a' + "\n" * size + 'b"',
    "a long key": lambda size: "x" * size + ": 1",
    "a long key in question": lambda size: "? " + "x" * size + "\n: 1",
    "a long number": lambda size: "litellm: {maxBudget: " + "9" * size + "}",
    "a long fraction": lambda size: "litellm: {maxBudget: 0." + "9" * size + "}",
    "a long exponent": lambda size: "litellm: {maxBudget: 1e" + "9" * size + "}",
    "a long number of sixteens": lambda size: "litellm: {maxBudget: 0x" + "f" * size + "}",
    "a long tag": lambda size: "a: !" + "x" * size + " b",
    "an escaped tag": lambda size: "a: !<" + "%41" * size + "> b",
    "a long anchor": lambda size: "a: &" + "x" * size + " b",
    "many anchors": lambda size: "".join(f"k{number}: &a{number} x\n" for number in range(size)),
    "aliases of aliases": lambda size: "a0: &a0 [x, x]\n" + "".join(
        f"a{number}: &a{number} [*a{number - 1}, *a{number - 1}]\n" for number in range(1, min(size, 60))),
    "an alias of itself": lambda size: "a: &a [" + "*a, " * size + "]",
    "merged and merged": lambda size: "a: &a {k: 1}\n" + "".join(
        f"b{number}: {{<<: *a}}\n" for number in range(size)),
    "many documents": lambda size: "---\na: 1\n" * size,
    "many directives": lambda size: "%TAG !a! tag:x,2000:\n" * size + "---\na: 1\n",
    "a long comment": lambda size: "kind: project # " + "x" * size,
    "many comments": lambda size: "#\n" * size + "kind: project\n",
    "many spaces": lambda size: "kind:" + " " * size + "project",
    "much that is open": lambda size: "'" * size,
    "a list that is never closed": lambda size: "resources: [" + "a, " * size,
    "commas": lambda size: "a: [" + "," * size + "]",
    "colons": lambda size: "a" + ": " * size,
    "marks of blocks": lambda size: "a: |" + "\n\n" * size + " x",
    "JSON in JSON": lambda size: '{"a":' * size + "1" + "}" * size,
    "comments in JSON": lambda size: "/**/" * size + "{}",
    "strings in JSON": lambda size: '{"a": "' + "\\" * size + '"}',
}  # fmt: skip
"""By what they are: a file of about so many parts."""
_SIZES = (30, 1_500, 20_000)


def _parsed(content: bytes) -> None:
    try:
        parse(PATH, content, EVERYONE)
    except InvalidFiles as errors:
        shown.errors(errors.found[:20])
        raise errors.found[0] from errors


def _status(content: bytes) -> None:
    said = load_status(PATH, content)
    if load_status(PATH, dump_status(said)) != said:
        raise Harm("says something else once it is written anew")


def _handed_in(content: bytes) -> None:
    for kind in EVERYONE.values():
        for resource in kind.resources:
            if resource.sealed:
                resource.sealed.read(content, NOW)


READERS: Mapping[str, Callable[[bytes], object]] = {
    "of items": _parsed,
    "of mappings": partial(load_yaml, PATH),
    "of documents": partial(load_documents, PATH),
    "of status files": _status,
    "of lists": lambda content: insert_entries(PATH, content, "resources", ["envs/a"]),
    "of JSON": json_object,
    "of what is handed in to be sealed": _handed_in,
}
"""All that reads what people write; kinds bring more (`tests/kinds/<kind>/fuzz.py`)."""


def run(figures: Figures, random: Random, size: int) -> None:
    """Try so many bombs, the smaller ones first, each with every reader."""
    readers = {**READERS, **readers_of_kinds()}
    tries: list[tuple[str, int, str]] = []
    for scale in _SIZES:
        alike = [(name, scale, reader) for name in BOMBS for reader in readers]
        random.shuffle(alike)
        tries += alike
    for name, scale, reader in tries[:size]:
        figures.attempt((name, scale, reader), lambda: judge(readers[reader], BOMBS[name](scale)))  # noqa: B023


def judge(read: Callable[[bytes], object], text: str) -> Iterable[InvalidFile]:
    """Return why the file is refused, if it is."""
    try:
        read(text.encode())
    except InvalidFile as error:
        shown.errors([error])
        return [error]
    return ()


def readers_of_kinds() -> Mapping[str, Callable[[bytes], object]]:
    """Return what reads files that only one kind knows."""
    own = [samples.of_kind(kind) for kind in EVERYONE.values()]
    return {name: read for module in own if module for name, read in module.READERS.items()}
