"""YAML read by a second parser, in Python and from other people's hands, as a tree that can be compared."""

from __future__ import annotations

from typing import Any, NamedTuple

import yaml


class Plain(NamedTuple):
    """A value without quotes, or with a tag: what it is, the versions of YAML do not agree upon."""

    text: str


class Unreadable(Exception):
    """The second parser does not take the file, so that it cannot tell anything."""


def tree(content: bytes) -> Any:
    """Return a file's documents: mappings as lists of pairs, text in quotes as str, all else as `Plain`."""
    try:
        documents = list(yaml.compose_all(content.decode("utf-8-sig"), yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from error
    return [_read(node, frozenset()) for node in documents]


def same(found: Any, value: object) -> bool:
    """Whether a tree is what the strict reader made of the same file, as far as it can be compared."""
    if isinstance(found, Plain):
        return found.text == value if isinstance(value, str) else not isinstance(value, dict | list)
    if isinstance(found, str):
        return found == value
    if isinstance(value, dict):
        pairs = list(value.items())
        return len(found) == len(pairs) and all(
            _text(key) == name and same(inner, item)
            for (key, inner), (name, item) in zip(found, pairs, strict=True)
        )
    return (
        isinstance(value, list)
        and len(found) == len(value)
        and all(same(inner, item) for inner, item in zip(found, value, strict=True))
    )


def _read(node: yaml.Node | None, above: frozenset[int]) -> Any:
    if node is None:
        return Plain("")
    if id(node) in above:  # an alias of what it stands in
        return Plain(f"*{node.start_mark.index}")
    below = above | {id(node)}
    if isinstance(node, yaml.ScalarNode):
        is_text = node.style is not None and node.tag in {"!", "tag:yaml.org,2002:str"}
        return node.value if is_text else Plain(node.value)
    if isinstance(node, yaml.MappingNode):
        return [(_read(key, below), _read(value, below)) for key, value in node.value]
    return [_read(item, below) for item in node.value]


def _text(key: Any) -> Any:
    return key.text if isinstance(key, Plain) else key
