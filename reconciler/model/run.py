"""One row of `onboarding_runs` (seed 000): the queryable copy of a project's status."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class RunRow:
    """`id` is the project's slug: one row per project; history is git's (design §5)."""

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
