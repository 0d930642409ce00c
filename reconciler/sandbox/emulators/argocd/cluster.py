"""The cluster behind Argo CD: what its API server refuses, and how Argo CD rates the health of what it holds.

A live object is a plain document `{key, group, version, kind, namespace, name, digest, manifest, uid,
createdAt, appliedAt, rolledOutAt}`; times are epoch seconds.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from reconciler.sandbox.emulators.argocd.kustomize import Manifest

Live = dict[str, Any]
Health = dict[str, str]

WORKLOADS = ("StatefulSet", "Deployment", "DaemonSet")
CHANGEABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_SUFFIXES = {
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
}


def refusal(manifest: Manifest, live: Live | None) -> str | None:
    """Return the API server's words when it would not accept the object, or None."""
    if message := _bad_labels(manifest):
        return message
    if live is None:
        return None
    before, after = _spec(live["manifest"]), _spec(manifest.document)
    judge = {
        "StatefulSet": _stateful_set_refusal,
        "PersistentVolumeClaim": _claim_refusal,
        "Service": _service_refusal,
        "Deployment": _deployment_refusal,
    }.get(manifest.kind)
    return judge(manifest.name, before, after) if judge else None


def stays(live: Live) -> bool:
    """Tell whether an object says of itself that it is not to be pruned."""
    metadata = live["manifest"].get("metadata") or {}
    options = str((metadata.get("annotations") or {}).get("argocd.argoproj.io/sync-options", ""))
    return "Prune=false" in [option.strip() for option in options.split(",")]


def applied(manifest: Manifest, live: Live | None, now: float) -> Live:
    """Return the object as it is after an accepted apply at that time."""
    rolled_out = live["rolledOutAt"] if live else now
    if live and _template(live["manifest"]) != _template(manifest.document):
        rolled_out = now
    return {
        "key": manifest.key,
        "group": manifest.group,
        "version": manifest.version,
        "kind": manifest.kind,
        "namespace": manifest.namespace,
        "name": manifest.name,
        "digest": manifest.digest,
        "manifest": dict(manifest.document),
        "uid": live["uid"] if live else str(uuid.uuid4()),
        "createdAt": live["createdAt"] if live else now,
        "appliedAt": now,
        "rolledOutAt": rolled_out,
        "healthBefore": "Healthy" if live else "Missing",
    }


def health(live: Live, now: float, build_seconds: float, fault: Mapping[str, Any] | None) -> Health | None:
    """Return the health that Argo CD would show, None for kinds that it does not rate.

    `fault` is what a test ordered for the object, or for the pod of a workload.
    """
    kind = live["kind"]
    if kind in WORKLOADS:
        return _workload_health(live, now, build_seconds, ill=fault is not None)
    if fault:
        return {"status": str(fault["status"]), "message": str(fault.get("message", ""))}
    if kind == "ExternalSecret":
        if now < live["createdAt"] + build_seconds / 5:
            return {"status": "Progressing", "message": "Waiting for ExternalSecret"}
        return {"status": "Healthy", "message": "secret synced"}
    return {"status": "Healthy"} if kind in {"PersistentVolumeClaim", "Service", "Ingress"} else None


def pod_health(workload: Live, now: float, build_seconds: float, fault: Mapping[str, Any] | None) -> Health:
    """Return the health of a workload's pod: Progressing until it is Ready."""
    if fault:
        return {"status": str(fault["status"]), "message": str(fault.get("message", ""))}
    if now < workload["rolledOutAt"] + build_seconds:
        return {"status": "Progressing"}
    return {"status": "Healthy"}


def _workload_health(live: Live, now: float, build_seconds: float, *, ill: bool) -> Health:
    none_wanted = _spec(live["manifest"]).get("replicas", 1) == 0
    if not none_wanted and (ill or now < live["rolledOutAt"] + build_seconds):
        return {"status": "Progressing", "message": "Waiting for 1 pods to be ready..."}
    return {"status": "Healthy", "message": "statefulset rolling update complete 1 pods at revision 1..."}


def _stateful_set_refusal(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    fixed = (set(before) | set(after)) - set(CHANGEABLE)
    if all(before.get(field) == after.get(field) for field in fixed):
        return None
    allowed = ", ".join(f"'{field}'" for field in CHANGEABLE[:-1])
    return (
        f'StatefulSet.apps "{name}" is invalid: spec: Forbidden: updates to statefulset spec for fields '
        f"other than {allowed} and '{CHANGEABLE[-1]}' are forbidden"
    )


def _claim_refusal(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    was, becomes = _storage(before), _storage(after)
    if {**before, "resources": None} != {**after, "resources": None}:
        return (
            f'PersistentVolumeClaim "{name}" is invalid: spec: Forbidden: spec is immutable after creation '
            "except resources.requests and volumeAttributesClassName for bound claims"
        )
    if becomes < was:
        return (
            f'PersistentVolumeClaim "{name}" is invalid: spec.resources.requests.storage: Forbidden: '
            "field can not be less than status.capacity"
        )
    return None


def _service_refusal(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    if (before.get("clusterIP") == "None") == (after.get("clusterIP") == "None"):
        return None
    value = after.get("clusterIP", "")
    why = f'spec.clusterIPs[0]: Invalid value: ["{value}"]: may not change once set'
    return f'Service "{name}" is invalid: {why}'


def _deployment_refusal(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    if before.get("selector") == after.get("selector"):
        return None
    return f'Deployment.apps "{name}" is invalid: spec.selector: Invalid value: field is immutable'


def _bad_labels(manifest: Manifest) -> str | None:
    labels = dict(manifest.document.get("metadata", {}).get("labels") or {})
    for value in labels.values():
        if not isinstance(value, str) or not _LABEL_VALUE.fullmatch(value):
            resource = f"{manifest.kind}.{manifest.group}" if manifest.group else manifest.kind
            where = f'{resource} "{manifest.name}" is invalid: metadata.labels'
            return (
                f'{where}: Invalid value: "{value}": a valid label must be an empty string or '
                "consist of alphanumeric characters, '-', '_' or '.'"
            )
    return None


def _spec(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return document.get("spec") or {}


def _template(document: Mapping[str, Any]) -> object:
    return _spec(document).get("template")


def _storage(spec: Mapping[str, Any]) -> Decimal:
    quantity = str(((spec.get("resources") or {}).get("requests") or {}).get("storage", "0"))
    for suffix, factor in _SUFFIXES.items():
        if quantity.endswith(suffix):
            return Decimal(quantity.removesuffix(suffix)) * factor
    return Decimal(quantity)
