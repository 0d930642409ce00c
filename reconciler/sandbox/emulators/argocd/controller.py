"""Time as Argo CD's controller spends it, worked out when somebody asks.

    push ─► poll or refresh: the revision moves, OutOfSync ─► operation asked for ─► Running
         ─► objects applied ─► operation finished ─► compared again (reconciledAt) ─► pods Ready, once built

Between "applied" and "compared again" the answer is already Synced but its health is from before the apply:
that is the stale window, in which no health counts. Each arrow takes `pace` seconds, the build
`build_seconds`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from reconciler.sandbox.emulators.argocd.cluster import Live, applied, refusal, stays
from reconciler.sandbox.emulators.argocd.kustomize import BuildError, Kustomize, Manifest
from reconciler.sandbox.emulators.argocd.setup import Setup, Target, result
from reconciler.sandbox.emulators.store import Store

IN_FLIGHT = ("requested", "running", "applied", "terminating")
LONG_AGO = 30 * 86400.0


class Controller:
    """The application's life. Hold `lock` around `advance` and whatever is read after it."""

    def __init__(self, store: Store, setup: Setup, clock: Callable[[], float]) -> None:
        self.setup = setup
        self.lock = threading.RLock()
        self._store = store
        self._clock = clock
        self._git = Kustomize(setup.repository)
        self._render = lru_cache(maxsize=4)(self._build)
        self.live: dict[str, Live] = dict(store.items("argocd-live"))
        self.faults: dict[str, dict[str, Any]] = dict(store.items("argocd-faults"))
        self.target = Target(**(store.get("argocd", "target") or {}))
        kept = store.get("argocd", "state")
        self.state: dict[str, Any] = kept or {}
        self._observed_at = 0.0
        if kept is None:
            self._begin_life()

    @property
    def now(self) -> float:
        """Epoch seconds, with what tests skipped."""
        return self._clock() + float(self.state.get("skipped", 0.0))

    def advance(self) -> float:
        """Let everything happen that has fallen due; return the time."""
        now = self.now
        self._look_at_branch(now)
        while event := self._next_event(now):
            at, happen = event
            happen(at)
        self._observed_at = now
        return now

    def refresh(self) -> None:
        """Compare with the branch as it is now (`refresh=normal`, a webhook)."""
        now = self.advance()
        self._compare(now, self.state["head"]["sha"])
        self.save()

    def request(self, operation: dict[str, Any], at: float | None = None) -> None:
        """Ask for an operation, as `argo.SetAppOperation` does: the last operation's state is forgotten."""
        now = self.now if at is None else at
        self._look_at_health(now)
        self.state["operation"] = {
            "stage": "requested",
            "requestedAt": now,
            "at": now + self.setup.pace,
            "results": [],
            "content": None,
            **operation,
        }
        self.save()

    def terminate(self) -> bool:
        """End the running operation; False when none runs that could be ended."""
        operation = self.state["operation"]
        if not operation or operation["stage"] not in {"running", "applied"}:
            return False
        operation.update(stage="terminating", at=self.now + self.setup.pace / 2)
        self.save()
        return True

    def resolve(self, revision: str) -> str | None:
        """Return the commit that a revision names, or None."""
        return self._git.commit(revision)

    @property
    def in_flight(self) -> bool:
        """Whether an operation is asked for or running."""
        operation = self.state["operation"]
        return bool(operation and operation["stage"] in IN_FLIGHT)

    @property
    def stale_since(self) -> float | None:
        """The start of the operation whose effect on health has not been looked at yet, or None."""
        operation = self.state["operation"]
        if operation and (operation["stage"] in {"applied", "terminating"} or self.state["settleAt"]):
            return float(operation["startedAt"])
        return None

    def fault(self, name: str, fault: dict[str, Any] | None) -> None:
        """Make the named object ill (`Pod/env-x-0`), or well again with None."""
        if fault is None:
            self.faults.pop(name, None)
            self._store.delete("argocd-faults", name)
        else:
            self.faults[name] = fault
            self._store.put("argocd-faults", name, fault)

    def save(self) -> None:
        """Keep the state."""
        self._store.put("argocd", "state", self.state)

    # -- how it all began -------------------------------------------------------------------------

    def _begin_life(self) -> None:
        """Take over the branch as it is, as if it had been deployed long ago."""
        now = self._clock()
        sha = self._git.head(self.setup.branch)
        self.state = {
            "head": {"sha": sha, "at": now},
            "lastPoll": now,
            "operation": None,
            "settleAt": None,
            "errorSince": None,
            "tried": None,
            "paused": False,
            "automated": True,
            "deleted": False,
            "createdAt": now - LONG_AGO,
            "compared": {"revision": "", "status": "Unknown", "reconciledAt": now, "error": ""},
        }
        try:
            manifests = self._render(sha)
        except BuildError:
            self.state["errorSince"] = now - self.setup.grace_seconds - 1
        else:
            self._keep({key: applied(item, None, now - LONG_AGO) for key, item in manifests.items()}, [])
        self._compare(now, sha)
        self.save()

    def _build(self, revision: str | None) -> dict[str, Manifest]:
        if revision is None:
            raise BuildError(f"unable to resolve '{self.setup.branch}' to a commit SHA")
        setup = self.setup
        return self._git.build(revision, setup.path, setup.namespace, setup.name_prefix)

    # -- what happens when ------------------------------------------------------------------------

    def _look_at_branch(self, now: float) -> None:
        sha = self._git.head(self.setup.branch)
        if sha == self.state["head"]["sha"]:
            return
        moved = self._git.moved_at(self.setup.branch)
        at = now if moved is None else moved + float(self.state.get("skipped", 0.0))
        self.state["head"] = {"sha": sha, "at": min(now, max(at, self._observed_at))}
        self.save()

    def _next_event(self, now: float) -> tuple[float, Callable[[float], None]] | None:
        due: list[tuple[float, Callable[[float], None]]] = []
        operation = self.state["operation"]
        if operation and operation["stage"] in IN_FLIGHT:
            steps = {
                "requested": self._start,
                "running": self._apply,
                "applied": self._finish,
                "terminating": self._end_early,
            }
            due.append((operation["at"], steps[operation["stage"]]))
        if self.state["settleAt"] is not None:
            due.append((self.state["settleAt"], self._settle))
        if (poll := self._poll_due(now)) is not None:
            due.append((poll, self._poll))
        due = [event for event in due if event[0] <= now]
        return min(due, key=lambda event: event[0]) if due else None

    def _poll_due(self, now: float) -> float | None:
        every, last, head = self.setup.poll_seconds, float(self.state["lastPoll"]), self.state["head"]
        if self.state["paused"] or last + every > now:
            return None
        latest = last + every * math.floor((now - last) / every)
        if head["sha"] == self.state["tried"]:
            return latest
        first_with_it = last + every * max(1, math.ceil((float(head["at"]) - last) / every))
        return min(latest, first_with_it)

    def _poll(self, at: float) -> None:
        self.state["lastPoll"] = at
        head = self.state["head"]
        self._compare(at, head["sha"] if head["at"] <= at else self.state["tried"])
        self.save()

    def _compare(self, at: float, revision: str | None) -> None:
        """Compare as at a poll: resolve, build, set against the cluster, and sync by itself if that is on."""
        self._look_at_health(at)
        self.state["tried"] = revision
        if revision is None or revision != self.target.revision:
            try:
                manifests = self._render(revision)
            except BuildError as error:
                self._could_not_build(at, str(error))
                return
            self.target = Target(revision or "", {key: item.digest for key, item in manifests.items()})
            self._store.put("argocd", "target", vars(self.target))
        self.state["errorSince"] = None
        compared = {"revision": revision, "status": self._status(), "reconciledAt": at, "error": ""}
        self.state["compared"] = compared
        if compared["status"] == "OutOfSync" and self.state["automated"] and not self.in_flight:
            self._sync_by_itself(at)

    def _could_not_build(self, at: float, reason: str) -> None:
        """Overlook a first failure for the grace time; then the revision shown is the branch's name."""
        since = self.state["errorSince"]
        if since is None:
            self.state["errorSince"] = at
            return
        if at - since <= self.setup.grace_seconds:
            return
        self.state["compared"] = {
            "revision": self.setup.branch,
            "status": "Unknown",
            "reconciledAt": at,
            "error": reason,
            "since": since,
        }

    def _sync_by_itself(self, at: float) -> None:
        """Automated sync, which never tries the same content twice."""
        last = self.state["operation"]
        if last and last["content"] == self.target.content:
            return
        revision = self.target.revision
        self.request({"revision": revision, "automated": True, "prune": True, "resources": None}, at)

    def _start(self, at: float) -> None:
        self.state["operation"].update(
            stage="running", startedAt=at, at=at + self.setup.pace / 2, phase="Running"
        )
        self.save()

    def _apply(self, at: float) -> None:
        """Give the objects to the API server; one that it refuses does not stop the others."""
        operation = self.state["operation"]
        manifests = self._render(operation["revision"])
        changed: dict[str, Live] = {}
        for key, manifest in manifests.items():
            live = self.live.get(key)
            wanted = operation["resources"] is None or key in operation["resources"]
            if not wanted or (live and live["digest"] == manifest.digest):
                continue
            refused = refusal(manifest, live)
            operation["results"].append(result(manifest, refused, created=live is None))
            if refused is None and not operation.get("dryRun"):
                changed[key] = applied(manifest, live, at)
        gone = [
            key
            for key, live in self.live.items()
            if operation["prune"]
            and key not in manifests
            and (operation["resources"] is None or key in operation["resources"])
            and not stays(live)
        ]
        self._keep(changed, gone)
        if operation["resources"] is None:
            digests = {key: item.digest for key, item in manifests.items()}
            operation["content"] = Target("", digests).content
        operation.update(stage="applied", at=at + self.setup.pace / 2)
        if not self.state["compared"]["error"]:
            self.state["compared"]["status"] = self._status()
        self.save()

    def _finish(self, at: float) -> None:
        refused = [
            item["message"] for item in self.state["operation"]["results"] if item["status"] == "SyncFailed"
        ]
        message = "successfully synced (all tasks run)"
        if refused:
            message = f"one or more objects failed to apply, reason: {','.join(refused)}"
        self._end(at, "Failed" if refused else "Succeeded", message)

    def _end_early(self, at: float) -> None:
        self._end(at, "Failed", "Operation terminated")

    def _end(self, at: float, phase: str, message: str) -> None:
        self.state["operation"].update(stage="done", finishedAt=at, phase=phase, message=message)
        self.state["settleAt"] = at + self.setup.pace
        self.save()

    def _settle(self, at: float) -> None:
        self._compare(at, self.state["tried"])
        self.save()

    def _look_at_health(self, at: float) -> None:
        """End the stale window of a finished operation: the pods that it changed start to build."""
        if self.state["settleAt"] is None:
            return
        self.state["settleAt"] = None
        started = self.state["operation"]["startedAt"]
        changed = {
            key: {**live, "rolledOutAt": at}
            for key, live in self.live.items()
            if live["appliedAt"] >= started and live["rolledOutAt"] >= started
        }
        self._keep(changed, [])

    def _status(self) -> str:
        live = {key: item["digest"] for key, item in self.live.items()}
        return "Synced" if live == self.target.objects else "OutOfSync"

    def _keep(self, changed: dict[str, Live], gone: list[str]) -> None:
        self.live.update(changed)
        self._store.put_many("argocd-live", changed)
        for key in gone:
            del self.live[key]
            self._store.delete("argocd-live", key)
