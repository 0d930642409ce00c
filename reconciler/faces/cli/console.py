"""The door to a terminal for what has styles: text of files and servers stays text, whatever stands in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from reconciler.faces.cli.terminal import plain


class _Console(Console):
    """Escapes what it is given to show at the last moment, when only its own styles are still to come."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(plain(segment.text), segment.style)


def console(*, error: bool = False) -> Console:
    """Return a console; off a terminal it never wraps, so that words stay whole for `grep`."""
    stream = sys.stderr if error else sys.stdout
    lines = not stream.isatty()
    return _Console(
        file=stream,
        width=10_000 if lines and "COLUMNS" not in os.environ else None,
        soft_wrap=lines,
        highlight=False,
        emoji=False,
        markup=False,
    )
