"""Whether a project's environment runs: its pod is Ready by Argo CD's resource tree.

The tree shows live objects. A pod counts only when its StatefulSet is Healthy too, since after a change the
pod of the old revision is still Ready for a while. Of git it knows how the build names what is deployed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, NoReturn

from reconciler.clients.argocd import ArgoCD
from reconciler.clients.argocd_answers import Node, sanitised
from reconciler.clients.health import probe
from reconciler.engine.contract import Resource, Target
from reconciler.engine.one_by_one import read_each
from reconciler.git.locations import ManifestRepositorySettings
from reconciler.git.manifest_tree import ManifestTree
from reconciler.kinds.project.manifests.pods import PodsSettings
from reconciler.kinds.project.resources.deployed_tree import DeployedTree
from reconciler.kinds.project.resources.sync_state import environment
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.kinds.project.waits import SYNC
from reconciler.model.decision import Change, Decision, Failed, Settled, Waiting
from reconciler.model.json import Object
from reconciler.model.observation import Absent, Known, Observation, Remembered, Seen, State
from reconciler.model.removal import OnRemove
from reconciler.settings.giving import Reading, Settings, Writing

SOON = timedelta(seconds=2)
BUILDING = timedelta(seconds=10)


class PodState(State):
    """The environment's pod: Argo CD's word for its health, and what explains it.

    `name`: its own where the build renames it; empty for `env-<slug>-0`. `workload`: the StatefulSet's
    health. `url_fault`: what is wrong with the health URL; empty when nothing is, or when it was not asked.
    """

    health: str
    name: str = ""
    message: str = ""
    reason: str = ""
    containers: str = ""
    workload: str = "Healthy"
    workload_message: str = ""
    url_fault: str = ""

    @property
    def words(self) -> str:
        """Say what Argo CD says of the pod."""
        facts = [self.reason, self.message] if self.reason not in {"", "Running"} else [self.message]
        return ": ".join(fact for fact in facts if fact)


class PodHealth(Resource[ProjectSpec, PodState]):
    """The readiness of one project's pod.

    It only reads: it never deletes, restarts or changes a pod.
    """

    name: ClassVar[str] = "pod-health"
    phase: ClassVar[str] = "dev_env"
    system: ClassVar[str] = "Argo CD"
    state: ClassVar[type[State]] = PodState
    needs: ClassVar[tuple[str, ...]] = ("sync",)
    provides: ClassVar[tuple[str, ...]] = ("pod",)
    audited: ClassVar[bool] = True
    """For the health URL, which is asked one by one. The pods themselves are read in every pass."""
    settings: ClassVar[tuple[type[Settings], ...]] = (PodsSettings, ManifestRepositorySettings)

    on_remove: ClassVar[tuple[OnRemove, ...]] = (OnRemove.KEEP,)

    def observe(
        self, targets: Sequence[Target[ProjectSpec]], read: Reading
    ) -> Mapping[str, Observation[PodState]]:
        """Read the resource tree once, and the health URL of those that are due."""
        argo = read.get(ArgoCD)
        pods, workloads = (argo.resource_tree().of_kind(kind) for kind in ("Pod", "StatefulSet"))
        base = self.sections.get(ManifestRepositorySettings).path
        tree = DeployedTree(argo.application(), read.get(ManifestTree), base)
        url = self.sections.get(PodsSettings).health_url
        seen: dict[str, Observation[PodState]] = {}
        asked: dict[str, PodState] = {}
        for target in targets:
            workload = tree.naming(target.slug).named(environment(target.slug))
            pod = pods.get(f"{workload}-0")
            state = _state(pod, workloads.get(workload), target.slug) if pod else None
            if state is None:
                seen[target.slug] = Absent()
            elif not target.verify:
                seen[target.slug] = Remembered(state, target.verified_at)
            elif url and state.health == "Healthy":
                asked[target.slug] = state
            else:
                seen[target.slug] = Known(state)

        def look(target: Target[ProjectSpec]) -> Known[PodState]:
            fault = probe((url or "").replace("{slug}", target.slug))
            return Known(asked[target.slug].model_copy(update={"url_fault": fault}))

        return seen | read_each([target for target in targets if target.slug in asked], read, look)

    def plan(
        self, target: Target[ProjectSpec], seen: Seen[PodState], outputs: Mapping[str, Object]
    ) -> Decision:
        """Say whether the pod is Ready, and how long its first build took."""
        if isinstance(seen, Absent):
            return _building(target, "its pod has not been made yet", SOON)
        state = seen.state
        pod = state.name or _pod(target.slug)
        if state.health == "Degraded":
            return Failed(
                f"the pod {pod} is degraded: {state.words or 'Argo CD does not say why'}",
                remedy=f"look at `kubectl logs {pod}`; once mended it is Ready by itself",
            )
        if state.health != "Healthy":
            said = f" ({state.words})" if state.words else ""
            return _building(target, f"the pod {pod} is being built{said}")
        if state.workload != "Healthy":
            said = f" ({state.workload_message})" if state.workload_message else ""
            return _building(target, f"the pod {pod} is being replaced{said}")
        if state.url_fault:
            return _building(target, f"the pod is Ready, but its health URL {state.url_fault}")
        return Settled(_outputs(target, pod))

    def apply(self, target: Target[ProjectSpec], change: Change, write: Writing) -> NoReturn:
        """Never called: there is nothing that this resource would change."""
        raise NotImplementedError(f"{self.name} only reads")


def _state(pod: Node, workload: Node | None, slug: str) -> PodState:
    return PodState(
        health=pod.health.status,
        name="" if pod.name == _pod(slug) else pod.name,
        message=sanitised(pod.health.message),
        reason=sanitised(pod.fact("Status Reason")),
        containers=pod.fact("Containers"),
        workload=workload.health.status if workload else "Missing",
        workload_message=sanitised(workload.health.message) if workload else "",
    )


def _building(target: Target[ProjectSpec], reason: str, again_in: timedelta = BUILDING) -> Waiting:
    """Wait; until it has been Ready once, remember since when."""
    kept = dict(target.remembered)
    if "pod" not in kept:
        kept.setdefault("buildingSince", target.now.isoformat())
    return Waiting(reason, SYNC, again_in=again_in, outputs=kept)


def _outputs(target: Target[ProjectSpec], pod: str) -> Object:
    """Return the pod's name, and the first build's duration in seconds if its beginning was seen."""
    found: dict[str, str | int] = {"pod": pod}
    since, seconds = target.remembered.get("buildingSince"), target.remembered.get("firstBuildSeconds")
    if isinstance(seconds, int):
        found["firstBuildSeconds"] = seconds
    elif "pod" not in target.remembered and isinstance(since, str) and (begun := _moment(since)):
        found["firstBuildSeconds"] = max(0, round((target.now - begun).total_seconds()))
    return found


def _moment(text: str) -> datetime | None:
    """Read our own time stamp back; people may have broken it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _pod(slug: str) -> str:
    return f"{environment(slug)}-0"
