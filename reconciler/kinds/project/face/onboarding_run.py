"""Runs as the files in git give them; what `GET /onboard` and its MCP tool answer with.

Pure: knows no repository, no database and no HTTP. A run is one project: its `id` is the slug.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from reconciler.faces.catalogue import View
from reconciler.kinds.project.run_row import Recorded, run_row
from reconciler.kinds.project.spec import KIND, ProjectSpec
from reconciler.kinds.project.waits import WAITS
from reconciler.model.json import Object
from reconciler.model.outcome import ItemReport, Status

STATUSES = (*map(str, Status), *(reason.status for reason in WAITS))


class OnboardingRun(BaseModel):
    """One project's onboarding: the columns of `onboarding_runs`, and what a person has to do next."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    id: str
    """The project's slug."""
    repo_owner: str
    """The owner as the project file writes it."""
    repo_name: str
    """The repository as the project file writes it."""
    status: Annotated[str, Field(json_schema_extra={"enum": list(STATUSES)})]
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


def runs_of(view: View, recorded: Mapping[str, Recorded]) -> dict[str, OnboardingRun]:
    """Return every run by its id, in the order of the ids."""
    loaded = view.loaded
    specs = {item.id: item.spec for item in (loaded.items if loaded else ())}
    found: dict[str, OnboardingRun] = {}
    for item, each in view.reports.items():
        if item.kind != KIND:
            continue
        asked = view.proposed.get(item) if item not in specs else None
        spec = asked.item.spec if asked else specs.get(item)
        document = loaded.status(item) if loaded else {}
        run = _run(spec, each, document, recorded.get(item.slug))
        found[item.slug] = run.model_copy(update={"pull_request": asked.url}) if asked else run
    return found


def _run(
    spec: ProjectSpec | None, each: ItemReport, document: Object, recorded: Recorded | None
) -> OnboardingRun:
    row = asdict(run_row(spec, each, document))
    row["error_message"] = row["error_message"] or (each.todo if each.status == Status.FAILED else None)
    if recorded:
        row |= {"created_at": recorded.created_at, "updated_at": recorded.updated_at}
    if recorded and recorded.running:
        return OnboardingRun(**{**row, "status": Status.RUNNING})
    return OnboardingRun(**row, next=each.todo or None)
