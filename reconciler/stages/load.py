"""Stage one: the config repository at one commit becomes projects, status files and errors with places.

Knows no kind by name, and no git beyond the snapshot that it is handed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from reconciler.errors import InvalidFile
from reconciler.gitops.repository import Snapshot
from reconciler.gitops.status_file import load_status
from reconciler.model.json import Object
from reconciler.model.loaded import Loaded
from reconciler.model.project import Project
from reconciler.project_file import InvalidFiles, Kinds, parse

PROJECTS = "projects"
STATUS = "status"


def load(snapshot: Snapshot, kinds: Kinds) -> Loaded:
    """Return all that stands in the snapshot; broken files are errors in the result, never raised."""
    projects: list[Project[Any]] = []
    broken: list[InvalidFile] = []
    for file in snapshot.files(PROJECTS):
        if not file.path.endswith((".yaml", ".yml")):
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
        if slug not in claimed and document.get("source") in broken_paths
    )
    return Loaded(
        commit=snapshot.commit,
        projects=tuple(good),
        statuses=statuses,
        broken=tuple(broken),
        frozen=frozen,
        gone=frozenset(statuses) - claimed - frozen,
        unreadable_statuses=unreadable,
    )


def refuse_clashes(projects: Iterable[Project[Any]]) -> tuple[list[Project[Any]], list[InvalidFile]]:
    """Refuse every file that shares its slug or its identity with another, naming both (design §5)."""
    claims: dict[str, list[Project[Any]]] = defaultdict(list)
    everyone = list(projects)
    for project in everyone:
        claims[f"slug {project.slug}"].append(project)
        claims[project.spec.identity()].append(project)
    errors: dict[str, InvalidFile] = {}
    for claim, claimants in claims.items():
        for project in claimants if len(claimants) > 1 else ():
            others = ", ".join(sorted(each.source.path for each in claimants if each is not project))
            same_slug = claim.startswith("slug ")
            remedy = "give one of them another `slug:`" if same_slug else "keep one of the files"
            errors.setdefault(
                project.source.path,
                InvalidFile(project.source.path, f"{claim} is also claimed by {others}", remedy=remedy),
            )
    good = [project for project in everyone if project.source.path not in errors]
    return good, list(errors.values())


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
    for file in snapshot.files(STATUS):
        path = PurePosixPath(file.path)
        if path.suffix != ".yaml" or len(path.parts) != 2:
            continue
        if not file.regular:
            unreadable[path.stem] = _no_file(file.path)
            continue
        try:
            statuses[path.stem] = load_status(file.path, snapshot.content(file.id))
        except InvalidFile as error:
            unreadable[path.stem] = error
    return statuses, unreadable


def _no_file(path: str) -> InvalidFile:
    return InvalidFile(path, "is a link or a submodule", remedy="put a regular file in its place")
