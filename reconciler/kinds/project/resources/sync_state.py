"""What Argo CD's application and the manifest repository say together of each project. Decides nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from reconciler.clients.argocd_answers import Application, ObjectStatus, sanitised
from reconciler.git.manifest_tree import ManifestTree
from reconciler.model.errors import Missing
from reconciler.model.observation import State


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class SeenObject:
    """One object of the project. `failure`: what the last operation said when it could not apply it."""

    kind: str
    name: str
    status: str
    health: str = ""
    message: str = ""
    failure: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class SyncState(State):
    """What Argo CD and the manifest repository say together.

    `revision`: what Argo CD compared with; `known`: the manifest repository has it, too. `folder`: git id of
    `envs/<slug>` there, `line`: its kustomization line is there. `operation_folder`: git id of the folder at
    the last operation's commit, None when that had no line for it.
    """

    revision: str
    known: bool = True
    folder: str | None = None
    line: bool = False
    comparison_error: str = ""
    automated: bool = True
    busy: bool = False
    operation_phase: str = ""
    operation_message: str = ""
    operation_revision: str = ""
    operation_folder: str | None = None
    objects: tuple[SeenObject, ...] = ()

    def holds(self, tree: str) -> bool:
        """Tell whether Argo CD has compared the cluster with this content."""
        return self.known and self.line and self.folder == tree

    @property
    def lagging(self) -> list[SeenObject]:
        """Objects that are not as the manifests say."""
        return [item for item in self.objects if item.status != "Synced"]


class DeploymentView:
    """One application over one repository, with what all projects share worked out once."""

    def __init__(self, application: Application, manifests: ManifestTree, path: str) -> None:
        self._manifests = manifests
        self._path = path
        self._revision = application.revision(path)
        self._operation_revision = application.operation_revision(path)
        self._known = self._has(self._revision)
        self._operation_known = self._operation_revision == self._revision or self._has(
            self._operation_revision
        )
        state = application.status.operation_state
        self._failures = {
            (item.kind, item.name): sanitised(item.message)
            for item in (state.sync_result.resources if state else ())
            if item.status == "SyncFailed"
        }
        self._objects = by_owner(application)
        self._common: dict[str, Any] = {
            "revision": self._revision,
            "known": self._known,
            "comparison_error": application.comparison_error,
            "automated": application.automated,
            "busy": application.busy,
            "operation_phase": state.phase if state else "",
            "operation_message": sanitised(state.message) if state else "",
            "operation_revision": self._operation_revision,
        }

    def of(self, slug: str) -> SyncState:
        """Return what concerns one project."""
        folder, line = self._content(self._revision, slug) if self._known else (None, False)
        operation_folder, operation_line = (
            self._content(self._operation_revision, slug) if self._operation_known else (None, False)
        )
        return SyncState(
            **self._common,
            folder=folder,
            line=line,
            operation_folder=operation_folder if operation_line else None,
            objects=tuple(self._object(item) for item in self._objects.get(environment(slug), [])),
        )

    def _has(self, revision: str) -> bool:
        """Tell whether the repository has the commit, after a fetch if need be."""
        if not re.fullmatch(r"[0-9a-f]{40}", revision):
            return False
        try:
            self._manifests.folder_at(revision, self._path)
        except Missing:
            return False
        return True

    def _content(self, revision: str, slug: str) -> tuple[str | None, bool]:
        entry = f"envs/{slug}"
        folder = self._manifests.folder_at(revision, f"{self._path}/{entry}")
        return folder, self._manifests.has_line_at(revision, self._path, entry)

    def _object(self, item: ObjectStatus) -> SeenObject:
        return SeenObject(
            kind=item.kind,
            name=item.name,
            status=item.status,
            health=item.health.status,
            message=sanitised(item.health.message),
            failure=self._failures.get((item.kind, item.name), ""),
        )


def by_owner(application: Application) -> dict[str, list[ObjectStatus]]:
    """Group the application's objects by the environment that they belong to.

    `env-a.hosts` belongs to `env-a`, since no slug has a dot. `env-a-b-worktrees`, as claims were called
    once, belongs to `env-a-b` and not to `env-a`: the longest name of a StatefulSet wins.
    """
    workloads = {item.name for item in application.status.resources if item.kind == "StatefulSet"}
    grouped: dict[str, list[ObjectStatus]] = {}
    for item in application.status.resources:
        owner = next((name for name in _shorter(item.name.partition(".")[0]) if name in workloads), None)
        if owner is not None:
            grouped.setdefault(owner, []).append(item)
    return grouped


def _shorter(name: str) -> Iterable[str]:
    while name.startswith("env-"):
        yield name
        name = name.rpartition("-")[0]


def environment(slug: str) -> str:
    """Return the name of a project's StatefulSet, Service and ExternalSecret."""
    return f"env-{slug}"
