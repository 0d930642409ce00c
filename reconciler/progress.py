"""What is seen of a pass while it runs: one moving line at a terminal, a line for each step elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.text import Text

from reconciler.display import console
from reconciler.model.decision import Change

Announce = Callable[[str], None]
LOOKING = "looking at what is there"


@contextmanager
def progress() -> Iterator[Announce]:
    """Give something to tell each step to; on standard error, so that what comes of it can be piped."""
    err = console(error=True)
    if not err.is_terminal or err.is_dumb_terminal:
        yield err.print
        return
    with err.status(LOOKING) as status:

        def show(line: str) -> None:
            text = Text(line)
            text.truncate(err.width - 3, overflow="ellipsis")
            status.update(text)

        yield show


def change_line(change: Change) -> str:
    """Return the step that makes one change."""
    return f"change {change.slug}: {change.resource} … {change.summary}"


def brief(places: Sequence[str]) -> str:
    """Return `slug/resource` names in one line: by resource, and of many projects only the first."""
    by_resource: dict[str, list[str]] = {}
    for place in places:
        slug, _, resource = place.partition("/")
        by_resource.setdefault(resource, []).append(slug)
    return ", ".join(f"{resource} of {_some(slugs)}" for resource, slugs in by_resource.items())


def _some(slugs: Sequence[str]) -> str:
    more = f" and {len(slugs) - 3} more" if len(slugs) > 3 else ""
    return ", ".join(slugs[:3]) + more
