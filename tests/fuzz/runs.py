"""All runs by name: those of every kind, and those that a kind brings for what only it has."""

from __future__ import annotations

from collections.abc import Mapping

from tests.fuzz import bombs, doors, fields, item_files, lists, samples, sealed_entries, status_files
from tests.fuzz.figures import Run
from tests.kinds.everyone import EVERYONE


def runs() -> Mapping[str, Run]:
    """Return the runs in the order in which their figures are printed."""
    found: dict[str, Run] = {
        "texts in fields": fields.run,
        "texts on terminals": doors.run,
        "status files": status_files.run,
        "sealed entries": sealed_entries.run,
        "item files": item_files.run,
        "lists of files": lists.run,
        "bombs": bombs.run,
    }
    for kind in EVERYONE.values():
        own = samples.of_kind(kind)
        found |= {f"{kind.name}: {name}": run for name, run in own.RUNS.items()} if own else {}
    return found
