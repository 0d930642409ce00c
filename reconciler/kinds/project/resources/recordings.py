"""The place of a project's recordings: one bucket for all, and an empty object that marks each prefix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from reconciler.clients.postgres import PostgresSettings
from reconciler.clients.s3 import ObjectStore, ObjectStoreWriter, S3Settings
from reconciler.engine.contract import Resource, Target
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.kinds.project.tables.registry_rows import Registry
from reconciler.model.decision import Action, Change, Decision, Needed, Settled
from reconciler.model.errors import SystemFault
from reconciler.model.json import Object
from reconciler.model.observation import Absent, Known, Observation, Seen, State, Unknown
from reconciler.model.removal import OnRemove
from reconciler.settings.giving import Reading, Settings, Writing

PLACES, MARKER = "repos/", ".keep"


class RecordingsState(State):
    """The prefix that is marked."""

    prefix: str


class Recordings(Resource[ProjectSpec, RecordingsState]):
    """Makes the bucket and the marker `repos/owner/name/.keep`, and sees whether PostgreSQL answers.

    The marker is that of mesh-six's own onboarding (provision-backend of its apps/onboarding-service).

    Never deletes or overwrites an object, nor changes a bucket that is there. A prefix is mesh-six's place
    for that repository whoever wrote there first, so there is nothing to adopt.
    """

    name: ClassVar[str] = "recordings"
    phase: ClassVar[str] = "initialization"
    system: ClassVar[str] = "S3"
    state: ClassVar[type[State]] = RecordingsState
    needs: ClassVar[tuple[str, ...]] = ("validate-repo",)
    settings: ClassVar[tuple[type[Settings], ...]] = (S3Settings, PostgresSettings)
    on_remove: ClassVar[tuple[OnRemove, ...]] = (OnRemove.KEEP,)
    kept: ClassVar[str] = "the place of its recordings"

    def observe(
        self, targets: Sequence[Target[ProjectSpec]], read: Reading
    ) -> Mapping[str, Observation[RecordingsState]]:
        """List once for each owner, of the place that is remembered, or else of the one that the file gives.

        A project that lacks nothing here is unknown without PostgreSQL.
        """
        store = read.get(ObjectStore)
        found: dict[str, Observation[RecordingsState]] = {}
        without = self._without_postgres(read)
        for target in targets:
            # What an earlier version marked is not mesh-six's place; it is asked for, so as not to look lost.
            prefix = str(target.remembered.get("prefix") or prefix_of(target.spec))
            marker = f"{prefix}{MARKER}" if prefix.startswith(PLACES) else prefix
            if marker not in store.keys(prefix.rstrip("/").rpartition("/")[0]):
                found[target.slug] = Absent()
            else:
                found[target.slug] = without or Known(RecordingsState(prefix=prefix))
        return found

    def plan(
        self, target: Target[ProjectSpec], seen: Seen[RecordingsState], outputs: Mapping[str, Object]
    ) -> Decision:
        """Want the prefix marked, in GitHub's letter case."""
        prefix = prefix_of(_as_remembered(target).spelled(str(outputs["validate-repo"]["fullName"])))
        if not isinstance(seen, Absent) and seen.state.prefix == prefix:
            return self._settled(prefix)
        marker = f"{self.sections.get(S3Settings).bucket}/{prefix}{MARKER}"
        summary = f"mark the recordings' place {marker}"
        return Needed(
            Change(target.id, self.name, Action.CREATE, summary, after={"marker": marker, "prefix": prefix})
        )

    def apply(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Settled:
        """Make the bucket, then the marker."""
        store, prefix = write.get(ObjectStoreWriter), str(change.after["prefix"])
        store.ensure_bucket()
        store.put_marker(f"{prefix}{MARKER}")
        if self._uses_postgres():
            write.get(Registry).check_server()
        return self._settled(prefix)

    def _settled(self, prefix: str) -> Settled:
        bucket = self.sections.get(S3Settings).bucket
        note = "the place is marked, and PostgreSQL answers for its index" if self._uses_postgres() else ""
        return Settled({"bucket": bucket, "prefix": prefix}, note=note)

    def _uses_postgres(self) -> bool:
        return self.sections.get(PostgresSettings).missing() is None

    def _without_postgres(self, read: Reading) -> Unknown | None:
        try:
            if self._uses_postgres():
                read.get(Registry).check_server()
        except SystemFault as fault:
            return Unknown(fault.message, fault.remedy, fault.retry_after)
        return None


def _as_remembered(target: Target[ProjectSpec]) -> ProjectSpec:
    prefix = str(target.remembered.get("prefix", ""))
    return target.spec.spelled(prefix.removeprefix(PLACES).removesuffix("/"))


def prefix_of(spec: ProjectSpec) -> str:
    """Return the prefix of the project's recordings, ending in a slash."""
    return f"{PLACES}{spec.repo_owner}/{spec.repo_name}/"
