"""Stage five: outcomes become states, statuses and status documents; new only where the meaning is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.model.json import Json, Object
from reconciler.model.loaded import Loaded
from reconciler.model.outcome import Outcome, ProjectReport, Status
from reconciler.model.project import Project, Spec
from reconciler.model.status_file import document, restated, summary

GONE = (
    "The project's file is no longer in projects/. Nothing was deleted. Put the file back, or remove by hand "
    "what it made and then delete this status file."
)
SUSPENDED = "Suspended by its file: nothing is looked at or changed. Remove `suspend: true` to go on."


@dataclass(frozen=True)
class StatusChange:
    """A status document that differs from the one in git, and what was consumed of it, by section."""

    slug: str
    document: Mapping[str, Json]
    consumed: Mapping[str, Mapping[str, str]]


def report(project: Project[Spec], outcomes: tuple[Outcome, ...], loaded: Loaded) -> ProjectReport:
    """Return one project's report from its outcomes."""
    status, phase, todo = summary(outcomes, loaded.statuses.get(project.slug, {}))
    return ProjectReport(project.slug, project.kind, status, phase, todo, outcomes, project.source.path)


def suspended(project: Project[Spec]) -> ProjectReport:
    """Return the report of a project that asks to be left alone."""
    return ProjectReport(project.slug, project.kind, Status.SUSPENDED, "", SUSPENDED, (), project.source.path)


def offboarding(slug: str, loaded: Loaded) -> ProjectReport:
    """Return the report of a project whose file vanished."""
    old = loaded.statuses[slug]
    return ProjectReport(
        slug, str(old.get("kind", "")), Status.OFFBOARDING, "", GONE, (), str(old.get("source", ""))
    )


def status_changes(
    reports: Iterable[ProjectReport], loaded: Loaded, *, sections: Mapping[str, str], now: datetime
) -> list[StatusChange]:
    """Return the documents whose meaning changed. A status file that cannot be read is never among them."""
    changes: list[StatusChange] = []
    for each in reports:
        if each.slug in loaded.unreadable_statuses:
            continue
        old = loaded.statuses.get(each.slug, {})
        new = _document(each, old, sections=sections, now=now)
        consumed = {
            sections[outcome.resource]: outcome.consumed for outcome in each.outcomes if outcome.consumed
        }
        nothing_learnt = not old and bool(each.outcomes) and not new.get("resources")
        if (new != old or consumed) and not nothing_learnt:
            changes.append(StatusChange(each.slug, new, consumed))
    return changes


def _document(
    each: ProjectReport, old: Object, *, sections: Mapping[str, str], now: datetime
) -> dict[str, Json]:
    if not each.outcomes:
        return restated(old, each.status, each.todo)
    return document(each, old, sections=sections, now=now)
