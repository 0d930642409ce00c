"""Hostile texts in every field of every kind's files.

A file is refused with its place and a remedy, or its text is nothing but text in all that is rendered of it
and in all that is printed about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path as Folder
from random import Random
from typing import Any

from reconciler.engine.item_file import InvalidFiles, parse
from reconciler.engine.kind import Kind
from reconciler.git.applied_edits import Fate, apply_edits
from reconciler.git.clone import Clone
from reconciler.git.manifest_tree import ManifestEdits, ManifestTree
from reconciler.git.snapshot import Snapshot
from reconciler.git.status_text import dump_status
from reconciler.git.tree import EMPTY_TREE, Draft, Memory
from reconciler.model.decision import Needed
from reconciler.model.errors import InvalidFile
from reconciler.model.item import Item
from reconciler.model.loaded import Loaded
from reconciler.model.yaml_read import load_yaml
from reconciler.settings.giving import Sections, Writing
from tests.fuzz import hostile, meaning, samples, shown
from tests.fuzz.figures import Figures, Harm
from tests.fuzz.item_files import check_visible
from tests.fuzz.samples import Path
from tests.fuzz.worlds import Case, World, cases_of
from tests.kinds.everyone import EVERYONE
from tests.support import cases

PATH = "projects/fuzz.yaml"
_HERE = "here-comes-the-value"
_SLUG = "fuzz"


@dataclass(frozen=True, eq=False)
class Field:
    """One field of a kind's files, and a harmless value that it takes; None where it takes no text."""

    kind: Kind
    path: Path
    benign: str | None

    @property
    def takes_any_text(self) -> bool:
        """Whether it is open to what has nothing of a name or a number."""
        return self.benign is not None and _is_good(self.kind, self.path, "Any: 'text' of #1 {person}")

    def file(self, written: str) -> bytes:
        """Return a file in which it is written so."""
        values = samples.with_value(_good_values(self.kind), self.path, _HERE)
        return dump_status(values).decode().replace(_HERE, written).encode("utf-8", "surrogatepass")


def run(figures: Figures, random: Random, size: int) -> None:
    """Try so many texts, each in some field, written in some way."""
    fields = [field for kind in EVERYONE.values() for field in fields_of(kind)]
    open_ones = [field for field in fields if field.takes_any_text]
    for number in range(size):
        field = random.choice(open_ones) if number % 2 else fields[number // 2 % len(fields)]
        text, form = hostile.text(random), random.choice(list(hostile.FORMS))
        written = random.choice(hostile.ESCAPES) if random.random() < 0.05 else hostile.FORMS[form](text)
        # Of a text in these quotes nothing may be lost; what else was meant, nobody can say.
        said = text if form in {"escaped", "tagged"} and written not in hostile.ESCAPES else None
        world = World.any(field.kind, random)
        content = field.file(written)
        case = random.choice(_rendering_cases(field.kind))
        figures.attempt(content, lambda: judge(field, content, said, world, case))  # noqa: B023 - called at once


def judge(field: Field, content: bytes, said: str | None, world: World, case: Case) -> Iterable[InvalidFile]:
    """Return why the file is refused; Harm where it is not, and its text does not stay text."""
    try:
        item = parse(PATH, content, EVERYONE)
    except InvalidFiles as errors:
        shown.errors(errors.found)
        _check_places(errors.found, content)
        return errors.found
    check_visible(content)
    value = _value(load_yaml(PATH, content).values, field.path)
    if said is not None and value != said:
        raise Harm(f"was read as {value!r}")
    loaded = Loaded("", (item,), {})
    shown.plans(world.look([item], loaded), EVERYONE)
    if isinstance(value, str) and value:
        _check_rendered(field, item, value, case)
    return ()


def fields_of(kind: Kind) -> tuple[Field, ...]:
    """Return every field of a kind's files."""
    return tuple(Field(kind, path, _benign(kind, path)) for path in samples.fields(kind.spec))


def _benign(kind: Kind, path: Path) -> str | None:
    good = (example for example in samples.examples(kind.spec, path) if _is_good(kind, path, example))
    found = next(good, None)
    return found if isinstance(found, str) else None


def _is_good(kind: Kind, path: Path, value: object) -> bool:
    try:
        parse(PATH, dump_status(samples.with_value(_good_values(kind), path, value)), EVERYONE)
    except InvalidFiles:
        return False
    return True


def _good_values(kind: Kind) -> dict[str, Any]:
    return {"kind": kind.name, "slug": _SLUG, **samples.sample(kind, _SLUG)}


def _value(values: Mapping[str, Any], path: Path) -> object:
    found: Any = values
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _check_places(found: Iterable[InvalidFile], content: bytes) -> None:
    """Every fault of a value has its place; what is missing has none, and the remedy says what to add."""
    lines = content.count(b"\n") + content.count(b"\r") + 1
    for error in found:
        if error.line == 0 and "add " not in error.remedy:
            raise Harm(f"refused without a place: {error}")
        if error.line > lines + 1:
            raise Harm(f"refused at a line that is not there: {error}")


def _rendering_cases(kind: Kind) -> tuple[Case, ...]:
    """Return the cases in which a kind's files come to be written into git."""
    return tuple(
        case
        for resource in kind.resources
        if resource.deferred
        for case in cases_of(kind.name, resource)
        if "needed" in case.data["expect"]
    )


def _check_rendered(field: Field, item: Item[Any], value: str, case: Case) -> None:
    files = _rendered(field.kind, item, case)
    if field.benign is None or files is None:
        return
    harmless = _harmless(field, case)
    if harmless is None:
        return
    benign = field.benign
    meaning.check_same(harmless, files, benign, value)
    own = samples.of_kind(field.kind)
    if own is not None:
        own.check_rendered(files)


@cache
def _harmless(field: Field, case: Case) -> Mapping[str, bytes] | None:
    content = dump_status(samples.with_value(_good_values(field.kind), field.path, field.benign))
    return _rendered(field.kind, parse(PATH, content, EVERYONE), case)


def _rendered(kind: Kind, item: Item[Any], case: Case) -> Mapping[str, bytes] | None:
    """Return the files that the case's resource writes for the item, by path; None where it writes none."""
    target = replace(cases.target_of(case.data, kind), item=item)
    seen, outputs = cases.seen_of(case.data, case.resource), case.data.get("outputs", {})
    answer = case.resource.unwanted(target) or case.resource.plan(target, seen, outputs)
    if not isinstance(answer, Needed):
        return None
    edits = ManifestEdits()
    # A repository without a commit: nothing of its clone is ever opened.
    tree = ManifestTree(Snapshot(Clone(Folder("nowhere"), "none"), "", "main", lambda: None))
    write = Writing(Sections({}, {}), given={ManifestEdits: lambda: edits, ManifestTree: lambda: tree})
    case.resource.apply(target, answer.change, write)
    draft = Draft(Memory(), EMPTY_TREE)
    for outcome in apply_edits(draft, edits.by_item[item.id]):
        if outcome.fate is not Fate.APPLIED:
            raise Harm(f"cannot be written: {outcome.reason}")
    return {entry.path: draft.content(entry) for entry in draft.files()}
