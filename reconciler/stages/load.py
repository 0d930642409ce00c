"""Stage one: the config repository at one commit becomes projects, status files and errors with places.

Knows no kind by name, and no git beyond the snapshot that it is handed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from reconciler.errors import InvalidFile
from reconciler.gitops.repository import Snapshot
from reconciler.gitops.status_file import load_status
from reconciler.gitops.tree import Entry
from reconciler.model.json import Object
from reconciler.model.latest import Latest
from reconciler.model.loaded import Loaded
from reconciler.model.project import SLUG_PATTERN, Project
from reconciler.project_file import InvalidFiles, Kinds, parse, refuse_clashes

PROJECTS = "projects"
STATUS = "status"
_DOCUMENTS = Latest[str, Object]()
"""By path and blob: a loop reads only those that changed."""


def load(snapshot: Snapshot, kinds: Kinds) -> Loaded:
    """Return all that stands in the snapshot; broken files are errors in the result, never raised."""
    projects: list[Project[Any]] = []
    broken: list[InvalidFile] = []
    for file in snapshot.files(PROJECTS):
        if not file.path.lower().endswith((".yaml", ".yml")):
            continue
        if not file.regular:
            broken.append(_no_file(file.path))
            continue
        try:
            projects.append(parse(file.path, snapshot.content(file.id), kinds, blob=file.id))
        except InvalidFiles as errors:
            broken.extend(errors.found)
    good, clashes = refuse_clashes(projects)
    statuses, unreadable = _statuses(snapshot)
    good, moved = _refuse_moved(good, statuses)
    broken += [*clashes, *moved]
    broken_paths = {error.path for error in broken}
    claimed = {project.slug for project in good}
    frozen = frozenset(
        slug
        for slug, document in statuses.items()
        if slug not in claimed and str(document.get("source")) in broken_paths
    )
    return Loaded(
        commit=snapshot.commit,
        projects=tuple(good),
        statuses=statuses,
        broken=(*broken, *unreadable.values()),
        frozen=frozen,
        gone=frozenset(statuses) - claimed - frozen,
        unreadable_statuses=unreadable,
    )


def _refuse_moved(
    projects: list[Project[Any]], statuses: Mapping[str, Object]
) -> tuple[list[Project[Any]], list[InvalidFile]]:
    """Refuse a file whose slug changed since its status file was written: the slug is fixed (design §5)."""
    claimed = {project.slug for project in projects}
    before = {str(status.get("source")): slug for slug, status in statuses.items() if slug not in claimed}
    good: list[Project[Any]] = []
    errors: list[InvalidFile] = []
    for project in projects:
        old = before.get(project.source.path)
        same = old is not None and project.spec.same_thing(statuses[old])
        if project.slug in statuses or not same:
            good.append(project)
            continue
        message = f"the slug is fixed once the project exists: it was {old} and would become {project.slug}"
        errors.append(InvalidFile(project.source.path, message, remedy=f"write `slug: {old}`"))
    return good, errors


def _statuses(snapshot: Snapshot) -> tuple[dict[str, Object], dict[str, InvalidFile]]:
    statuses: dict[str, Object] = {}
    unreadable: dict[str, InvalidFile] = {}
    files = tuple(snapshot.files(STATUS))
    _DOCUMENTS.keep_only({file.path for file in files})
    for file in files:
        path = PurePosixPath(file.path)
        if path.suffix != ".yaml" or len(path.parts) != 2 or not SLUG_PATTERN.fullmatch(path.stem):
            continue  # a note of somebody's, not ours to rewrite
        if not file.regular:
            unreadable[path.stem] = _no_file(file.path)
            continue
        try:
            statuses[path.stem] = _DOCUMENTS.get(file.path, file.id, partial(_status, snapshot, file))
        except InvalidFile as error:
            unreadable[path.stem] = error
    return statuses, unreadable


def _status(snapshot: Snapshot, file: Entry) -> Object:
    return load_status(file.path, snapshot.content(file.id))


def _no_file(path: str) -> InvalidFile:
    return InvalidFile(path, "is a link or a submodule", remedy="put a regular file in its place")
