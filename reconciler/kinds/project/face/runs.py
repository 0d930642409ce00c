"""Projects as runs: what the routes and the tools of the onboarding service do. Knows no HTTP and no MCP."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.faces.catalogue import View
from reconciler.faces.desk import Desk
from reconciler.kinds.project.face.onboarding_run import OnboardingRun, runs_of
from reconciler.kinds.project.spec import KIND, OnboardProjectRequest
from reconciler.model.errors import UnknownItem
from reconciler.model.item import ItemId


class Runs:
    """Safe for any number of threads, as the desk is."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._made: tuple[View, Mapping[str, OnboardingRun]] | None = None

    def of(self, view: View) -> Mapping[str, OnboardingRun]:
        """Return the runs of a view by id; made once for each view."""
        made = self._made
        if made is None or made[0] is not view:
            made = self._made = (view, runs_of(view, view.beside.get(KIND, {})))
        return made[1]

    def run(self, id: str) -> OnboardingRun:  # noqa: A002 - the API's own name for it
        """Return one run; UnknownItem when there is none, also not after another look."""
        try:
            view = self._desk.catalogue.view_with(ItemId(KIND, id))
        except UnknownItem:
            raise _unknown(id) from None
        return self._run(view, id)

    def start(self, request: OnboardProjectRequest) -> tuple[OnboardingRun, bool]:
        """Ask for a project. Return its run, and whether it is new."""
        values = request.model_dump(by_alias=True, exclude_unset=True, exclude_none=True)
        made, new = self._desk.ask(KIND, values)
        return self._run(self._desk.catalogue.view(), made.slug), new

    def submit(self, id: str, tokens: bytes) -> OnboardingRun:  # noqa: A002 - the API's own name for it
        """Hand over a login's tokens."""
        try:
            made = self._desk.hand_over(ItemId(KIND, id), tokens)
        except UnknownItem:
            raise _unknown(id) from None
        return self._run(self._desk.catalogue.view(), made.slug)

    def _run(self, view: View, id: str) -> OnboardingRun:  # noqa: A002 - the API's own name for it
        try:
            return self.of(view)[id]
        except KeyError:
            raise _unknown(id) from None  # somebody took its file away in this moment


def _unknown(id: str) -> UnknownItem:  # noqa: A002 - the API's own name for it
    return UnknownItem(f"there is no run {id}", remedy="GET /onboard lists them")
