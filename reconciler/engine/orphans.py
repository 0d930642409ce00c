"""Things that carry our marks and belong to no file: what a crash, a lost status file or another tool left.

Only looks. What it finds is told by name, for a person to decide.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from reconciler.engine.contract import Orphan, Owners
from reconciler.engine.cycle import Cycle
from reconciler.engine.kind import Kind
from reconciler.engine.stages.load import load
from reconciler.model.errors import DEFECT, NotConfigured, ReconcilerError
from reconciler.model.loaded import Loaded
from reconciler.model.status_file import identity, outputs
from reconciler.settings.giving import Reading


@dataclass(frozen=True)
class Found:
    """`unread`: sentences about what could not be looked through; `unlisted`: resources that list nothing."""

    orphans: tuple[Orphan, ...] = ()
    unread: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()


def find(cycle: Cycle) -> Found:
    """Look through every system that can list what it has; a few requests each, however many items."""
    cycle.sections.renew()
    problems: list[str] = []
    fetched = cycle.repositories.fetched(problems, cycle.repositories.emptiness())
    loaded = load(fetched.config, cycle.kinds, None)
    orphans: list[Orphan] = []
    unlisted: list[str] = []
    with closing(Reading(cycle.sections, given=fetched.readers)) as read:
        for kind in cycle.kinds.values():
            owners = _owners(loaded, kind)
            for resource in (make(cycle.sections) for make in kind.resources):
                try:
                    found = resource.orphans(owners, read)
                except NotConfigured:
                    continue
                except ReconcilerError as error:
                    problems.append(f"{kind.name}/{resource.name}: {error}")
                    continue
                except Exception as error:  # noqa: BLE001 - what one resource meets hides none of the others
                    problems.append(
                        f"{kind.name}/{resource.name}: unexpected {type(error).__name__} ({DEFECT})"
                    )
                    continue
                if found is None:
                    unlisted.append(f"{kind.name}/{resource.name}")
                else:
                    orphans += found
    return Found(tuple(sorted(orphans)), tuple(problems), tuple(unlisted))


def _owners(loaded: Loaded, kind: Kind) -> Owners:
    """Return whose things are somebody's: items with a file, and those that have a status file still."""
    ids = {item.id for item in loaded.items} | set(loaded.statuses) | set(loaded.unreadable_statuses)
    proofs: dict[str, str | None] = {}
    for each in ids:
        if each.kind == kind.name:
            known = identity(loaded.status(each))
            proofs[each.slug] = known.proof if known and known.proof else None
    remembered = {
        resource.name: [
            outputs(document, resource.name)
            for item, document in loaded.statuses.items()
            if item.kind == kind.name
        ]
        for resource in kind.resources
    }
    return Owners(kind.name, proofs, remembered)
