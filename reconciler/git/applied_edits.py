"""Edits applied to a tree, and what became of each: what cannot be applied stops no other item.

Pure over a `Draft`. What an edit means is its own matter (`edits`); here is how many of them go together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import structlog

from reconciler.git.edits import Edit, Excluded, Gone, Included, ListEntry, insert_lines
from reconciler.git.exclusion import exclude
from reconciler.git.inclusion import Kustomizations, included
from reconciler.git.tree import Draft
from reconciler.model.errors import DEFECT, Collision, InvalidFile, SystemFault, printable

log = structlog.get_logger()


class Fate(StrEnum):
    """What became of an edit. `LEFT_OUT`: its guard no longer held; `REFUSED`: the files did not let it."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    LEFT_OUT = "left out"
    REFUSED = "refused"


@dataclass(frozen=True)
class EditOutcome:
    """One edit and what became of it; `reason` is for people and empty when all is well."""

    edit: Edit
    fate: Fate
    reason: str = ""
    remedy: str = ""


def apply_edits(
    draft: Draft, edits: Sequence[Edit], kustomizations: Kustomizations | None = None
) -> list[EditOutcome]:
    """Apply every edit whose guard holds; what cannot be applied stops no other item. In the order given.

    An item gets its list entries only if its other edits could be made: an entry alone would name nothing.
    For the same reason its files go only once no build names them.
    `kustomizations`: given by who applies edits to many trees that differ little, which share most.
    """
    outcomes: dict[int, EditOutcome] = {}
    entries: dict[int, ListEntry] = {}
    folders: dict[int, Included] = {}
    excluded: dict[int, Excluded] = {}
    gone: dict[int, Gone] = {}
    for index, edit in enumerate(edits):
        if edit.guard is not None and not edit.guard.holds(draft):
            outcomes[index] = EditOutcome(edit, Fate.LEFT_OUT, *edit.guard.broken)
        elif isinstance(edit, ListEntry):
            entries[index] = edit
        elif isinstance(edit, Included):
            folders[index] = edit
        elif isinstance(edit, Excluded):
            excluded[index] = edit
        elif isinstance(edit, Gone):
            gone[index] = edit
        else:
            outcomes[index] = _attempt(draft, edit)
    _attempt_exclusions(draft, excluded, outcomes)
    still_built = {edit.item for index, edit in excluded.items() if outcomes[index].fate is Fate.REFUSED}
    for index, edit in gone.items():
        stays = EditOutcome(edit, Fate.REFUSED, "what is built still names it")
        outcomes[index] = stays if edit.item in still_built else _attempt(draft, edit)
    refused = {outcome.edit.item for outcome in outcomes.values() if outcome.fate is Fate.REFUSED}
    for index, edit in (entries | folders).items():
        if edit.item in refused:
            reason = f"the other files of {edit.item} could not be written"
            outcomes[index] = EditOutcome(edit, Fate.REFUSED, reason)
    waiting = {index: edit for index, edit in folders.items() if index not in outcomes}
    lines = _missing_lines(draft, waiting, outcomes, kustomizations)
    _attempt_entries(draft, {i: entry for i, entry in entries.items() if i not in outcomes} | lines, outcomes)
    return [replace(outcomes[index], edit=edit) for index, edit in enumerate(edits)]


def _missing_lines(
    draft: Draft,
    folders: Mapping[int, Included],
    outcomes: dict[int, EditOutcome],
    kustomizations: Kustomizations | None,
) -> dict[int, ListEntry]:
    """Return the lines without which folders are not built; who gets none, has an outcome.

    The tree is gone through once, and not for each of a thousand folders.
    """
    roots = {edit.root for edit in folders.values()}
    found = {root: included(draft, root, kustomizations) for root in roots}
    lines: dict[int, ListEntry] = {}
    for index, edit in folders.items():
        try:
            line = edit.missing(draft, found[edit.root])
        except (InvalidFile, Collision) as error:
            outcomes[index] = _refused(edit, error)
            continue
        if line is None:
            outcomes[index] = EditOutcome(edit, Fate.UNCHANGED)
        else:
            lines[index] = line
    return lines


