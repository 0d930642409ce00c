"""The project's row in mesh-six's `repo_registry`: by it the other services find board, fields and limits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field, JsonValue

from reconciler.clients.github import GitHubSettings
from reconciler.clients.postgres import PostgresSettings
from reconciler.engine.contract import Orphan, Owners, Resource, Target
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.kinds.project.tables.registry_rows import MORE, Registry, RegistryRow, RegistryWriter
from reconciler.model.decision import Action, Change, Decision, Failed, Needed, Settled
from reconciler.model.errors import Collision
from reconciler.model.json import Json, Object, canonical
from reconciler.model.observation import Absent, Known, Observation, Seen, State
from reconciler.model.removal import OnRemove
from reconciler.settings.giving import Reading, Settings, Writing

MANAGED_BY = "mesh-six-reconciler"


class RowState(State):
    """Our columns of a row, and all of its metadata."""

    repo_url: str
    platform: str = "github"
    default_branch: str = ""
    board_id: str = ""
    execution_mode: str = ""
    metadata: Mapping[str, JsonValue] = Field(default_factory=dict)
    more: Mapping[str, JsonValue] = Field(default_factory=dict)
    """Columns that only some tables have."""


class RegistryState(State):
    """`row` is the one named by the slug; `others` are names of other rows for the same repository."""

    row: RowState | None = None
    others: tuple[str, ...] = ()


class RegistryRowResource(Resource[ProjectSpec, RegistryState]):
    """Keeps one row, `service_name` = slug, marked by `managedBy` and `repositoryId` in its metadata.

    Never deletes a row; never touches one that is not marked, unless the project says `adopt: true`; never
    changes `cicd_type`, `trigger_method` or a metadata key that is not ours, nor any other row for the same
    repository (such as those that mesh-six's own script made, named owner/name).
    """

    name: ClassVar[str] = "registry"
    phase: ClassVar[str] = "initialization"
    system: ClassVar[str] = "PostgreSQL"
    state: ClassVar[type[State]] = RegistryState
    needs: ClassVar[tuple[str, ...]] = ("validate-repo", "project-board")
    settings: ClassVar[tuple[type[Settings], ...]] = (PostgresSettings, GitHubSettings)
    on_remove: ClassVar[tuple[OnRemove, ...]] = (OnRemove.DELETE, OnRemove.KEEP)
    kept: ClassVar[str] = "the row of repo_registry"

    def observe(
        self, targets: Sequence[Target[ProjectSpec]], read: Reading
    ) -> Mapping[str, Observation[RegistryState]]:
        """Read the rows of all slugs and of all repositories with one statement."""
        urls = {target.slug: self._url(target.spec.full_name) for target in targets}
        rows = read.get(Registry).registered([target.slug for target in targets], list(urls.values()))
        by_name = {row.service_name: row for row in rows}
        by_url: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            by_url[_plain(row.repo_url)].append(row.service_name)
        return {
            slug: _seen(by_name.get(slug), [name for name in by_url[_plain(url)] if name != slug])
            for slug, url in urls.items()
        }

    def plan(
        self, target: Target[ProjectSpec], seen: Seen[RegistryState], outputs: Mapping[str, Object]
    ) -> Decision:
        """Want the row with what validate-repo and project-board gave."""
        wanted = self._wanted(target, outputs)
        state = RegistryState() if isinstance(seen, Absent) else seen.state
        if state.row is None:
            if state.others and not target.spec.adopt:
                return _other_rows(state.others)
            summary = f"add the row {target.slug} to repo_registry"
            return Needed(Change(target.id, self.name, Action.CREATE, summary, after=wanted.shown()))
        ours = _is_ours(state.row.metadata, outputs["validate-repo"]["id"])
        if not ours and not target.spec.adopt:
            return _conflict(target.slug, state.row)
        has = _Columns.of(state.row)
        different = has.differing(wanted.as_there(state.row))
        if not different:
            return Settled({"serviceName": target.slug})
        action = Action.UPDATE if ours else Action.ADOPT
        summary = (
            f"update the row {target.slug} of repo_registry: {', '.join(different)}"
            if ours
            else f"adopt the row {target.slug} of repo_registry, which is {state.row.repo_url}'s"
        )
        before = {**has.shown(only=different), "repoUrl": state.row.repo_url}
        return Needed(Change(target.id, self.name, action, summary, before, wanted.shown()))

    def apply(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Settled:
        """Write the row, unless it is another one's by now."""
        registry = write.get(RegistryWriter)
        wanted = _Columns.read(change.after)
        found = {row.service_name: row for row in registry.registered([target.slug], [])}.get(target.slug)
        over = found.repo_url if found else None
        if found and change.action is Action.CREATE:
            if not _is_ours(found.metadata, wanted.metadata.get("repositoryId")):
                raise Collision(self.system, f"somebody made the row {target.slug} of repo_registry")
        elif over != change.before.get("repoUrl"):
            raise Collision(self.system, f"the row {target.slug} of repo_registry changed")
        registry.register(wanted.row(target.slug), over=over)
        return Settled({"serviceName": target.slug})

    def plan_removal(
        self, target: Target[ProjectSpec], seen: Seen[RegistryState], wish: OnRemove
    ) -> Decision:
        """Let the row be until the end: it starts nothing, and others look things up in it until then."""
        row = None if isinstance(seen, Absent) else seen.state.row
        if row is None or not _is_ours(row.metadata, _repository(target)):
            return Settled()
        if wish is OnRemove.DISABLE:
            return Settled(target.remembered)
        summary = f"delete the row {target.slug} of repo_registry"
        return Needed(Change(target.id, self.name, Action.DELETE, summary, before={"repoUrl": row.repo_url}))

    def apply_removal(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Settled:
        """Delete the row, if it still is the one that we made for this repository."""
        repository = _repository(target)
        if repository is not None:
            write.get(RegistryWriter).unregister(target.slug, MANAGED_BY, repository)
        return Settled()

    def orphans(self, owners: Owners, read: Reading) -> Sequence[Orphan]:
        """Look through the rows that name us; a row's name is the slug, and its metadata the number."""
        return [
            orphan
            for row in read.get(Registry).managed_by(MANAGED_BY)
            for orphan in owners.orphan(
                self.name,
                f"row {row.service_name} of repo_registry",
                {
                    "managed-by": MANAGED_BY,
                    owners.kind: row.service_name,
                    "identity": str(row.metadata.get("repositoryId") or ""),
                },
                "managed-by",
            )
        ]

    def _wanted(self, target: Target[ProjectSpec], outputs: Mapping[str, Object]) -> _Columns:
        repository, board = outputs["validate-repo"], outputs["project-board"]
        full_name = str(repository["fullName"])
        spec = target.spec.spelled(full_name)
        owner, _, name = full_name.partition("/")
        metadata: Object = {
            "managedBy": MANAGED_BY,
            "repositoryId": repository["id"],
            "repositoryNodeId": repository["nodeId"],
            "repoOwner": owner,
            "repoName": name,
            "displayName": spec.display_name or spec.repo_name,
            "boardNumber": board["number"],
            "boardUrl": board["url"],
            "fieldIds": board["fields"],
            "statusOptions": board["statusOptions"],
            "resourceLimits": spec.resource_limits.model_dump(by_alias=True),
            # As mesh-six's receiver reads them (apps/webhook-receiver).
            "projectFieldIds": board["fieldIds"],
        }
        more: Object = {
            "repo_owner": owner,
            "repo_name": name,
            "owner": owner,
            "name": name,
            "full_name": full_name,
            "github_project_id": board["boardId"],
            "github_project_url": board["url"],
            "github_project_number": board["number"],
        }
        return _Columns(
            {
                **more,
                "repoUrl": self._url(full_name),
                "platform": "github",
                "defaultBranch": repository["defaultBranch"],
                "boardId": board["boardId"],
                "executionMode": "envbuilder",
            },
            metadata,
        )

    def _url(self, full_name: str) -> str:
        api = self.sections.get(GitHubSettings).api_url.rstrip("/")
        web = api.removesuffix("/api/v3") if api.endswith("/api/v3") else "https://github.com"
        return f"{web}/{full_name}"


@dataclass(frozen=True)
class _Columns:
    """What we keep in a row; a value may still be `Later`."""

    columns: Object
    metadata: Object

    @classmethod
    def of(cls, row: RowState) -> _Columns:
        return cls({**row.model_dump(by_alias=True, exclude={"metadata", "more"}), **row.more}, row.metadata)

    @classmethod
    def read(cls, shown: Object) -> _Columns:
        columns = dict(shown)
        metadata = columns.pop("metadata")
        assert isinstance(metadata, Mapping)  # noqa: S101 - `shown` made it
        return cls(columns, metadata)

    def shown(self, only: Sequence[str] | None = None) -> dict[str, Json]:
        """Return columns and metadata as a plan shows them; `only` those named, that are there."""
        columns = {name: value for name, value in self.columns.items() if only is None or name in only}
        keys = {f"metadata.{key}": key for key in self.metadata}
        metadata = {key: self.metadata[key] for name, key in keys.items() if only is None or name in only}
        return {**columns, "metadata": metadata}

    def differing(self, wanted: _Columns) -> list[str]:
        return [
            *_differing(self.columns, wanted.columns),
            *(f"metadata.{key}" for key in _differing(self.metadata, wanted.metadata)),
        ]

    def as_there(self, row: RowState) -> _Columns:
        """Return it as this row's table would show it: with the columns that it has, in their types."""
        there = {key: value for key, value in self.columns.items() if key not in MORE or key in row.more}
        told = {
            key: row.more[key] for key in there if key in row.more and str(row.more[key]) == str(there[key])
        }
        return _Columns({**there, **told}, self.metadata)

    def row(self, name: str) -> RegistryRow:
        texts = {key: str(value) for key, value in self.columns.items()}
        return RegistryRow(
            service_name=name,
            repo_url=texts["repoUrl"],
            platform=texts["platform"],
            default_branch=texts["defaultBranch"],
            board_id=texts["boardId"],
            execution_mode=texts["executionMode"],
            metadata=self.metadata,
            more={column: self.columns[column] for column in MORE if column in self.columns},
        )


def _differing(has: Object, wanted: Object) -> list[str]:
    if canonical({key: has.get(key) for key in wanted}) == canonical(wanted):
        return []  # nearly always, so all are compared in one go before each by itself
    return [key for key, value in wanted.items() if canonical(has.get(key)) != canonical(value)]


def _plain(url: str) -> str:
    return url.lower().rstrip("/").removesuffix(".git")


def _seen(row: RegistryRow | None, others: list[str]) -> Known[RegistryState] | Absent:
    if row is None and not others:
        return Absent()
    state = row and RowState(
        repo_url=row.repo_url,
        platform=row.platform,
        default_branch=row.default_branch,
        board_id=row.board_id,
        execution_mode=row.execution_mode,
        metadata=row.metadata,
        more=row.more,
    )
    return Known(RegistryState(row=state, others=tuple(sorted(others))))


def _repository(target: Target[ProjectSpec]) -> int | None:
    """Return the repository's number; None while it is not proven."""
    return int(target.proof) if target.proof.isdecimal() else None


def _is_ours(metadata: Mapping[str, Json], repository: Json) -> bool:
    return metadata.get("managedBy") == MANAGED_BY and metadata.get("repositoryId") == repository


def _conflict(slug: str, row: RowState) -> Failed:
    return Failed(
        f"repo_registry has a row {slug} for {row.repo_url} that we did not make",
        remedy="to take it over, add `adopt: true` to the project file; "
        "to leave it alone, choose another `slug:`",
        conflict=True,
    )


def _other_rows(others: Sequence[str]) -> Failed:
    return Failed(
        f"repo_registry knows this repository already, as {', '.join(others)}",
        remedy="remove that row if nothing uses it; or add `adopt: true` to the project file "
        "to have a row of our own beside it",
        conflict=True,
    )
