"""One row of `onboarding_runs`: the queryable copy of a project's status. Pure: knows no database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reconciler.kinds.project.resources.oauth import OAuth
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.model.json import Object
from reconciler.model.outcome import Condition, ItemReport, Status
from reconciler.model.status_file import mapping


@dataclass(frozen=True)
class RunRow:
    """`id` is the project's slug: one row per project, as it stands. What was before is in git's history."""

    id: str
    repo_owner: str
    repo_name: str
    status: str
    current_phase: str | None = None
    current_activity: str | None = None
    completed_activities: tuple[str, ...] = ()
    error_message: str | None = None
    oauth_device_url: str | None = None
    oauth_user_code: str | None = None


@dataclass(frozen=True)
class Recorded:
    """What only the table knows of a run. `running`: a pass is changing the project, or was when it died."""

    created_at: datetime
    updated_at: datetime
    running: bool = False


def run_row(spec: ProjectSpec | None, report: ItemReport, document: Object) -> RunRow:
    """Return the row that the table's readers expect; `spec` is None when the project's file is gone."""
    written = mapping(document.get("repository"))
    done = {Condition.OK, Condition.CHANGED, Condition.SKIPPED}
    open_ones = [outcome for outcome in report.outcomes if outcome.condition not in done]
    error = next((outcome for outcome in open_ones if outcome.condition is Condition.ERROR), None)
    oauth: Object = next((o.section for o in report.outcomes if o.resource == OAuth.name and o.section), {})
    url, code = oauth.get("verificationUri"), oauth.get("userCode")
    return RunRow(
        id=report.slug,
        repo_owner=spec.repo_owner if spec else str(written.get("owner", "")),
        repo_name=spec.repo_name if spec else str(written.get("name", "")),
        status=str(report.status),
        current_phase=report.phase or None,
        current_activity=open_ones[0].resource if open_ones else None,
        completed_activities=tuple(o.resource for o in report.outcomes if o.condition in done),
        error_message=error.reason if error and report.status == Status.FAILED else None,
        oauth_device_url=str(url) if url else None,
        oauth_user_code=str(code) if code else None,
    )