def _attempt(draft: Draft, edit: Edit) -> EditOutcome:
    try:
        return EditOutcome(edit, Fate.APPLIED if edit.apply(draft) else Fate.UNCHANGED)
    except (InvalidFile, Collision) as error:
        return _refused(edit, error)
    except SystemFault:
        raise  # the repository's, and nobody's in it
    except Exception as error:  # a defect that one item meets is that item's, and never the pass's
        log.debug("traceback", exc_info=True)
        return _defect(edit, error)


def _attempt_exclusions(
    draft: Draft, excluded: Mapping[int, Excluded], outcomes: dict[int, EditOutcome]
) -> None:
    """Take folders out of what is built: the tree is gone through for all of them at once."""
    for root in {edit.root for edit in excluded.values()}:
        group = {index: edit for index, edit in excluded.items() if edit.root == root}
        try:
            answers = exclude(draft, root, [edit.path for edit in group.values()])
        except SystemFault:
            raise
        except Exception as error:  # as for any other edit
            log.debug("traceback", exc_info=True)
            outcomes |= {index: _defect(edit, error) for index, edit in group.items()}
            continue
        for index, edit in group.items():
            answer = answers[edit.path]
            if isinstance(answer, InvalidFile | Collision):
                outcomes[index] = _refused(edit, answer)
            else:
                outcomes[index] = EditOutcome(edit, Fate.APPLIED if answer else Fate.UNCHANGED)


def _attempt_entries(
    draft: Draft, entries: Mapping[int, ListEntry], outcomes: dict[int, EditOutcome]
) -> None:
    """Insert the lines: one parse for a list, and not one for each of a thousand lines."""
    lists: dict[tuple[str, str], list[int]] = {}
    for index, entry in entries.items():
        lists.setdefault((entry.path, entry.key), []).append(index)
    written = {each.edit.path for each in outcomes.values() if each.fate is Fate.APPLIED}
    for (path, _), indexes in lists.items():
        group = [entries[index] for index in indexes]
        theirs = draft.entry(path) is not None and not any(f"{path}/".startswith(f"{w}/") for w in written)
        fates = _attempt_list(draft, group, theirs=theirs)
        outcomes |= {index: fates[entries[index].value] for index in indexes}
        written.add(path)


def _attempt_list(draft: Draft, group: Sequence[ListEntry], *, theirs: bool) -> dict[str, EditOutcome]:
    """Make the edits of one list. `theirs`: the file is still as people wrote it, and so are its lines."""
    try:
        inserted = insert_lines(draft, group)
    except (InvalidFile, Collision) as error:
        return {edit.value: _refused(edit, error, theirs=theirs) for edit in group}
    except SystemFault:
        raise
    except Exception as error:  # as for any other edit
        log.debug("traceback", exc_info=True)
        return {edit.value: _defect(edit, error) for edit in group}
    fates = {True: Fate.APPLIED, False: Fate.UNCHANGED}
    return {edit.value: EditOutcome(edit, fates[edit.value in inserted]) for edit in group}


def _refused(edit: Edit, error: InvalidFile | Collision, *, theirs: bool = True) -> EditOutcome:
    where = ""
    if isinstance(error, InvalidFile):
        where = f"{error.place if theirs else printable(error.path)}: "
    return EditOutcome(edit, Fate.REFUSED, f"{where}{error.message}", error.remedy)


def _defect(edit: Edit, error: Exception) -> EditOutcome:
    log.error("edit failed unexpectedly", item=str(edit.item), error=type(error).__name__)
    return EditOutcome(edit, Fate.REFUSED, f"unexpected {type(error).__name__}", DEFECT)
