"""Hostile values at every place of status files that the program wrote.

Reading one raises nothing but errors with places, planning its item raises nothing, no other item notices,
and nothing that it says of what could not be read is ground for a change.

Files go the whole way: committed to a repository, fetched, loaded, planned and shown, a few at a time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from reconciler.engine.cycle import Cycle
from reconciler.engine.kind import Kind
from reconciler.engine.result import Look
from reconciler.engine.stages import report
from reconciler.engine.stages.load import load
from reconciler.faces import item_view
from reconciler.faces.cli.display import Program
from reconciler.faces.cli.status_view import show_status
from reconciler.git.applied_edits import Fate, apply_edits
from reconciler.git.clone import Clone
from reconciler.git.edits import StatusKeys
from reconciler.git.snapshot import Snapshot
from reconciler.git.status_text import dump_status, load_status, merge
from reconciler.git.tree import EMPTY_TREE, Draft, Memory
from reconciler.model.errors import DEFECT, InvalidFile
from reconciler.model.item import ItemId
from reconciler.model.loaded import Loaded
from reconciler.model.status_file import status_path
from reconciler.settings.giving import Sections
from tests.fuzz import hostile, samples, shown
from tests.fuzz.figures import Figures, Harm
from tests.fuzz.mutation import mutated
from tests.fuzz.worlds import World, documents, grounds_of_changes
from tests.kinds.everyone import EVERYONE

BATCH = 12
"""Items of a kind in one repository; every second one has a hostile status file."""
_HERE = "here-comes-the-value"
_CANARY = "canary-5b1d"
_VALUES = (_CANARY, f'"${{{_CANARY}}}"', f"[{_CANARY}]", f"{{{_CANARY}: {_CANARY}}}")
"""Harmless values that must come into no change."""


@dataclass(frozen=True, eq=False)
class Batch:
    """One commit of a config repository: what it says with all files as they were written, and as it is."""

    world: World
    clean: Loaded
    hostile: Mapping[ItemId, bytes]
    loaded: Loaded

    def look(self, item: ItemId, loaded: Loaded, world: World | None = None) -> Look:
        """Return what a pass would do for an item."""
        (found,) = [each for each in loaded.items if each.id == item]
        return (world or self.world).look([found], loaded)


def run(figures: Figures, random: Random, size: int) -> None:
    """Try so many hostile status files, of every kind in turn."""
    with tempfile.TemporaryDirectory(prefix="mesh-six-fuzz-") as folder:
        repository = _Repository(Path(folder))
        kinds = list(EVERYONE.values())
        number = 0
        while figures.tried < size:
            kind = kinds[number % len(kinds)]
            number += 1
            made: list[Batch] = []

            def load_one(kind: Kind = kind, made: list[Batch] = made) -> Iterable[InvalidFile]:
                made.append(_batch(repository, kind, random))
                return ()

            figures.attempt(f"batch {number}", load_one)  # no file may end the load of the others
            for batch in made:
                _try(figures, batch, repository, random)


def _try(figures: Figures, batch: Batch, repository: _Repository, random: Random) -> None:
    for item, content in batch.hostile.items():
        away = random.sample(list(batch.world.findings), random.randint(0, len(batch.world.findings)))
        figures.attempt(content, lambda: judge(batch, item, content, away))  # noqa: B023 - called at once
    figures.attempt(dict(batch.hostile), lambda: _check_others(batch))
    figures.attempt(dict(batch.hostile), lambda: _check_whole(repository, batch))


def judge(batch: Batch, item: ItemId, content: bytes, away: list[str]) -> Iterable[InvalidFile]:
    """Return why a status file cannot be read; Harm where it can, and does harm."""
    path = status_path(item)
    try:
        said = load_status(path, content)
    except InvalidFile as error:
        shown.errors([error])
        if item not in batch.loaded.unreadable_statuses:
            raise Harm("is read by a pass, and not by itself") from error
        return [error]
    if load_status(path, dump_status(said)) != said:
        raise Harm("says something else once it is written anew")
    if batch.loaded.statuses.get(item) != said:
        raise Harm("is not what a pass has read")
    if refused := [error for error in batch.loaded.broken if Path(error.path).stem in item.slug]:
        return refused  # its file asks for something else than what this one says that it is
    look = batch.look(item, batch.loaded)
    shown.plans(look, EVERYONE)
    _check_written(batch, look, item, content)
    for world in (batch.world.without(away), batch.world.without(list(batch.world.findings))):
        blind = batch.look(item, batch.loaded, world)
        grounds_of_changes(blind)
        _check_told(blind)
    if blind.plan.changes:
        raise Harm(f"changes are planned though nothing can be read: {blind.plan.changes}")
    return ()


def _check_told(look: Look) -> None:
    """Check that no change holds what only a status file said."""
    for change in look.plan.changes:
        if _CANARY in repr((change.before, change.after)):
            raise Harm(f"{change.resource} is to become what the status file says: {change.after}")


def _check_written(batch: Batch, look: Look, item: ItemId, content: bytes) -> None:
    """Write the status file that a pass would: it can be, and it says just that when it is read again."""
    document = documents(look, EVERYONE).get(item.slug)
    if document is None:
        return
    path, human = status_path(item), batch.world.kind.human_keys
    draft = Draft(Memory(), EMPTY_TREE)
    draft.put(path, content)
    edit = StatusKeys(item=item, path=path, document=document, human=human)
    (outcome,) = apply_edits(draft, [edit])
    if outcome.fate is not Fate.APPLIED:
        raise Harm(f"cannot be written over: {outcome.fate} {outcome.reason}")
    written = load_status(path, draft.read(path) or b"")
    if merge(written, document, human, {}) != written:
        raise Harm("says something else than what was to be written")


def _check_others(batch: Batch) -> Iterable[InvalidFile]:
    """Check that whoever has a good status file is planned as if all had."""
    others = {item.id for item in batch.clean.items} - batch.hostile.keys()
    for item in others:
        if batch.loaded.status(item) != batch.clean.status(item):
            raise Harm(f"{item} has another status than its file says")
        if batch.look(item, batch.loaded).plan != batch.look(item, batch.clean).plan:
            raise Harm(f"{item} is planned otherwise, since others have hostile status files")
    wrong = [error for error in batch.loaded.broken if "hostile" not in error.path]
    if wrong:
        raise Harm(f"another file is in error: {wrong[0]}")
    return ()


def _check_whole(repository: _Repository, batch: Batch) -> Iterable[InvalidFile]:
    """Look at the whole repository as the program does, with only git set up, and show it in every form."""
    cycle = Cycle(repository.sections, EVERYONE)
    look = cycle.look()
    for plan in look.plan:
        for resource, answer in plan.planned.items():
            if getattr(answer, "remedy", "") == DEFECT:
                raise Harm(f"{plan.id}/{resource}: {answer}")
    postponed = frozenset(batch.hostile)
    for each in (*report.at_rest(look.loaded), *report.as_written(look.loaded, postponed, EVERYONE)):
        str(each)
    shown.plans(look, EVERYONE)
    names: list[str | None] = [None, *(str(item) for item in list(batch.hostile)[:2])]
    for name in names:
        for form in ("text", "json"):
            shown.off_terminals(lambda: show_status(cycle, name, Program(), form=form, watch=False))  # noqa: B023
    shown.on_terminals(lambda: show_status(cycle, None, Program(), form="text", watch=False))
    for item in item_view.reports_of(look.loaded, EVERYONE, {}).values():
        item_view.view_of(item, {}).model_dump_json()
    return ()


class _Repository:
    """A config repository in a folder, as a git server would have it."""

    def __init__(self, folder: Path) -> None:
        self._clone = Clone(folder, "config")
        config = {"repository": str(self._clone.directory)}
        self.sections = Sections(
            {**EVERYONE.sandbox_settings, "config": config, "work": {"directory": str(folder / "work")}}, {}
        )

    def commit(self, files: Mapping[str, bytes]) -> Loaded:
        """Have just these files on its branch, and return what a pass loads of them."""
        draft = Draft(self._clone, EMPTY_TREE)
        for path, content in files.items():
            draft.put(path, content)
        commit = self._clone.commit(draft.write(), "", ("somebody", "somebody@example.org"), "By hand")
        self._clone.open().references.create("refs/heads/main", commit, force=True)
        return load(Snapshot(self._clone, commit, "main", lambda: None), EVERYONE, None)


def _batch(repository: _Repository, kind: Kind, random: Random) -> Batch:
    names = [f"{'hostile' if number % 2 else 'good'}{number}" for number in range(BATCH)]
    files = {
        f"projects/{name}.yaml": dump_status({"kind": kind.name, **samples.sample(kind, name)})
        for name in names
    }
    world = World.any(kind, random)
    bare = repository.commit(files)
    written = documents(world.look(bare.items, bare), EVERYONE)
    statuses = {ItemId(kind.name, slug): dump_status(document) for slug, document in written.items()}
    good = {status_path(item): content for item, content in statuses.items()}
    clean = repository.commit({**files, **good})
    bad = {
        item: _hostile(written[item.slug], content, random)
        for item, content in statuses.items()
        if "hostile" in item.slug
    }
    paths = {status_path(item): content for item, content in bad.items()}
    return Batch(world, clean, bad, repository.commit({**files, **good, **paths}))


def _hostile(document: Mapping[str, Any], content: bytes, random: Random) -> bytes:
    """Return the file with a hostile value or key somewhere, or after an accident."""
    if random.random() < 0.25:
        return mutated(content, random)
    written = random.choice(_VALUES) if random.random() < 0.15 else hostile.value(random)
    places = list(_places(document))
    changed = dump_status(_with(document, random.choice(places), random)).decode()
    return changed.replace(_HERE, written).encode("utf-8", "surrogatepass")


def _places(value: object, above: tuple[str, ...] = ()) -> Iterable[tuple[str, ...]]:
    """Yield the keys that lead to every value, also to those that hold others, and to one more in each."""
    if above:
        yield above
    if isinstance(value, Mapping):
        yield (*above, "unforeseen")
        for key, inner in value.items():
            yield from _places(inner, (*above, key))


def _with(value: Any, place: tuple[str, ...], random: Random) -> Any:
    """Return the document with something else there; now and then as a key."""
    if not place:
        return _HERE
    head, rest = place[0], place[1:]
    found = dict(value)
    if not rest and random.random() < 0.1:
        return {(_HERE if key == head else key): inner for key, inner in found.items()}
    found[head] = _with(found.get(head), rest, random)
    return found
