"""Stage five: outcomes become states, statuses and status documents; new only where the meaning is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reconciler.errors import InvalidFile
from reconciler.gitops.status_file import merge
from reconciler.model.decision import Awaits
from reconciler.model.json import Json, Object
from reconciler.model.loaded import Loaded
from reconciler.model.outcome import Condition, Outcome, ProjectReport, Status
from reconciler.model.project import Project
from reconciler.model.status_file import StatusChange, document, entry, mapping, restated, summary
from reconciler.resources.contract import Kind, Resource

GONE = (
    "The project's file is no longer in projects/. Nothing was deleted. Put the file back, or remove by hand "
    "what it made and then delete this status file."
)
UNREADABLE = "Mend its status file, or delete it and let the next pass write it anew: {error}"
FROZEN = "Frozen as last known: {source} is broken, see its error. Nothing is looked at or changed meanwhile."
SUSPENDED = "Suspended by its file: nothing is looked at or changed. Remove `suspend: true` to go on."


@dataclass(frozen=True)
class SectionKey:
    """A resource's own top-level key of the status file, and the keys inside that people write."""

    key: str
    human: tuple[str, ...] = ()


Sections = Mapping[str, SectionKey]
"""By resource name."""


def report(project: Project[Any], outcomes: tuple[Outcome, ...], loaded: Loaded) -> ProjectReport:
    """Return one project's report from its outcomes."""
    status, phase, todo = summary(outcomes, loaded.statuses.get(project.slug, {}))
    return ProjectReport(project.slug, project.kind, status, phase, todo, outcomes, project.source.path)


def at_rest(loaded: Loaded) -> Iterator[ProjectReport]:
    """Yield the reports of projects that no resource is asked about."""
    for project in loaded.projects:
        if error := loaded.unreadable_statuses.get(project.slug):
            yield unreadable(project, error)
        elif project.spec.suspend:
            yield _suspended(project)
    for slug in sorted(loaded.gone):
        yield _offboarding(slug, loaded)


def as_written(loaded: Loaded, postponed: Set[str], kinds: Mapping[str, Kind]) -> Iterator[ProjectReport]:
    """Yield the reports of projects whose status file stays as it is, whatever it says."""
    for slug in sorted(loaded.frozen):
        yield _frozen(slug, loaded)
    for project in loaded.projects:
        if project.slug in postponed and (old := loaded.statuses.get(project.slug)):
            yield written(project.slug, kinds[project.kind], old)


def _suspended(project: Project[Any]) -> ProjectReport:
    """Return the report of a project that asks to be left alone."""
    return ProjectReport(project.slug, project.kind, Status.SUSPENDED, "", SUSPENDED, (), project.source.path)


def unreadable(project: Project[Any], error: InvalidFile) -> ProjectReport:
    """Return the report of a project whose status file cannot be read, and so is never written over."""
    todo = UNREADABLE.format(error=error)
    return ProjectReport(project.slug, project.kind, Status.FAILED, "", todo, (), project.source.path)


def _offboarding(slug: str, loaded: Loaded) -> ProjectReport:
    """Return the report of a project whose file vanished."""
    old = loaded.statuses[slug]
    return ProjectReport(
        slug, str(old.get("kind", "")), Status.OFFBOARDING, "", GONE, (), str(old.get("source", ""))
    )


def _frozen(slug: str, loaded: Loaded) -> ProjectReport:
    """Return the last written report of a project whose file is broken; its status file stays as it is."""
    old = loaded.statuses[slug]
    written = str(old.get("status"))
    source = str(old.get("source", ""))
    return ProjectReport(
        slug,
        str(old.get("kind", "")),
        Status(written) if written in set(Status) else Status.PENDING,
        str(old.get("phase", "")),
        FROZEN.format(source=source),
        (),
        source,
    )


def written(slug: str, kind: Kind, document: Object) -> ProjectReport:
    """Return a project's report as its status file gives it; what is strange in there is left out."""
    outcomes = tuple(
        outcome
        for resource in kind.resources
        if (outcome := _written_outcome(resource, document)) is not None
    )
    status = str(document.get("status"))
    return ProjectReport(
        slug,
        kind.name,
        Status(status) if status in set(Status) else Status.PENDING,
        str(document.get("phase", "")),
        str(document.get("next", "")),
        outcomes,
        str(document.get("source", "")),
    )


def _written_outcome(resource: type[Resource[Any, Any]], document: Object) -> Outcome | None:
    found = entry(document, resource.name)
    state, awaits = str(found.get("state")), str(found.get("awaits"))
    if state not in set(Condition):
        return None
    return Outcome(
        resource.name,
        resource.phase,
        Condition(state),
        reason=str(found.get("reason", "")),
        remedy=str(found.get("remedy", "")),
        awaits=Awaits(awaits) if awaits in set(Awaits) else None,
        outputs=mapping(found.get("outputs")),
        section=mapping(document.get(resource.section)) if resource.section else None,
    )


def status_changes(
    reports: Iterable[ProjectReport], loaded: Loaded, *, sections: Sections, now: datetime
) -> list[StatusChange]:
    """Return the documents whose meaning changed. A status file that cannot be read is never among them."""
    changes: list[StatusChange] = []
    for each in reports:
        if each.slug in loaded.unreadable_statuses:
            continue
        old = loaded.statuses.get(each.slug, {})
        new = _document(each, old, sections=sections, now=now)
        consumed = {
            sections[outcome.resource].key: outcome.consumed for outcome in each.outcomes if outcome.consumed
        }
        nothing_learnt = not old and bool(each.outcomes) and not new.get("resources")
        if merge(old, new, human_keys(sections), consumed) != old and not nothing_learnt:
            changes.append(StatusChange(each.slug, new, consumed))
    return changes


def human_keys(sections: Sections) -> dict[str, tuple[str, ...]]:
    """Return the keys that people write, by top-level key of the status file."""
    return {section.key: section.human for section in sections.values() if section.human}


def _document(each: ProjectReport, old: Object, *, sections: Sections, now: datetime) -> dict[str, Json]:
    if not each.outcomes:
        return restated(each, old)
    keys = {resource: section.key for resource, section in sections.items()}
    return document(each, old, sections=keys, now=now)
