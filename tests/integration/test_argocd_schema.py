"""Every shape of Application that the emulator shows is one that the CRD's schema admits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support import crd
from tests.support.argocd import Argo, Manifests, emulated, environment

SCHEMAS = ("@kubernetes-models/argo-cd", "4.0.0")
VALIDATOR = "ComGithubArgoprojArgoCdV3PkgApisApplicationV1alpha1Application"


def complaints(applications: list[dict[str, Any]]) -> list[Any]:
    """Return what the schema says against each application that it does not admit."""
    # the API server's JSON leaves these two out; the object in the cluster has them
    documents = [
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", **item} for item in applications
    ]
    return crd.complaints(SCHEMAS, VALIDATOR, documents)


def lives(argo: Argo, manifests: Manifests) -> list[dict[str, Any]]:
    """Return the application in every state that it can be in."""
    shown = [argo.application()]
    manifests.add("acme-widgets")
    shown.append(argo.refresh())
    for _ in range(30):
        argo.wait(0.5)
        shown.append(argo.application())
    manifests.write(environment("acme-widgets", storage="1Gi"), "acme-widgets")
    argo.deploy()
    shown.append(argo.application())
    shown.append(
        argo.sync(resources=[{"kind": "Service", "name": "env-acme-widgets", "namespace": "mesh-six"}]).json()
    )
    argo.wait(2.5)
    argo.http.delete("/api/v1/applications/mesh-six/operation", headers={"Content-Type": "application/json"})
    shown.append(argo.application())
    argo.order("set", automated=False)
    shown.append(argo.application())
    manifests.commit({"k8s/base/kustomization.yaml": "resources: [gone]\n"})
    argo.refresh()
    argo.wait(60.0)
    shown.append(argo.application())
    return shown


def test_applications_are_admitted_by_the_published_schema(tmp_path: Path) -> None:
    manifests = Manifests(tmp_path / "manifests.git")
    with emulated(manifests.path) as argo:
        shown = lives(argo, manifests)
    phases = {(item["status"].get("operationState") or {}).get("phase") for item in shown}
    assert {None, "Running", "Succeeded", "Failed", "Terminating"} <= phases
    assert {item["status"]["sync"]["status"] for item in shown} == {"Synced", "OutOfSync", "Unknown"}
    assert complaints(shown) == []


def test_the_schema_would_complain(tmp_path: Path) -> None:
    manifests = Manifests(tmp_path / "manifests.git")
    with emulated(manifests.path) as argo:
        document = argo.application()
    document["status"]["reconciledAt"] = 5
    assert complaints([document])
