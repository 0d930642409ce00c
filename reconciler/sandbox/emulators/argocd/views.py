"""The documents that Argo CD answers with, made from the controller's state. Times are whole seconds."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from reconciler.sandbox.emulators.argocd.cluster import WORKLOADS, Health, Live, health, pod_health
from reconciler.sandbox.emulators.argocd.controller import Controller

Document = dict[str, Any]

_WORST_FIRST = ("Unknown", "Degraded", "Missing", "Progressing", "Suspended", "Healthy")


def application(controller: Controller, now: float) -> Document:
    """Return the Application, as `GET /api/v1/applications/{name}` does."""
    setup, state = controller.setup, controller.state
    resources = _resources(controller, now)
    document: Document = {
        "metadata": {
            "name": setup.application,
            "namespace": "argocd",
            "uid": _uid(setup.application),
            "resourceVersion": str(int(now * 1000)),
            "generation": 1,
            "creationTimestamp": moment(state["createdAt"]),
        },
        "spec": _spec(controller),
        "status": {
            "resources": resources,
            "sync": _sync(controller),
            "health": {"status": _overall(controller, resources), "lastTransitionTime": moment(now)},
            "reconciledAt": moment(state["compared"]["reconciledAt"]),
            "sourceType": "Kustomize",
            "summary": {},
            "controllerNamespace": "argocd",
            "resourceHealthSource": "appTree",
        },
    }
    if error := state["compared"]["error"]:
        document["status"]["conditions"] = [_comparison_error(controller, error)]
    if operation := state["operation"]:
        if controller.in_flight:
            document["operation"] = _operation(operation)
        if operation["stage"] != "requested":
            document["status"]["operationState"] = _operation_state(controller, operation)
    return document


def resource_tree(controller: Controller, now: float) -> Document:
    """Return every object and what it owns, as `resource-tree` does."""
    nodes: list[Document] = []
    for live in controller.live.values():
        nodes.append(_node(live, _health(controller, live, now)))
        nodes += _owned(controller, live, now)
    return {"nodes": nodes, "hosts": []}


def moment(seconds: float) -> str:
    """Return epoch seconds as Kubernetes writes times."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _spec(controller: Controller) -> Document:
    setup = controller.setup
    automated = {"automated": {"prune": True, "selfHeal": True}} if controller.state["automated"] else {}
    return {
        "project": setup.project,
        **_of_sources(controller, "source", _source(controller), setup.beside),
        "destination": {"server": "https://kubernetes.default.svc", "namespace": setup.namespace},
        "syncPolicy": automated,
    }


def _source(controller: Controller) -> Document:
    setup = controller.setup
    source: Document = {
        "repoURL": setup.repository.resolve().as_uri(),
        "path": setup.path,
        "targetRevision": setup.branch,
    }
    if setup.name_prefix:
        source["kustomize"] = {"namePrefix": setup.name_prefix}
    return source


def _of_sources(controller: Controller, name: str, ours: object, theirs: Iterable[object]) -> Document:
    """Return a field that is one value for one source, and a list for several; ours is the last."""
    return {f"{name}s": [*theirs, ours]} if controller.setup.beside else {name: ours}


def _revision(controller: Controller, ours: str) -> Document:
    return _of_sources(controller, "revision", ours, ["1.2.3" for _ in controller.setup.beside])


def _sync(controller: Controller) -> Document:
    compared = controller.state["compared"]
    destination = _spec(controller)["destination"]
    return {
        "status": compared["status"],
        "comparedTo": {
            **_of_sources(controller, "source", _source(controller), controller.setup.beside),
            "destination": destination,
        },
        **_revision(controller, compared["revision"] or ""),
    }


def _comparison_error(controller: Controller, error: str) -> Document:
    message = (
        "Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: code = "
        "Unknown desc = Manifest generation error (cached): `kustomize build <path to cached source>/"
        f"{controller.setup.path}` failed exit status 1: Error: {error}"
    )
    since = controller.state["compared"]["since"]
    return {"type": "ComparisonError", "message": message, "lastTransitionTime": moment(since)}


def _operation(operation: Document) -> Document:
    sync: Document = {"revision": operation["revision"]}
    if operation["prune"]:
        sync["prune"] = True
    if operation["resources"] is not None:
        sync["resources"] = [_reference(key) for key in operation["resources"]]
    by = {"automated": True} if operation["automated"] else {"username": "admin"}
    return {"sync": sync, "initiatedBy": by, "retry": {"limit": 5} if operation["automated"] else {}}


def _operation_state(controller: Controller, operation: Document) -> Document:
    document: Document = {
        "operation": _operation(operation),
        "phase": "Terminating" if operation["stage"] == "terminating" else operation["phase"],
        "message": operation.get("message", "waiting for completion of tasks"),
        "startedAt": moment(operation["startedAt"]),
        "syncResult": {
            **_revision(controller, operation["revision"]),
            **_of_sources(controller, "source", _source(controller), controller.setup.beside),
            "resources": operation["results"],
        },
    }
    if "finishedAt" in operation:
        document["finishedAt"] = moment(operation["finishedAt"])
    return document


