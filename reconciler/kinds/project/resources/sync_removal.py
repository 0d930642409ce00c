"""How an environment leaves the cluster, once its manifests have left what Argo CD builds.

Argo CD prunes it by itself where it may; where it may not, it is asked to prune just these objects. Claims
are never among them: what is on the volumes is people's work, and their manifests forbid it as well.
"""

from __future__ import annotations

from datetime import timedelta

from reconciler.clients.argocd import ArgoCDWriter
from reconciler.clients.argocd_answers import ObjectStatus
from reconciler.engine.contract import Target
from reconciler.kinds.project.resources.sync_state import SyncState
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.kinds.project.waits import SYNC
from reconciler.model.decision import Action, Change, Decision, Needed, Settled, Waiting
from reconciler.model.json import Object

CLAIM = "PersistentVolumeClaim"
LEAVING, LOOKED, PRUNED = "leaving", "looked", "pruned"
"""What the status file remembers: what Argo CD was asked for last."""
SOON, LATER = timedelta(seconds=2), timedelta(seconds=30)


def plan(target: Target[ProjectSpec], state: SyncState, resource: str) -> Decision:
    """Follow the objects out of the cluster."""
    left = [item for item in state.objects if item.kind != CLAIM]
    if not left:
        claims = [item.name for item in state.objects if item.kind == CLAIM]
        return Settled(note=f"the volumes {', '.join(claims)} stay" if claims else "")
    if state.line:
        return _wait("its manifests are still in the tree", target)
    waiting = [item for item in left if item.prunable]
    if len(waiting) < len(left) or state.comparison_error:
        return _until_seen(target, state, resource)
    if state.busy or state.prunes:
        return _wait(
            "Argo CD is syncing" if state.busy else f"Argo CD has not pruned {waiting[0]} yet", target
        )
    if target.remembered.get(LEAVING) == PRUNED:
        return _wait(f"Argo CD was asked to prune {waiting[0]}, and has not", target, LATER)
    summary = f"have Argo CD prune {', '.join(map(str, waiting))}"
    before: Object = {"objects": [str(item) for item in waiting]}
    return Needed(Change(target.id, resource, Action.DELETE, summary, before, {LEAVING: PRUNED}))


def _until_seen(target: Target[ProjectSpec], state: SyncState, resource: str) -> Decision:
    """Ask Argo CD once to look; then wait for it."""
    if target.remembered.get(LEAVING) or state.comparison_error:
        return _wait("Argo CD has not looked at the commit that takes its manifests away yet", target)
    summary = "ask Argo CD to look at the commit that takes its manifests away"
    before: Object = {"revision": state.revision[:10]}
    return Needed(Change(target.id, resource, Action.UPDATE, summary, before, {LEAVING: LOOKED}))


def apply(
    target: Target[ProjectSpec], change: Change, argo: ArgoCDWriter, objects: list[ObjectStatus]
) -> Waiting:
    """Ask for a look, or for the pruning of what is not built any more, and no claim."""
    if change.after[LEAVING] == LOOKED:
        argo.refresh()
        return _wait("Argo CD was asked to look at the new commit", target, kept=change.after)
    wanted = [item for item in objects if item.requires_pruning and item.kind != CLAIM]
    if wanted and not argo.sync(wanted, prune=True):
        return _wait("another operation of Argo CD is in progress", target)
    return _wait("Argo CD was asked to prune its objects", target, kept=change.after)


def _wait(
    reason: str, target: Target[ProjectSpec], again_in: timedelta = SOON, *, kept: Object | None = None
) -> Waiting:
    leaving = target.remembered.get(LEAVING)
    remembered: Object = {LEAVING: leaving} if leaving else {}
    return Waiting(reason, SYNC, again_in=again_in, outputs={**remembered, **(kept or {})})
