"""The second reading of a text, by a parser that keeps to YAML 1.2 to the letter.

libyaml takes texts that are no YAML, and reads a few in another way than YAML 1.2 asks, so its word alone is
not enough. This parser (saphyr's) agrees with the whole of the yaml-test-suite, but knows no places of keys.
Its own bounds keep it safe with whatever people wrote. Knows no file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeAlias

import fast_yaml

KeyPath: TypeAlias = tuple[str | int, ...]
"""Keys and numbers of list items, from the outside in."""

_DEEPEST = 256
_MOST_DOCUMENTS = 10_000
_MOST_BY_ALIASES = 1024 * 1024
"""Bytes."""
_REASON = re.compile(
    r"(?:YAML [a-z ]+: )*(?P<what>.*?)(?: at line (?P<line>\d+), column (?P<column>\d+).*)?", re.DOTALL
)


@dataclass(frozen=True)
class Refusal:
    """Why a text is not read. Line and column from 1; 0 where the parser names none."""

    reason: str
    line: int = 0
    column: int = 0


def read(text: str) -> list[Any] | Refusal:
    """Return the values of all documents, or why the text is no YAML 1.2.

    Of a key that is there twice the last one counts, and `<<` merges mappings.
    """
    try:
        return list(
            fast_yaml.safe_load_all(
                text,
                max_depth=_DEEPEST,
                max_alias_bytes=_MOST_BY_ALIASES,
                max_documents=_MOST_DOCUMENTS,
            )
        )
    except ValueError as error:
        parts = _REASON.fullmatch(str(error))
        if parts is None:
            return Refusal(str(error))
        return Refusal(parts["what"], int(parts["line"] or 0), int(parts["column"] or 0))


def difference(ours: Any, theirs: Any, at: KeyPath = ()) -> KeyPath | None:  # noqa: ANN401 - any values
    """Return the first place where values or their types differ; None when they are the same.

    The keys of `ours` are texts, whatever they look like; `theirs` is from `read`.
    """
    if isinstance(ours, dict) and isinstance(theirs, dict) and len(ours) == len(theirs):
        for (key, value), other in zip(ours.items(), theirs, strict=True):
            # Theirs are numbers where they look like it.
            if isinstance(other, str) and key != other:
                return (*at, key)
            if (path := difference(value, theirs[other], (*at, key))) is not None:
                return path
        return None
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (value, other) in enumerate(zip(ours, theirs, strict=True)):
            if (path := difference(value, other, (*at, index))) is not None:
                return path
        return None
    # One not-a-number is as good as another, which comparing them would not say.
    same = ours == theirs if isinstance(ours, str) else repr(ours) == repr(theirs)
    return None if same else at