def _resources(controller: Controller, now: float) -> list[Document]:
    unknown = bool(controller.state["compared"]["error"])
    listed: list[Document] = []
    for key in sorted({*controller.target.objects, *controller.live}):
        live = controller.live.get(key)
        wanted = controller.target.objects.get(key)
        same = live is not None and live["digest"] == wanted
        entry: Document = {
            **_reference(key),
            "version": live["version"] if live else "v1",
            "status": "Unknown" if unknown else "Synced" if same else "OutOfSync",
        }
        rated = _health(controller, live, now) if live else {"status": "Missing"}
        if rated:
            entry["health"] = rated
        if wanted is None and not unknown:
            entry["requiresPruning"] = True
        listed.append(entry)
    return listed


def _reference(key: str) -> Document:
    group, kind, namespace, name = key.split("/")
    parts = {"group": group, "kind": kind, "namespace": namespace, "name": name}
    return {field: value for field, value in parts.items() if value}


def _overall(controller: Controller, resources: list[Document]) -> str:
    """Return the worst health; what the last operation has just made is not looked at before its time."""
    rated = {item["health"]["status"] for item in resources if "health" in item}
    if controller.stale_since is not None:
        rated.discard("Missing")
    return next((status for status in _WORST_FIRST if status in rated), "Healthy")


def _health(controller: Controller, live: Live, now: float) -> Health | None:
    stale = controller.stale_since
    seconds = controller.setup.build_seconds
    fault = controller.faults.get(f"{live['kind']}/{live['name']}")
    if live["kind"] in WORKLOADS:
        fault = fault or controller.faults.get(f"Pod/{_pod_name(live)}")
    rated = health(live, now, seconds, fault)
    if rated and stale is not None and live["appliedAt"] >= stale:
        return {"status": live["healthBefore"]}
    return rated


def _node(live: Live, rated: Health | None) -> Document:
    node: Document = {
        "version": live["version"],
        "kind": live["kind"],
        "namespace": live["namespace"],
        "name": live["name"],
        "uid": live["uid"],
        "resourceVersion": str(int(live["appliedAt"])),
        "createdAt": moment(live["createdAt"]),
    }
    if live["group"]:
        node["group"] = live["group"]
    if rated:
        node["health"] = rated
    return node


def _owned(controller: Controller, live: Live, now: float) -> Iterator[Document]:
    if live["kind"] == "StatefulSet":
        revision = f"{live['name']}-{_uid(live['uid'], live['rolledOutAt'])[:10].replace('-', '')}"
        yield _child(live, live, "apps", "ControllerRevision", revision)
        for claim in live["manifest"].get("spec", {}).get("volumeClaimTemplates") or []:
            yield _child(
                live, live, "", "PersistentVolumeClaim", f"{claim['metadata']['name']}-{_pod_name(live)}"
            )
        if pod := _pod(controller, live, live, now):
            yield pod
    elif live["kind"] == "Deployment":
        replica_set = _child(live, live, "apps", "ReplicaSet", f"{live['name']}-{live['uid'][:8]}")
        yield replica_set
        if pod := _pod(controller, live, replica_set, now):
            yield pod
    elif live["kind"] == "Service":
        yield _child(live, live, "discovery.k8s.io", "EndpointSlice", f"{live['name']}-{live['uid'][:5]}")
    elif live["kind"] == "ExternalSecret":
        yield _child(live, live, "", "Secret", live["name"])


def _pod(controller: Controller, live: Live, parent: Document, now: float) -> Document | None:
    """Return the workload's one pod. In the stale window it is still the old one, or not there at all."""
    if live["manifest"].get("spec", {}).get("replicas", 1) == 0:
        return None
    stale = controller.stale_since
    fault = controller.faults.get(f"Pod/{_pod_name(live)}")
    rated = pod_health(live, now, controller.setup.build_seconds, fault)
    if stale is not None and live["rolledOutAt"] >= stale:
        if live["healthBefore"] == "Missing":
            return None
        rated = {"status": "Healthy"}
    ready = rated["status"] == "Healthy"
    pod = _child(live, parent, "", "Pod", _pod_name(live))
    pod["uid"] = _uid(live["uid"], live["rolledOutAt"])
    pod["createdAt"] = moment(live["rolledOutAt"])
    pod["health"] = rated
    pod["info"] = [
        {"name": "Status Reason", "value": (fault or {}).get("reason", "Running")},
        {"name": "Node", "value": "node-1"},
        {"name": "Containers", "value": "1/1" if ready else "0/1"},
    ]
    return pod


def _child(live: Live, parent: Document, group: str, kind: str, name: str) -> Document:
    reference = {
        field: parent[field] for field in ("group", "kind", "namespace", "name", "uid") if parent.get(field)
    }
    node: Document = {
        "version": "v1",
        "kind": kind,
        "namespace": live["namespace"],
        "name": name,
        "parentRefs": [reference],
        "uid": _uid(live["uid"], kind, name),
        "resourceVersion": str(int(live["appliedAt"])),
        "createdAt": moment(live["createdAt"]),
    }
    return {"group": group, **node} if group else node


def _pod_name(live: Live) -> str:
    if live["kind"] == "StatefulSet":
        return f"{live['name']}-0"
    return f"{live['name']}-{live['uid'][:8]}-{live['uid'][-5:]}"


def _uid(*parts: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "/".join(map(str, parts))))
