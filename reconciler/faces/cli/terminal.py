"""The doors for text without styles, JSON and markdown: what files and servers put into it stays text.

Nothing else prints in this package. Escapes that a terminal obeys are shown and not sent; what GitHub would
make of a comment (links, mentions, images, cells) is shown as it was written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

import click

from reconciler.model.errors import printable
from reconciler.model.json import Json

_BREAK = "\u200b"
"""A space without width: what stands on its two sides is no mention, reference or address any more."""
_SIGNS = re.compile(r"([\\`*_{}\[\]<>()!|~&])")
_MEANT = re.compile(r"(?i)(?<=@)(?=\w)|(?<=#)(?=\d)|(?<=:)(?=//)|(?<=\bwww)(?=\.)")


def plain(text: str) -> str:
    """Return lines of text with everything escaped that a terminal would obey and not show."""
    return "\n".join(printable(line) for line in text.split("\n"))


def say(text: str, *, err: bool = False) -> None:
    """Print lines of text."""
    click.echo(plain(text), err=err)


def say_json(document: Mapping[str, Json] | Sequence[Json]) -> None:
    """Print a document for machines; a terminal obeys nothing of it either."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    shown = (sign if sign == "\n" or sign.isprintable() else json.dumps(sign)[1:-1] for sign in text)
    click.echo("".join(shown))


def say_markdown(text: str) -> None:
    """Print markdown, of which every piece from elsewhere went through `markdown`."""
    click.echo(_BREAK.join(plain(part) for part in text.split(_BREAK)))


def markdown(text: str) -> str:
    """Return text as markdown of one line that shows just that text, also in a cell of a table."""
    return _MEANT.sub(_BREAK, _SIGNS.sub(r"\\\1", printable(text.replace("\n", " "))))
