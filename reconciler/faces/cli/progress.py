"""What is seen of a pass while it runs: one moving line at a terminal, a line for each step elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from rich.text import Text

from reconciler.faces.cli.console import console
from reconciler.model.decision import Change
from reconciler.model.duration import format_duration

LOOKING = "looking at what is there"


class Steps:
    """Tells each step of passes as a line."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show

    def looking(self) -> None:
        """Say that a pass looks at what is there."""
        self._show(LOOKING)

    def changing(self, change: Change) -> None:
        """Say what is changed."""
        self._show(f"change {change.item}: {change.resource} … {change.summary}")

    def waiting(self, pause: timedelta, awaited: Sequence[str]) -> None:
        """Say for how long nothing happens, and why."""
        what = brief(awaited) or "another pass to end"
        self._show(f"looking again in {format_duration(pause)}: waiting for {what}")


@contextmanager
def progress() -> Iterator[Steps]:
    """Give something to tell each step to; on standard error, so that what comes of it can be piped."""
    err = console(error=True)
    if not err.is_terminal or err.is_dumb_terminal:
        yield Steps(err.print)
        return
    with err.status(LOOKING) as status:

        def show(line: str) -> None:
            text = Text(line)
            text.truncate(err.width - 3, overflow="ellipsis")
            status.update(text)

        yield Steps(show)


def brief(places: Sequence[str]) -> str:
    """Return `kind/slug/resource` names in one line: by resource, and of many items only the first."""
    by_resource: dict[str, list[str]] = {}
    for place in places:
        _, slug, resource = place.split("/")
        by_resource.setdefault(resource, []).append(slug)
    return ", ".join(f"{resource} of {_some(slugs)}" for resource, slugs in by_resource.items())


def _some(slugs: Sequence[str]) -> str:
    more = f" and {len(slugs) - 3} more" if len(slugs) > 3 else ""
    return ", ".join(slugs[:3]) + more
