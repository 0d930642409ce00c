"""Files for `projects/` after accidents: refused by errors with places alone, or read as they are written."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from random import Random
from typing import Any

from reconciler.engine.item_file import InvalidFiles, parse
from reconciler.model.errors import InvalidFile
from reconciler.model.yaml_read import load_documents, load_yaml
from tests.fuzz import samples, second_reader, shown
from tests.fuzz.figures import Figures, Harm
from tests.fuzz.mutation import mutated
from tests.kinds.everyone import EVERYONE

PATH = "projects/fuzz.yaml"
_HIDDEN = {"Cc", "Zl", "Zp"}
_TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def run(figures: Figures, random: Random, size: int) -> None:
    """Try so many changed files of every kind."""
    files = [
        content
        for kind in EVERYONE.values()
        for content in samples.styles({"kind": kind.name, **samples.sample(kind, "fuzz")})
    ]
    for number in range(size):
        content = mutated(files[number % len(files)], random)
        figures.attempt(content, lambda: judge(content))  # noqa: B023 - called at once


def judge(content: bytes) -> Iterable[InvalidFile]:
    """Return why the file is refused; Harm where it is taken, and a second parser reads something else."""
    refused: Iterable[InvalidFile] = ()
    try:
        parse(PATH, content, EVERYONE)
    except InvalidFiles as errors:
        shown.errors(errors.found)
        refused = errors.found
    _check_read(content)
    return refused


def check_visible(content: bytes) -> None:
    """Check that a file that is taken means what a reviewer sees of it: no line ends that only some see."""
    text = content.decode().removeprefix("\ufeff").replace("\r\n", "\n")
    for sign in text:
        hidden = unicodedata.category(sign) in _HIDDEN or unicodedata.bidirectional(sign) in _TURNING
        if hidden and sign not in "\t\n":
            raise Harm(f"is taken with the sign {sign!a} in it")


def _check_read(content: bytes) -> None:
    """Check what was read of a file, whatever its fields are."""
    try:
        document = load_yaml(PATH, content)
        documents: list[Any] = load_documents(PATH, content)
    except InvalidFile:
        return
    check_visible(content)
    if documents != [document.values] and document.values == document.values:
        raise Harm("is read as another thing by itself than as one of several documents")
    lines = content.count(b"\n") + content.count(b"\r") + 1
    if wrong := [place for place in document.positions.values() if not 1 <= place[0] <= lines]:
        raise Harm(f"has something at a line that is not there: {wrong[0]}")
    try:
        (tree,) = second_reader.tree(content)
    except second_reader.Unreadable:
        return
    if not second_reader.same(tree, document.values):
        raise Harm(f"is read as {document.values!r}"[:400])
