"""Items as people name them on a command line or in a request: by slug, or by kind and slug."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.errors import UnknownItem, UsageError
from reconciler.model.item import ItemId


def chosen_item(name: str, known: Iterable[ItemId]) -> ItemId:
    """Return the item that is meant by `SLUG` or `KIND/SLUG`; UsageError for none, or for several."""
    kind, _, slug = name.rpartition("/")
    found = sorted({each for each in known if each.slug == slug and kind in {"", each.kind}})
    if not found:
        raise UnknownItem(f"nothing is called {name}", remedy="`reconcile status` lists the slugs")
    if len(found) > 1:
        raise UsageError(
            f"{name} is the name of several things", remedy=f"write one of {', '.join(map(str, found))}"
        )
    return found[0]


def short_names(known: Iterable[ItemId]) -> dict[ItemId, str]:
    """Return the shortest name of each that `chosen_item` understands."""
    everyone = set(known)
    slugs = [each.slug for each in everyone]
    return {each: each.slug if slugs.count(each.slug) == 1 else str(each) for each in everyone}
