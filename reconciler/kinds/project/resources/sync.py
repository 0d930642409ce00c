"""Whether Argo CD has brought a project's manifests into the cluster.

Decides by content, not by commit: `envs/<slug>` and its kustomization line at the revision that Argo CD
reports equal the desired ones. So a commit of somebody else neither satisfies nor unsettles a project. Knows
nothing of what the manifests say, and leaves the pod's health to `pod-health`. Why nothing less will do is in
docs/systems/argocd.md, "When a commit is deployed".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import ClassVar

from reconciler.clients.argocd import ArgoCD, ArgoCDWriter
from reconciler.clients.argocd_answers import FAILED
from reconciler.engine.contract import Resource, Target
from reconciler.git.locations import ManifestRepositorySettings
from reconciler.git.manifest_tree import ManifestTree
from reconciler.kinds.project.resources import sync_removal
from reconciler.kinds.project.resources.sync_state import (
    DeploymentView,
    SeenObject,
    SyncState,
    environment,
)
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.kinds.project.waits import SYNC
from reconciler.model.decision import (
    Action,
    Applied,
    Change,
    Decision,
    Failed,
    Needed,
    Settled,
    Waiting,
)
from reconciler.model.json import Later, Object
from reconciler.model.observation import Known, Observation, Seen, State
from reconciler.model.removal import OnRemove
from reconciler.settings.giving import Reading, Settings, Writing

SOON = timedelta(seconds=2)
LATER = timedelta(seconds=30)
MAKE_BUILDABLE = "make `kubectl kustomize` of the manifests build again; until then nothing can be deployed"


class Sync(Resource[ProjectSpec, SyncState]):
    """The deployment of one project's manifests by Argo CD.

    It never names a revision, never terminates an operation, and never syncs objects of others. It has
    objects pruned only of a project whose file is gone, and never a claim.
    """

    name: ClassVar[str] = "sync"
    phase: ClassVar[str] = "dev_env"
    system: ClassVar[str] = "Argo CD"
    state: ClassVar[type[State]] = SyncState
    needs: ClassVar[tuple[str, ...]] = ("manifests",)
    settings: ClassVar[tuple[type[Settings], ...]] = (ManifestRepositorySettings,)
    on_remove: ClassVar[tuple[OnRemove, ...]] = (OnRemove.DELETE, OnRemove.KEEP)

    def observe(
        self, targets: Sequence[Target[ProjectSpec]], read: Reading
    ) -> Mapping[str, Observation[SyncState]]:
        """Read the application once, and git for each project."""
        application = read.get(ArgoCD).application()
        manifests = read.get(ManifestTree)
        view = DeploymentView(application, manifests, self.sections.get(ManifestRepositorySettings).path)
        return {
            target.slug: Known(view.left_of(target.slug) if target.leaving else view.of(target.slug))
            for target in targets
        }

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
            return _elsewhere(target, state)
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
        path = self.sections.get(ManifestRepositorySettings).path
        view = DeploymentView(argo.application(), write.get(ManifestTree), path)
        wanted = [item for item in view.objects(target.slug) if item.status != "Synced"]
        if wanted and not argo.sync(wanted):
            return _wait("another operation of Argo CD is in progress", target)
        return _wait("Argo CD was asked to sync its objects", target, kept=change.after)

    def plan_removal(self, target: Target[ProjectSpec], seen: Seen[SyncState], wish: OnRemove) -> Decision:
        """Have nothing of it in the cluster but its volumes, from the beginning: its pod is to stop."""
        assert isinstance(seen, Known)  # noqa: S101 - observe gives nothing else
        return sync_removal.plan(target, seen.state, self.name)

    def apply_removal(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Ask for a comparison or for the pruning of its objects."""
        argo = write.get(ArgoCDWriter)
        path = self.sections.get(ManifestRepositorySettings).path
        view = DeploymentView(argo.application(), write.get(ManifestTree), path)
        return sync_removal.apply(target, change, argo, view.left(target.slug))


def _not_compared(target: Target[ProjectSpec], state: SyncState, tree: str) -> Decision:
    """Say that Argo CD could not build the whole tree. What was deployed before stays deployed."""
    if target.remembered.get("synced") == tree:
        return Settled({"synced": tree}, note="Argo CD cannot compare at the moment; the environment stays")
    reason = f"Argo CD cannot build the manifests: {state.comparison_error}"
    if "Unavailable" in reason or "DeadlineExceeded" in reason:
        return _wait(reason, target, LATER)
    return Failed(reason, remedy=MAKE_BUILDABLE)


def _elsewhere(target: Target[ProjectSpec], state: SyncState) -> Decision:
    """Say where Argo CD is, if not in our repository."""
    if state.astray:
        return Failed(state.astray, remedy=state.astray_remedy)
    whose = f" of {state.repository}" if state.repository else ""
    reason = f"Argo CD is at {_short(state.revision)}{whose}, which the manifest repository does not have"
    return _wait(reason, target, LATER)


def _behind(target: Target[ProjectSpec], state: SyncState, tree: str) -> Decision:
    """Ask Argo CD once to look, since it has not seen the content; then wait for its poll.

    Where it follows something else than our branch, or builds something else, no look would help.
    """
    if state.astray:
        return Failed(state.astray, remedy=state.astray_remedy)
    if state.follows:
        return _wait(
            f"Argo CD follows {state.follows}, which does not have its manifests yet; bring the branch that "
            "they are pushed to there, or set the application's targetRevision to it",
            target,
            LATER,
        )
    if target.remembered.get("refreshed") != tree:
        change = Change(
            target.id,
            Sync.name,
            Action.UPDATE,
            "ask Argo CD to look at the new commit",
            before={"revision": _short(state.revision)},
            after={"refreshed": tree},
        )
        return Needed(change)
    return _wait("Argo CD has not looked at the commit that has its manifests yet", target, SOON)


def _not_applied(target: Target[ProjectSpec], state: SyncState, tree: str) -> Decision:
    """Follow an operation, or ask for one where Argo CD does not sync by itself."""
    if state.operation_phase in FAILED and state.operation_folder == tree:
        return _failed(target, state)
    if state.busy:
        return _wait("Argo CD is syncing", target)
    what = (
        ", ".join(map(str, state.lagging[:3])) or f"StatefulSet {state.workload or environment(target.slug)}"
    )
    drifted = target.remembered.get("synced") == tree
    about_to = state.automated and not drifted and state.operation_revision != state.revision
    if about_to or not state.objects:
        return _wait(f"Argo CD has not synced {what} yet", target)
    if target.remembered.get("requested") != tree:
        change = Change(
            target.id,
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
            f"{state.workload or environment(target.slug)} with --cascade=orphan and let Argo CD make it anew"
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
    return Waiting(reason, SYNC, again_in=again_in, outputs={**remembered, **(kept or {})})


def _short(revision: str) -> str:
    return revision[:10] or "no revision"
