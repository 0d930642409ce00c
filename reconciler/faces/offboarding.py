"""Removing an item on purpose: what would go, what stays and why, and the commit that does it.

The commit takes the file away and names the item in its message, which is what confirms a removal wherever
one has to be confirmed. Where the file is gone already, the commit only says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.engine import removing
from reconciler.engine.cycle import Cycle
from reconciler.engine.leaving import RemovalSettings
from reconciler.engine.naming import chosen_item
from reconciler.engine.repositories import Preview
from reconciler.engine.result import Look
from reconciler.engine.trailers import OFFBOARD_TRAILER
from reconciler.git.applied_edits import Fate
from reconciler.git.edits import Edit, Gone, Guard
from reconciler.model.decision import Failed, Needed, Settled
from reconciler.model.duration import format_duration
from reconciler.model.errors import Conflict
from reconciler.model.item import ItemId
from reconciler.model.json import Json
from reconciler.model.loaded import Loaded
from reconciler.model.observation import Unknown
from reconciler.model.plan import Planned
from reconciler.model.removal import Step


@dataclass(frozen=True)
class Going:
    """What becomes of one item: sentences, each about one resource.

    `now`: what the next pass does. `later`: what is taken away once the time to change one's mind is over.
    `stays`: what is left, and why. `unclear`: what could not be looked at, or is in the way.
    """

    id: ItemId
    now: tuple[str, ...]
    later: tuple[str, ...]
    stays: tuple[str, ...]
    unclear: tuple[str, ...]


@dataclass(frozen=True)
class Offboarding:
    """What a commit would bring about, and the edits that it is made of."""

    going: tuple[Going, ...]
    grace: str
    problems: tuple[str, ...]
    edits: tuple[Edit, ...]

    def as_json(self) -> dict[str, Json]:
        """Return it for machines: {grace, items: [{kind, slug, now, later, stays, unclear}], problems}."""
        return {
            "grace": self.grace,
            "items": [
                {
                    "kind": each.id.kind,
                    "slug": each.id.slug,
                    "now": list(each.now),
                    "later": list(each.later),
                    "stays": list(each.stays),
                    "unclear": list(each.unclear),
                }
                for each in self.going
            ],
            "problems": list(self.problems),
        }


def prepare(cycle: Cycle, names: Sequence[str]) -> Offboarding:
    """Look what would become of these items; writes nothing. UnknownItem for one that is not there."""
    loaded = cycle.load()
    known = [*(item.id for item in loaded.items), *sorted(loaded.gone)]
    chosen = list(dict.fromkeys(chosen_item(name, known) for name in names))
    edits = [edit for item in chosen if (edit := _edit(loaded, item))]
    look = cycle.look(
        only=[str(item) for item in chosen],
        as_if=Preview(
            without=[edit.path for edit in edits],
            message=f"{_subject(chosen)}\n\n{OFFBOARD_TRAILER}: {_named(chosen)}\n",
        ),
    )
    grace = format_duration(cycle.sections.get(RemovalSettings).grace)
    problems = (*look.problems, *map(str, look.loaded.broken))
    return Offboarding(tuple(_going(look, item) for item in chosen), grace, problems, tuple(edits))


def commit(cycle: Cycle, prepared: Offboarding) -> str:
    """Commit it, and return the commit. Conflict when a file changed since."""
    items = [each.id for each in prepared.going]
    pushed = cycle.repositories.config.push(
        prepared.edits, _subject(items), {OFFBOARD_TRAILER: _named(items)}, always=True
    )
    for written in (*pushed.fates(Fate.LEFT_OUT), *pushed.fates(Fate.REFUSED)):
        raise Conflict(written.reason, remedy="look at what would become of it once more")
    return pushed.commit


def _subject(items: Sequence[ItemId]) -> str:
    names = ", ".join(item.slug for item in items[:3])
    return f"Offboard {names}" + (f" and {len(items) - 3} more" if items[3:] else "")


def _named(items: Sequence[ItemId]) -> str:
    return ", ".join(map(str, items))


def _edit(loaded: Loaded, item: ItemId) -> Edit | None:
    found = next((each.source for each in loaded.items if each.id == item), None)
    return Gone(item=item, path=found.path, guard=Guard(found.path, found.blob)) if found else None


def _going(look: Look, item: ItemId) -> Going:
    leaving = look.leaving.get(item)
    if leaving is None or not leaving.goes:
        return Going(item, (), (), (), (leaving.reason,) if leaving and leaving.reason else ())
    view = look.views[item.kind]
    first = next(each for each in look.plan if each.id == item).planned
    (last,) = removing.plan(view, {item.slug: replace(leaving, step=Step.REMOVING)})
    return Going(
        item,
        _changes(first),
        tuple(each for each in _changes(last.planned) if each not in _changes(first)),
        tuple(
            f"{name}: {answer.note}"
            for name, answer in last.planned.items()
            if isinstance(answer, Settled) and answer.note
        ),
        tuple(
            f"{name}: {answer.reason}"
            for name, answer in first.items()
            if isinstance(answer, Failed | Unknown)
        ),
    )


def _changes(planned: Mapping[str, Planned]) -> tuple[str, ...]:
    return tuple(
        f"{name}: {answer.change.summary}" for name, answer in planned.items() if isinstance(answer, Needed)
    )
