"""Stage one: the config repository at one commit becomes items, status files and errors with places.

Knows no kind by name, and no git beyond the snapshot that it is handed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from reconciler.engine.file_names import wrong_name
from reconciler.engine.item_file import InvalidFiles, parse, refuse_clashes
from reconciler.engine.kind import Kinds
from reconciler.git.snapshot import Snapshot
from reconciler.git.status_text import load_status
from reconciler.git.tree import Entry
from reconciler.model.errors import InvalidFile, printable
from reconciler.model.item import SLUG_PATTERN, Item, ItemId
from reconciler.model.json import Object
from reconciler.model.latest import Latest
from reconciler.model.loaded import Loaded
from reconciler.model.status_file import identity, mapping, status_path
from reconciler.model.yaml_read import BOUNDS
from reconciler.settings.giving import Sections

PROJECTS = "projects"
STATUS = "status"
_DOCUMENTS = Latest[str, Object]()
"""By path and blob: a loop reads only those that changed."""


@dataclass
class _Statuses:
    """What the folder of status files holds."""

    documents: dict[ItemId, Object] = field(default_factory=dict)
    unreadable: dict[ItemId, InvalidFile] = field(default_factory=dict)
    moving: dict[ItemId, str] = field(default_factory=dict)
    errors: list[InvalidFile] = field(default_factory=list)


def load(snapshot: Snapshot, kinds: Kinds, sections: Sections | None) -> Loaded:
    """Return all that stands in the snapshot; broken files are errors in the result, never raised.

    `sections` None: whoever looks need not know what the operator allows.
    """
    items: list[Item[Any]] = []
    broken: list[InvalidFile] = []
    held: set[ItemId] = set()  # what files ask for that are refused for their names
    for file in snapshot.files(PROJECTS):
        if not file.path.lower().endswith((".yaml", ".yml")):
            continue
        if not file.regular:
            broken.append(_no_file(file.path))
            continue
        try:
            content = snapshot.content(file.id, file.path, BOUNDS.size)
            item = parse(file.path, content, kinds, blob=file.id, sections=sections)
            if wrong := wrong_name(file.path):
                held.add(item.id)
                raise wrong
        except InvalidFiles as errors:
            broken.extend(errors.found)
        except InvalidFile as error:
            broken.append(error)
        else:
            items.append(item)
    statuses = _statuses(snapshot, kinds)
    good, clashes = refuse_clashes(items, _standing(items, statuses.documents))
    good, changed = _refuse_changed(good, statuses.documents, kinds)
    broken += [*clashes, *changed, *statuses.errors]
    broken_paths = {error.path for error in broken}
    claimed = {item.id for item in good}
    frozen = frozenset(
        each
        for each, document in statuses.documents.items()
        if each not in claimed and (each in held or str(document.get("source")) in broken_paths)
    )
    return Loaded(
        commit=snapshot.commit,
        items=tuple(good),
        statuses=statuses.documents,
        broken=(*broken, *statuses.unreadable.values()),
        frozen=frozen,
        gone=frozenset(statuses.documents) - claimed - frozen,
        unreadable_statuses=statuses.unreadable,
        moving=statuses.moving,
        branch=snapshot.branch,
    )


def _standing(items: Iterable[Item[Any]], statuses: Mapping[ItemId, Object]) -> frozenset[str]:
    """Return the paths of the files that status files were written for."""
    return frozenset(
        item.source.path for item in items if statuses.get(item.id, {}).get("source") == item.source.path
    )


def foreign_recipients(loaded: Loaded, kinds: Kinds, trusted: Set[str]) -> Iterator[str]:
    """Yield a sentence about every status file that has people seal to somebody who is not us."""
    for item, document in loaded.statuses.items():
        for resource in kinds[item.kind].resources if trusted else ():
            recipient = mapping(document.get(resource.section)).get("recipient") if resource.sealed else None
            if recipient is not None and recipient not in trusted:
                path, asked = status_path(item), printable(str(recipient)[:80])
                yield (
                    f"{path}: {resource.section}.recipient is {asked}, which is none of our keys: what was "
                    f"sealed to it is in a stranger's hands; `git log {path}` tells who wrote it there"
                )


def _refuse_changed(
    items: Iterable[Item[Any]], statuses: Mapping[ItemId, Object], kinds: Kinds
) -> tuple[list[Item[Any]], list[InvalidFile]]:
    """Refuse every file that asks for something else than the item that its status file was written for.

    Else nobody would take care of what was made for that one, nor tell of it.
    """
    everyone = list(items)
    claimed = {item.id for item in everyone}
    before: dict[str, list[ItemId]] = {}
    for each, document in statuses.items():
        if each not in claimed:
            before.setdefault(str(document.get("source")), []).append(each)
    good: list[Item[Any]] = []
    errors: list[InvalidFile] = []
    for item in everyone:
        others = before.get(item.source.path, [])
        wrong = _another_kind(item, others) or _another_slug(item, others, statuses)
        wrong = wrong or _another_thing(item, statuses, kinds)
        if wrong:
            errors.append(InvalidFile(item.source.path, wrong[0], remedy=wrong[1]))
        else:
            good.append(item)
    return good, errors


def _another_kind(item: Item[Any], others: Iterable[ItemId]) -> tuple[str, str] | None:
    for other in others:
        if other.kind != item.kind:
            return (
                f"the kind is fixed once a thing exists: it was {other}, and would become {item.id}",
                f"write `kind: {other.kind}`; ask for the {item.kind} in a file of its own",
            )
    return None


def _another_slug(
    item: Item[Any], others: Iterable[ItemId], statuses: Mapping[ItemId, Object]
) -> tuple[str, str] | None:
    for other in others:
        written = identity(statuses[other])
        same = written is not None and written.claim == item.spec.claim()
        if same and other.kind == item.kind and item.id not in statuses:
            return (
                f"the slug is fixed once a thing exists: it was {other.slug} and would become {item.slug}",
                f"write `slug: {other.slug}`",
            )
    return None


def _another_thing(
    item: Item[Any], statuses: Mapping[ItemId, Object], kinds: Kinds
) -> tuple[str, str] | None:
    """Where nothing outside proves what an item is, its name is all there is, and is fixed."""
    written = identity(statuses.get(item.id, {}))
    if kinds[item.kind].proof or written is None or written.claim == item.spec.claim():
        return None
    return (
        f"{item.id} is {written.claim}, and would become {item.spec.claim()}",
        f"have it name {written.claim} again; ask for {item.spec.claim()} in a file with another `slug:`",
    )


def _statuses(snapshot: Snapshot, kinds: Kinds) -> _Statuses:
    found = _Statuses()
    files = tuple(snapshot.files(STATUS))
    _DOCUMENTS.keep_only({file.path for file in files})
    for file, each in _named(files, kinds, found.errors):
        if file.path != status_path(each):
            if snapshot.entry(status_path(each)) is not None:
                found.errors.append(_twice(file.path, status_path(each)))
                continue
            found.moving[each] = file.path
        if not file.regular:
            found.unreadable[each] = _no_file(file.path)
            continue
        try:
            found.documents[each] = _DOCUMENTS.get(
                file.path, file.id, partial(_status, snapshot, file, kinds)
            )
        except InvalidFile as error:
            found.unreadable[each] = error
    return found


def _named(files: Iterable[Entry], kinds: Kinds, errors: list[InvalidFile]) -> Iterator[tuple[Entry, ItemId]]:
    """Yield the status files with the item of each; what is something else is a note of somebody's."""
    unknown: dict[str, int] = {}
    for file in files:
        path = PurePosixPath(file.path)
        if path.suffix != ".yaml" or not SLUG_PATTERN.fullmatch(path.stem):
            continue
        if len(path.parts) == 2 and kinds.first:
            yield file, ItemId(kinds.first.name, path.stem)
        elif len(path.parts) == 3 and path.parts[1] in kinds:
            yield file, ItemId(path.parts[1], path.stem)
        elif len(path.parts) == 3:
            unknown[path.parts[1]] = unknown.get(path.parts[1], 0) + 1
    for name, count in unknown.items():
        errors.append(
            InvalidFile(
                f"{STATUS}/{name}",
                f"has {count} status file{'' if count == 1 else 's'} of a kind that is not known here",
                remedy=f"known kinds: {', '.join(sorted(kinds)) or 'none'}; nothing of theirs is touched",
            )
        )


def _status(snapshot: Snapshot, file: Entry, kinds: Kinds) -> Object:
    document = load_status(file.path, snapshot.content(file.id, file.path, BOUNDS.size))
    flat = len(PurePosixPath(file.path).parts) == 2
    before = kinds.first.identity_before if flat and kinds.first else None
    if before is None or "identity" in document or (known := before(document)) is None:
        return document
    return {**document, "identity": {"claim": known.claim, "proof": known.proof}}


def _no_file(path: str) -> InvalidFile:
    return InvalidFile(path, "is a link or a submodule", remedy="put a regular file in its place")


def _twice(path: str, right: str) -> InvalidFile:
    return InvalidFile(
        path, f"lies beside {right}", remedy=f"move what you wrote here to {right}, and delete it"
    )
