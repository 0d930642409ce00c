"""What Argo CD's application and the manifest repository say together of each project. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from reconciler.clients.argocd_answers import Application, ObjectStatus, sanitised
from reconciler.git.inclusion import Naming
from reconciler.git.manifest_tree import ManifestTree
from reconciler.kinds.project.manifests.render import claim_names
from reconciler.kinds.project.resources.deployed_tree import DeployedTree
from reconciler.model.errors import InvalidFile
from reconciler.model.observation import State


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class SeenObject:
    """One object of the project. `failure`: what the last operation said when it could not apply it.

    `prunable`: it is in the cluster, and in no manifest any more.
    """

    kind: str
    name: str
    status: str
    health: str = ""
    message: str = ""
    failure: str = ""
    prunable: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class SyncState(State):
    """What Argo CD and the manifest repository say together.

    `revision`: what Argo CD compared with, of `repository`; `known`: the manifest repository has it, too.
    `folder`: git id of `envs/<slug>` there, `line`: what Argo CD builds includes it. `operation_folder`: git
    id of the folder at the last operation's commit, None when that did not include it. `workload`: what the
    build calls its StatefulSet. `astray`: why Argo CD will never come to what is on the branch, and what to
    do. `follows`: what it follows in place of that branch.
    """

    revision: str
    repository: str = ""
    known: bool = True
    workload: str = ""
    astray: str = ""
    astray_remedy: str = ""
    follows: str = ""
    folder: str | None = None
    line: bool = False
    comparison_error: str = ""
    automated: bool = True
    prunes: bool = True
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
        self._tree = DeployedTree(application, manifests, path)
        self._manifests, self._path = manifests, path
        self._application = application
        state = application.status.operation_state
        self._failures = {
            (item.kind, item.name): sanitised(item.message)
            for item in (state.sync_result.resources if state else ())
            if item.status == "SyncFailed"
        }
        self._objects: dict[Naming, dict[str, list[ObjectStatus]]] = {}
        self._common: dict[str, Any] = {
            "revision": self._tree.revision,
            "repository": self._tree.repository,
            "known": self._tree.known,
            "follows": self._tree.follows(),
            "comparison_error": application.comparison_error,
            "automated": application.automated,
            "prunes": application.prunes,
            "busy": application.busy,
            "operation_phase": state.phase if state else "",
            "operation_message": sanitised(state.message) if state else "",
            "operation_revision": self._tree.operation_revision,
        }

    def of(self, slug: str) -> SyncState:
        """Return what concerns one project."""
        tree = self._tree
        holds = tree.known and tree.builds(tree.revision, slug)
        ran = tree.operation_known and tree.builds(tree.operation_revision, slug)
        astray = None if holds else tree.astray(slug)
        return SyncState(
            **self._common,
            folder=tree.folder(tree.revision, slug) if tree.known else None,
            line=holds,
            operation_folder=tree.folder(tree.operation_revision, slug) if ran else None,
            workload=tree.naming(slug).named(environment(slug)),
            astray=astray.reason if astray else "",
            astray_remedy=astray.remedy if astray else "",
            objects=tuple(self._object(item) for item in self.objects(slug)),
        )

    def left_of(self, slug: str) -> SyncState:
        """Return what concerns a project whose manifests are to leave.

        `line` tells of the branch as it is, which Argo CD may not have seen yet.
        """
        try:
            line = self._manifests.naming(self._path, f"{self._path}/envs/{slug}") is not None
        except InvalidFile:
            line = True
        objects = tuple(self._object(item) for item in self.left(slug))
        return SyncState(**self._common, line=line, objects=objects)

    def left(self, slug: str) -> list[ObjectStatus]:
        """Return the application's objects that are called as an environment's are, its StatefulSet or not.

        All of them are named after it, alone or before a dot; claims of old with a hyphen.
        """
        naming, own = self._tree.naming(slug), environment(slug)
        older = {*claim_names(slug, "", older=True).values()}
        named = [(item, naming.own(item.name) or "") for item in self._application.status.resources]
        return [item for item, name in named if name.partition(".")[0] == own or name in older]

    def objects(self, slug: str) -> list[ObjectStatus]:
        """Return the application's objects that are the environment's, as the build names them."""
        naming = self._tree.naming(slug)
        if naming not in self._objects:
            self._objects[naming] = _by_owner(self._application, naming)
        return self._objects[naming].get(environment(slug), [])

    def _object(self, item: ObjectStatus) -> SeenObject:
        return SeenObject(
            kind=item.kind,
            name=item.name,
            status=item.status,
            health=item.health.status,
            message=sanitised(item.health.message),
            failure=self._failures.get((item.kind, item.name), ""),
            prunable=item.requires_pruning,
        )


def _by_owner(application: Application, naming: Naming) -> dict[str, list[ObjectStatus]]:
    """Group the application's objects by the environment that they belong to.

    `env-a.hosts` belongs to `env-a`, since no slug has a dot. `env-a-b-worktrees`, as claims were called
    once, belongs to `env-a-b` and not to `env-a`: the longest name of a StatefulSet wins.
    """
    # Claims outlive what they were made for, also one that had this slug before: they are no part of it.
    resources = [
        item
        for item in application.status.resources
        if not (item.requires_pruning and item.kind == "PersistentVolumeClaim")
    ]
    own = [(name, item) for item in resources if (name := naming.own(item.name)) is not None]
    workloads = {name for name, item in own if item.kind == "StatefulSet"}
    grouped: dict[str, list[ObjectStatus]] = {}
    for name, item in own:
        owner = next((each for each in _shorter(name.partition(".")[0]) if each in workloads), None)
        if owner is not None:
            grouped.setdefault(owner, []).append(item)
    return grouped


def _shorter(name: str) -> Iterable[str]:
    while name.startswith("env-"):
        yield name
        name = name.rpartition("-")[0]


def environment(slug: str) -> str:
    """Return the name of a project's StatefulSet, Service and ExternalSecret, as its manifests say it."""
    return f"env-{slug}"
