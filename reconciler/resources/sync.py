"""Whether Argo CD has brought a project's manifests into the cluster (design §6, facts §4).

Decides by content, not by commit: `envs/<slug>` and its kustomization line at the revision that Argo CD
reports equal the desired ones. So a commit of somebody else neither satisfies nor unsettles a project. Knows
nothing of what the manifests say, and leaves the pod's health to `pod-health`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import ClassVar

from reconciler.clients.argocd import FAILED, Application, ArgoCD, ArgoCDWriter, ObjectStatus, sanitised
from reconciler.errors import Missing
from reconciler.gitops.manifest_tree import ManifestTree
from reconciler.gitops.settings import ManifestRepositorySettings
from reconciler.model.decision import (
    Action,
    Applied,
    Awaits,
    Change,
    Decision,
    Failed,
    Needed,
    Settled,
    Waiting,
)
from reconciler.model.json import Later, Object
from reconciler.model.observation import Known, Observation, Seen, State
from reconciler.model.project_spec import ProjectSpec
from reconciler.resources.contract import Resource, Target
from reconciler.systems import Reading, Settings, Writing

SOON = timedelta(seconds=2)
LATER = timedelta(seconds=30)
MAKE_BUILDABLE = "make `kubectl kustomize` of the manifests build again; until then nothing can be deployed"


class SeenObject(State):
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


class Sync(Resource[ProjectSpec, SyncState]):
    """The deployment of one project's manifests by Argo CD.

    It never deletes or prunes an object, never names a revision, never terminates an operation, and never
    syncs objects of others.
    """

    name: ClassVar[str] = "sync"
    phase: ClassVar[str] = "dev_env"
    system: ClassVar[str] = "Argo CD"
    state: ClassVar[type[State]] = SyncState
    needs: ClassVar[tuple[str, ...]] = ("manifests",)
    settings: ClassVar[tuple[type[Settings], ...]] = (ManifestRepositorySettings,)

    def observe(
        self, targets: Sequence[Target[ProjectSpec]], read: Reading
    ) -> Mapping[str, Observation[SyncState]]:
        """Read the application once, and git for each project."""
        application = read.get(ArgoCD).application()
        manifests = read.get(ManifestTree)
        view = _View(application, manifests, self.sections.get(ManifestRepositorySettings).path)
        return {target.slug: Known(view.of(target.slug)) for target in targets}

    def plan(
        self, target: Target[ProjectSpec], seen: Seen[SyncState], outputs: Mapping[str, Object]
    ) -> Decision:
        """Follow the content from the branch over Argo CD's comparison into the cluster."""
        assert isinstance(seen, Known)  # noqa: S101 - observe gives nothing else
        state, tree = seen.state, outputs["manifests"]["tree"]
        if isinstance(tree, Later) or not isinstance(tree, str):
            return _wait("its manifests are being committed", target)
        if state.comparison_error:
            return _not_compared(target, state, tree)
        if not state.known:
            reason = f"Argo CD is at {_short(state.revision)}, which the manifest repository does not have"
            return _wait(reason, target, LATER)
        if not state.holds(tree):
            return _behind(target, state, tree)
        if not state.objects or state.lagging:
            return _not_applied(target, state, tree)
        return _applied(target, state, tree)

    def apply(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Ask for a comparison or for a sync; what came of it is seen by the next pass."""
        argo = write.get(ArgoCDWriter)
        if "refreshed" in change.after:
            argo.refresh()
            return _wait("Argo CD was asked to look at the new commit", target, kept=change.after)
        ours = _by_owner(argo.application()).get(_environment(target.slug), [])
        wanted = [item for item in ours if item.status != "Synced"]
        if wanted and not argo.sync(wanted):
            return _wait("another operation of Argo CD is in progress", target)
        return _wait("Argo CD was asked to sync its objects", target, kept=change.after)


class _View:
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
        self._objects = _by_owner(application)
        self._common = {
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
        return SyncState.model_validate(
            {
                **self._common,
                "folder": folder,
                "line": line,
                "operation_folder": operation_folder if operation_line else None,
                "objects": [self._object(item) for item in self._objects.get(_environment(slug), [])],
            }
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


def _by_owner(application: Application) -> dict[str, list[ObjectStatus]]:
    """Group the application's objects by the environment that they belong to.

    `env-a-b-worktrees` belongs to `env-a-b` and not to `env-a`: the longest name of a StatefulSet wins.
    """
    workloads = {item.name for item in application.status.resources if item.kind == "StatefulSet"}
    grouped: dict[str, list[ObjectStatus]] = {}
    for item in application.status.resources:
        owner = next((name for name in _shorter(item.name) if name in workloads), None)
        if owner is not None:
            grouped.setdefault(owner, []).append(item)
    return grouped


def _shorter(name: str) -> Iterable[str]:
    while name.startswith("env-"):
        yield name
        name = name.rpartition("-")[0]


def _not_compared(target: Target[ProjectSpec], state: SyncState, tree: str) -> Decision:
    """Say that Argo CD could not build the whole tree. What was deployed before stays deployed."""
    if target.remembered.get("synced") == tree:
        return Settled({"synced": tree}, note="Argo CD cannot compare at the moment; the environment stays")
    reason = f"Argo CD cannot build the manifests: {state.comparison_error}"
    if "Unavailable" in reason or "DeadlineExceeded" in reason:
        return _wait(reason, target, LATER)
    return Failed(reason, remedy=MAKE_BUILDABLE)


def _behind(target: Target[ProjectSpec], state: SyncState, tree: str) -> Decision:
    """Ask Argo CD once to look, since it has not seen the content; then wait for its poll."""
    if target.remembered.get("refreshed") != tree:
        change = Change(
            target.slug,
            Sync.name,
            Action.UPDATE,
            "ask Argo CD to look at the new commit",
            before={"revision": _short(state.revision)},
            after={"refreshed": tree},
        )
        return Needed(change)
    return _wait(
        f"Argo CD is at {_short(state.revision)}, which does not have its manifests yet", target, SOON
    )


def _not_applied(target: Target[ProjectSpec], state: SyncState, tree: str) -> Decision:
    """Follow an operation, or ask for one where Argo CD does not sync by itself."""
    if state.operation_phase in FAILED and state.operation_folder == tree:
        return _failed(target, state)
    if state.busy:
        return _wait("Argo CD is syncing", target)
    what = ", ".join(map(str, state.lagging[:3])) or f"StatefulSet {_environment(target.slug)}"
    drifted = target.remembered.get("synced") == tree
    about_to = state.automated and not drifted and state.operation_revision != state.revision
    if about_to or not state.objects:
        return _wait(f"Argo CD has not synced {what} yet", target)
    if target.remembered.get("requested") != tree:
        change = Change(
            target.slug,
            Sync.name,
            Action.UPDATE,
            f"ask Argo CD to sync {what}",
            before={item.name: item.status for item in state.lagging},
            after={"requested": tree},
        )
        return Needed(change)
    return _wait(f"{what} does not become as the manifests say", target, LATER)


def _failed(target: Target[ProjectSpec], state: SyncState) -> Failed:
    """Say why Argo CD gave up on this content; it does not try the same commit again."""
    ours = [item for item in state.objects if item.failure]
    if not ours:
        return Failed(
            f"Argo CD could not sync: {state.operation_message}",
            remedy="mend what it names; the next commit, or `argocd app sync`, tries again",
        )
    failure = ours[0].failure
    remedy = "correct the project file; the next commit is tried again"
    if "updates to statefulset spec" in failure or "field is immutable" in failure:
        remedy = (
            "storage and identity cannot change after creation: undo the change, or delete the StatefulSet "
            f"{_environment(target.slug)} with --cascade=orphan and let Argo CD make it anew"
        )
    elif "can not be less" in failure or "less than" in failure:
        remedy = "storage cannot shrink after creation: set it back to at least what it was"
    return Failed(f"Argo CD could not sync {ours[0]}: {failure}", remedy=remedy)


def _applied(target: Target[ProjectSpec], state: SyncState, tree: str) -> Decision:
    """Settle what is as the manifests say; the first time only when it was looked at after the apply."""
    others = [item for item in state.objects if item.kind != "StatefulSet"]
    if ill := [item for item in others if item.health == "Degraded"]:
        said = f": {ill[0].message}" if ill[0].message else ""
        return Failed(f"{ill[0]} is degraded{said}", remedy=_cure(ill[0]))
    if target.remembered.get("synced") == tree:
        return Settled({"synced": tree})
    if state.busy:
        return _wait("Argo CD's operation is not over yet", target)
    if unready := [item for item in others if item.health not in {"", "Healthy", "Suspended"}]:
        said = f" ({unready[0].message})" if unready[0].message else ""
        return _wait(f"{unready[0]} is {unready[0].health}{said}", target)
    return Settled({"synced": tree})


def _cure(ill: SeenObject) -> str:
    if ill.kind == "ExternalSecret":
        return "check the secret store and that its Vault path is there; it is tried again by itself"
    return f"look at `kubectl describe {ill.kind.lower()} {ill.name}`"


def _wait(
    reason: str, target: Target[ProjectSpec], again_in: timedelta = SOON, *, kept: Object | None = None
) -> Waiting:
    """Wait for Argo CD, keeping what was asked for already, and that only."""
    remembered = {key: value for key, value in target.remembered.items() if key in {"refreshed", "requested"}}
    return Waiting(reason, Awaits.SYNC, again_in=again_in, outputs={**remembered, **(kept or {})})


def _environment(slug: str) -> str:
    return f"env-{slug}"


def _short(revision: str) -> str:
    return revision[:10] or "no revision"
