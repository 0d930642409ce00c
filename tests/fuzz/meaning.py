"""Whether files that were rendered from a hostile text mean what they mean with a harmless one in its place.

Files are composed by a YAML library that the program does not read with. Both versions must have the same
documents, objects, keys and lines; only whole values may differ, and those must be the text, in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

import yaml

from tests.fuzz.figures import Harm

_PLAIN_PATH = re.compile(r"[a-z0-9-]+(?:/[a-z0-9-]+)+(?:\.[a-z]+)?")
"""What lists of paths, which people edit too, hold without quotes: every reader of YAML takes it for text."""


_MADE_NAME = re.compile(r"[a-z0-9:./_-]+")
"""What names are made of where not every sign may be: nothing in it means anything to YAML."""


class Scalar(NamedTuple):
    """A value of a YAML file: where it stands, what it is, and in which quotes."""

    place: tuple[str | int, ...]
    tag: str
    value: str
    style: str | None


def check_same(harmless: Mapping[str, bytes], hostile: Mapping[str, bytes], benign: str, text: str) -> None:
    """Harm where the hostile files differ from the harmless ones in more than `text` instead of `benign`."""
    renamed = {path.replace(benign, text) if text else path: content for path, content in harmless.items()}
    if renamed.keys() != hostile.keys():
        raise Harm(f"other files: {sorted(renamed.keys() ^ hostile.keys())}")
    for path, content in hostile.items():
        _check_file(path, renamed[path], content, benign, text)


@lru_cache(maxsize=64)  # the harmless files are the same again and again
def scalars(path: str, content: bytes) -> list[Scalar]:
    """Return all values and keys of a file; Harm when it is no YAML."""
    try:
        documents = list(yaml.compose_all(content.decode(), yaml.CSafeLoader))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Harm(f"{path} is no YAML: {error}") from error
    return [scalar for number, node in enumerate(documents) for scalar in _walk(node, (number,))]


def _check_file(path: str, harmless: bytes, hostile: bytes, benign: str, text: str) -> None:
    before, after = scalars(path, harmless), scalars(path, hostile)
    if harmless.count(b"\n") != hostile.count(b"\n"):
        raise Harm(f"{path} has other lines")
    if [each.place for each in before] != [each.place for each in after]:
        raise Harm(f"{path} has other keys, values or documents")
    for old, new in zip(before, after, strict=True):
        if (old.tag, old.value) == (new.tag, new.value):
            continue
        if new.tag != old.tag or new.tag != "tag:yaml.org,2002:str":
            raise Harm(f"{path} has at {new.place} a {new.tag}")
        if new.style not in {'"', "'"} and not _PLAIN_PATH.fullmatch(new.value):
            raise Harm(f"{path} has at {new.place} a value without quotes")
        # The kubelet makes one dollar sign of two: in a container's variables each is written twice.
        wanted = {old.value.replace(benign, each) for each in (text, text.replace("$", "$$"))}
        if benign in old.value and new.value not in wanted and not _MADE_NAME.fullmatch(new.value):
            raise Harm(f"{path} says at {new.place} {new.value[:80]!r}")


def _walk(node: yaml.Node | None, place: tuple[str | int, ...]) -> Iterator[Scalar]:
    if isinstance(node, yaml.ScalarNode):
        yield Scalar(place, str(node.tag), node.value, node.style)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _walk(item, (*place, number))
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else repr(key)
            yield from _walk(value, (*place, name))
