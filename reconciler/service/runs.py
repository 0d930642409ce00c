"""The runs of seed 000 as the files in git give them; what `GET /onboard` and its MCP tool answer with.

Pure: knows no repository, no database and no HTTP. A run is one project: its `id` is the slug.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from reconciler.model.json import Object
from reconciler.model.loaded import Loaded
from reconciler.model.outcome import ProjectReport, Status
from reconciler.model.project import Project, Spec
from reconciler.model.run import Recorded
from reconciler.resources.contract import Kind
from reconciler.resources.login import next_step
from reconciler.stages import report

PENDING = "Nothing to do: the next pass looks at it for the first time."


class OnboardingRun(BaseModel):
    """One project's onboarding: the columns of `onboarding_runs`, and what a person has to do next."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    id: str
    """The project's slug."""
    repo_owner: str
    """The owner as the project file writes it."""
    repo_name: str
    """The repository as the project file writes it."""
    status: Status
    """The first that applies; see the table in the README."""
    current_phase: str | None = None
    """The first phase that is not done: initialization, dev_env, auth_settings."""
    current_activity: str | None = None
    """The first resource that is not done."""
    completed_activities: tuple[str, ...] = ()
    """The resources that are as they should be, or skipped."""
    error_message: str | None = None
    """Why it failed."""
    oauth_device_url: str | None = None
    """Where to log in, while somebody has to."""
    oauth_user_code: str | None = None
    """The code to enter there."""
    created_at: datetime | None = None
    """When the first pass saw it; null without a database."""
    updated_at: datetime | None = None
    """When anything above last changed; null without a database."""
    next: str | None = None
    """What a person has to do, in one sentence; null when there is nothing."""
    pull_request: str | None = None
    """The pull request that asks for the project, while it is not merged."""


@dataclass(frozen=True)
class Proposed:
    """A project that a pull request asks for."""

    project: Project[Any]
    url: str
    state: str
    """`open` or `closed`; a merged one is a project."""


def runs_of(
    loaded: Loaded,
    kinds: Mapping[str, Kind],
    recorded: Mapping[str, Recorded],
    proposed: Mapping[str, Proposed],
) -> dict[str, OnboardingRun]:
    """Return every run by its id, in the order of the ids."""
    found: dict[str, OnboardingRun] = {}
    for project in loaded.projects:
        document = loaded.statuses.get(project.slug, {})
        found[project.slug] = _run(
            kinds[project.kind],
            project.spec,
            _report(project, kinds[project.kind], loaded),
            document,
            recorded.get(project.slug),
        )
    for slug, document in loaded.statuses.items():
        kind = kinds.get(str(document.get("kind")))
        if slug not in found and kind is not None:
            written = report.written(slug, kind, document)
            found[slug] = _run(kind, None, written, document, recorded.get(slug))
    for slug, each in proposed.items():
        found.setdefault(slug, _asked_for(each, kinds[each.project.kind]))
    return {slug: found[slug] for slug in sorted(found)}


def _report(project: Project[Any], kind: Kind, loaded: Loaded) -> ProjectReport:
    if error := loaded.unreadable_statuses.get(project.slug):
        return report.unreadable(project, error)
    if document := loaded.statuses.get(project.slug):
        return replace(report.written(project.slug, kind, document), todo=next_step(document))
    return ProjectReport(project.slug, kind.name, Status.PENDING, "", PENDING, (), project.source.path)


def _run(
    kind: Kind,
    spec: Spec | None,
    each: ProjectReport,
    document: Object,
    recorded: Recorded | None,
) -> OnboardingRun:
    assert kind.run is not None  # noqa: S101 - the API is for kinds that keep runs
    row = asdict(kind.run(spec, each, document))
    failed = each.status is Status.FAILED
    row["error_message"] = row["error_message"] or (each.todo if failed else None)
    if recorded:
        row |= {"created_at": recorded.created_at, "updated_at": recorded.updated_at}
    if recorded and recorded.running:
        return OnboardingRun(**{**row, "status": Status.RUNNING})
    return OnboardingRun(**row, next=each.todo or None)


def _asked_for(each: Proposed, kind: Kind) -> OnboardingRun:
    slug = each.project.slug
    if each.state == "open":
        status, todo = Status.PENDING, f"Review and merge {each.url}."
    else:
        status = Status.FAILED
        todo = f"{each.url} was closed without merging. Delete its branch to be able to ask again."
    asked = ProjectReport(slug, kind.name, status, "", todo, (), each.project.source.path)
    return _run(kind, each.project.spec, asked, {}, None).model_copy(update={"pull_request": each.url})
