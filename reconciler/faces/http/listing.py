"""A page of a list as bytes, made once for each view: most callers ask for the same page again and again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

KEPT = 64


class Pages:
    """The pages asked for lately, of one list. For one event loop."""

    def __init__(self) -> None:
        self._view: object = None
        self._made: OrderedDict[Hashable, bytes] = OrderedDict()

    def page(self, view: object, asked: Hashable, make: Callable[[], bytes]) -> bytes:
        """Return the page that was asked for, made anew once the view is another one."""
        if view is not self._view:
            self._view = view
            self._made.clear()
        if asked not in self._made:
            self._made[asked] = make()
            if len(self._made) > KEPT:
                self._made.popitem(last=False)
        return self._made[asked]
