"""A page of runs as bytes, made once for each view: most callers ask for the same page again and again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from reconciler.model.outcome import Status
from reconciler.service.onboarding import View
from reconciler.service.runs import OnboardingRun

KEPT = 64


class Page(BaseModel):
    """Some runs."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    runs: Sequence[OnboardingRun]
    """In the order of their ids."""
    total: int
    """How many runs there are on all pages."""
    next: str | None = None
    """What to send as `after` for the page that follows; null on the last one."""


class Pages:
    """The pages asked for lately. For one event loop."""

    def __init__(self) -> None:
        self._view = View()
        self._made: OrderedDict[tuple[Status | None, str, int], bytes] = OrderedDict()

    def page(self, view: View, *, status: Status | None, after: str, limit: int) -> bytes:
        """Return that page as JSON. `total` counts all runs of that status."""
        if view is not self._view:
            self._view = view
            self._made.clear()
        asked = (status, after, limit)
        if asked not in self._made:
            self._made[asked] = _page(view, status=status, after=after, limit=limit)
            if len(self._made) > KEPT:
                self._made.popitem(last=False)
        return self._made[asked]


def _page(view: View, *, status: Status | None, after: str, limit: int) -> bytes:
    matching = [run for run in view.runs.values() if status is None or run.status is status]
    following = [run for run in matching if run.id > after]
    shown = following[:limit]
    more = shown[-1].id if len(following) > len(shown) else None
    return Page(runs=shown, total=len(matching), next=more).model_dump_json().encode()
