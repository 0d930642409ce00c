"""What a pass keeps in PostgreSQL: its lock, and when things were last verified.

Nothing here is the only copy of anything: without it a pass reads more, and nobody holds a second pass off.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from reconciler.clients.migrations import migrate
from reconciler.clients.postgres import SYSTEM, NoWrites, Postgres
from reconciler.model.errors import Missing
from reconciler.model.item import ItemId
from reconciler.settings.giving import Writer

LOCK_KEY = 0x6D65_7368_0000_0001
"""Any fixed number will do, as long as nobody else in that database uses it: "mesh", then ours."""

_LOCK = "SELECT pg_try_advisory_lock(%(key)s) AS taken"
# As JSON, since a plan may come before the first pass of this version, which adds two columns.
_MEMORY = """
    SELECT kind, slug, resource, verified_at, coalesce(to_jsonb(row) ->> 'identity', '') AS identity,
        coalesce(to_jsonb(row) ->> 'places', '') AS places, NULL AS branch
    FROM reconciler_item_verifications AS row
    UNION ALL
    SELECT '', '', '', seen_at, commit_id, '', branch FROM reconciler_followed
"""
_FOLLOW = """
    INSERT INTO reconciler_followed (branch, commit_id, seen_at)
    VALUES (%(branch)s, %(commit)s, %(moment)s)
    ON CONFLICT (branch) DO UPDATE SET commit_id = EXCLUDED.commit_id, seen_at = EXCLUDED.seen_at
"""
_VERIFY = """
    INSERT INTO reconciler_item_verifications (kind, slug, resource, verified_at, identity, places)
    SELECT * FROM unnest(
        %(kinds)s::text[], %(slugs)s::text[], %(resources)s::text[], %(moments)s::timestamptz[],
        %(proofs)s::text[], %(places)s::text[])
    ON CONFLICT (kind, slug, resource) DO UPDATE
    SET verified_at = EXCLUDED.verified_at, identity = EXCLUDED.identity, places = EXCLUDED.places
"""
_FORGET = """
    UPDATE reconciler_item_verifications SET verified_at = 'epoch'
    WHERE (kind, slug, resource) IN (
        SELECT * FROM unnest(%(kinds)s::text[], %(slugs)s::text[], %(resources)s::text[]))
"""


@dataclass(frozen=True)
class Verification:
    """When a resource of an item was last read one by one, what the item was proven to be then, and where.

    `places`: a digest of the addresses of all systems.
    """

    moment: datetime
    proof: str = ""
    places: str = ""


Verifications: TypeAlias = Mapping[tuple[ItemId, str], Verification]
"""By item and resource."""


@dataclass(frozen=True)
class Memory:
    """What passes have left for those after them. `followed`: by branch, the commit that was seen last."""

    verified: Verifications = field(default_factory=dict)
    followed: Mapping[str, str] = field(default_factory=dict)


class PassStore(Postgres):
    """Reads; a database that was never migrated is an empty one."""

    def memory(self) -> Memory:
        """Return what is remembered. One statement."""
        try:
            rows = self.rows(_MEMORY)
        except Missing:
            return Memory()
        verified = {
            (ItemId(row["kind"], row["slug"]), row["resource"]): Verification(
                row["verified_at"], row["identity"], row["places"]
            )
            for row in rows
            if row["branch"] is None
        }
        return Memory(verified, {row["branch"]: row["identity"] for row in rows if row["branch"] is not None})


class PassStoreWriter(PassStore, Writer):
    """Writes too, and holds the lock that makes a pass the only one that writes."""

    def acquire(self, *, patience: float = 1.0) -> bool:
        """Take the lock for as long as this client is open; False when another pass holds it.

        NoWrites on a standby: it would give the lock, and its primary gives the same one to another. One
        statement when it is free. The server needs a moment to see that the session of a pass just ended is
        gone, so a taken lock is asked for again for `patience` seconds.
        """
        self.check_server()
        if self._is_standby:
            raise NoWrites(SYSTEM, "is a standby, where no lock keeps another pass off")
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

    def migrate(self, folders: Sequence[Path]) -> tuple[str, ...]:
        """Run the migrations that are needed; return their names. One statement when none is."""
        return migrate(self, folders)

    def save_verifications(self, verified: Verifications) -> None:
        """Remember when these were read; one statement, none for nothing."""
        if verified:
            items, resources = zip(*verified, strict=True)
            self.rows(
                _VERIFY,
                {
                    "kinds": [item.kind for item in items],
                    "slugs": [item.slug for item in items],
                    "resources": list(resources),
                    "moments": [each.moment for each in verified.values()],
                    "proofs": [each.proof for each in verified.values()],
                    "places": [each.places for each in verified.values()],
                },
            )

    def follow(self, branch: str, commit: str, moment: datetime) -> None:
        """Remember which commit of a branch was seen last; one statement."""
        self.rows(_FOLLOW, {"branch": branch, "commit": commit, "moment": moment})

    def forget_verifications(self, changing: Sequence[tuple[ItemId, str]]) -> None:
        """Have these read again by the next pass; one statement, none for nothing."""
        if changing:
            self.rows(
                _FORGET,
                {
                    "kinds": [item.kind for item, _ in changing],
                    "slugs": [item.slug for item, _ in changing],
                    "resources": [resource for _, resource in changing],
                },
            )
