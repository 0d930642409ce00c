"""The table `onboarding_runs`: the queryable copy of projects' statuses, in its readers' columns.

One row a project, its `id` the slug; the history is git's. mesh-six's own runs may be in it too, and stay.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace

from reconciler.clients.postgres import Postgres
from reconciler.engine.kind import Database
from reconciler.kinds.project.run_row import Recorded, RunRow, run_row
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.model.errors import Missing
from reconciler.model.item import Item
from reconciler.model.outcome import ItemReport, Status

_RUNS = """
    SELECT id, repo_owner, repo_name, status, current_phase, current_activity,
           coalesce(completed_activities, '{}') AS completed_activities,
           error_message, oauth_device_url, oauth_user_code
    FROM onboarding_runs
"""
_RECORDED = "SELECT id, created_at, updated_at, status = 'running' AS running FROM onboarding_runs"
_UPSERT = """
    INSERT INTO onboarding_runs (id, repo_owner, repo_name, status, current_phase, current_activity,
                                 completed_activities, error_message, oauth_device_url, oauth_user_code)
    SELECT id, repo_owner, repo_name, status, current_phase, current_activity,
           completed_activities, error_message, oauth_device_url, oauth_user_code
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS given (
        id text, repo_owner text, repo_name text, status text, current_phase text, current_activity text,
        completed_activities text[], error_message text, oauth_device_url text, oauth_user_code text)
    ON CONFLICT (id) DO UPDATE SET
        repo_owner = EXCLUDED.repo_owner, repo_name = EXCLUDED.repo_name, status = EXCLUDED.status,
        current_phase = EXCLUDED.current_phase, current_activity = EXCLUDED.current_activity,
        completed_activities = EXCLUDED.completed_activities, error_message = EXCLUDED.error_message,
        oauth_device_url = EXCLUDED.oauth_device_url, oauth_user_code = EXCLUDED.oauth_user_code,
        updated_at = now()
"""


class RunTable(Postgres):
    """Reads; a database that was never migrated is an empty one."""

    def recorded(self) -> Mapping[str, Recorded]:
        """Return what no file says of a run, by its id. One statement."""
        try:
            rows = self.rows(_RECORDED)
        except Missing:
            return {}
        return {
            row["id"]: Recorded(row["created_at"], row["updated_at"], bool(row["running"])) for row in rows
        }


class RunLedger:
    """Writes the rows of a pass, in the session that holds the pass's lock."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._runs = _read(database)

    def begin(self, changing: Sequence[tuple[Item[ProjectSpec], ItemReport]]) -> None:
        """Write that these runs are under way."""
        rows = [run_row(item.spec, replace(each, status=Status.RUNNING), {}) for item, each in changing]
        self._save(rows)
        self._runs |= {row.id: row for row in rows}

    def record(
        self, done: Sequence[tuple[Item[ProjectSpec], ItemReport]], resting: Mapping[str, str]
    ) -> None:
        """Write the runs that differ from those read; one that rests keeps all but its status."""
        rows = [run_row(item.spec, each, {}) for item, each in done]
        kept = [
            replace(run, status=status) for slug, status in resting.items() if (run := self._runs.get(slug))
        ]
        changed = [row for row in (*rows, *kept) if self._runs.get(row.id) != row]
        self._save(changed)
        self._runs |= {row.id: row for row in changed}

    def _save(self, rows: Iterable[RunRow]) -> None:
        given = [asdict(row) for row in rows]
        if given:
            self._database.rows(_UPSERT, {"rows": json.dumps(given)})


def _read(database: Database) -> dict[str, RunRow]:
    try:
        rows = database.rows(_RUNS)
    except Missing:
        return {}
    return {
        row["id"]: RunRow(**{**row, "completed_activities": tuple(row["completed_activities"])})
        for row in rows
    }
