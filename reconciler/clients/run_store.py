"""What a pass keeps in PostgreSQL: its lock, when things were last verified, and the queryable run history.

Nothing here is the only copy of anything: without it a pass reads more, and nobody holds a second pass off.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from reconciler.clients.migrations import migrate
from reconciler.clients.postgres import Postgres
from reconciler.errors import Missing
from reconciler.model.run import Recorded, RunRow
from reconciler.systems import Writer

LOCK_KEY = 0x6D65_7368_0000_0001
"""Any fixed number will do, as long as nobody else in that database uses it: "mesh", then ours."""

_LOCK = "SELECT pg_try_advisory_lock(%(key)s) AS taken"
_VERIFICATIONS = "SELECT slug, resource, verified_at FROM reconciler_verifications"
_VERIFY = """
    INSERT INTO reconciler_verifications (slug, resource, verified_at)
    SELECT * FROM unnest(%(slugs)s::text[], %(resources)s::text[], %(moments)s::timestamptz[])
    ON CONFLICT (slug, resource) DO UPDATE SET verified_at = EXCLUDED.verified_at
"""
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


class RunStore(Postgres):
    """Reads; a database that was never migrated is an empty one."""

    def verifications(self) -> Mapping[tuple[str, str], datetime]:
        """Return when each (slug, resource) was last read one by one. One statement."""
        try:
            rows = self.rows(_VERIFICATIONS)
        except Missing:
            return {}
        return {(row["slug"], row["resource"]): row["verified_at"] for row in rows}

    def runs(self) -> Mapping[str, RunRow]:
        """Return every run by its id; mesh-six's own runs are among them. One statement."""
        try:
            rows = self.rows(_RUNS)
        except Missing:
            return {}
        return {
            row["id"]: RunRow(**{**row, "completed_activities": tuple(row["completed_activities"])})
            for row in rows
        }

    def recorded(self) -> Mapping[str, Recorded]:
        """Return what no file says of a run, by its id. One statement."""
        try:
            rows = self.rows(_RECORDED)
        except Missing:
            return {}
        return {
            row["id"]: Recorded(row["created_at"], row["updated_at"], bool(row["running"])) for row in rows
        }


class RunStoreWriter(RunStore, Writer):
    """Writes too, and holds the lock that makes a pass the only one that writes."""

    def acquire(self, *, patience: float = 1.0) -> bool:
        """Take the lock for as long as this client is open; False when another pass holds it.

        One statement when it is free. The server needs a moment to see that the session of a pass just ended
        is gone, so a taken lock is asked for again for `patience` seconds.
        """
        until = time.monotonic() + patience
        while not self.rows(_LOCK, {"key": LOCK_KEY})[0]["taken"]:
            if time.monotonic() >= until:
                return False
            time.sleep(0.1)
        self._pinned = True
        return True

    def still_held(self) -> bool:
        """Whether the session that holds the lock is alive, as far as this end can see. Sends nothing.

        Once it is lost every statement of this client raises Unavailable.
        """
        return self._pinned and self._alive()

    def migrate(self, folder: Path) -> tuple[str, ...]:
        """Run the migrations that are needed; return their names. One statement when none is."""
        return migrate(self, folder)

    def save_verifications(self, verified: Mapping[tuple[str, str], datetime]) -> None:
        """Remember when these were read; one statement, none for nothing."""
        if verified:
            slugs, resources = zip(*verified, strict=True)
            self.rows(
                _VERIFY,
                {"slugs": list(slugs), "resources": list(resources), "moments": list(verified.values())},
            )

    def save_runs(self, rows: Iterable[RunRow]) -> None:
        """Insert or replace these rows; one statement, none for nothing."""
        given = [asdict(row) for row in rows]
        if given:
            self.rows(_UPSERT, {"rows": json.dumps(given)})
