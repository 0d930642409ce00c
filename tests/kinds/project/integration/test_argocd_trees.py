"""Argo CD may build an overlay, or one source of several: what that builds counts, or why it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from reconciler.kinds.project.resources.pod_health import PodHealth
from reconciler.kinds.project.resources.sync import Sync
from reconciler.model.decision import Failed, Settled, Waiting
from tests.kinds.project.support.argo_passes import Passes
from tests.support.argocd import Manifests, emulated

TREES: list[dict[str, Any]] = YAML(typ="safe").load(Path(__file__).parents[1] / "layouts" / "deployed.yaml")


@pytest.mark.parametrize("tree", TREES, ids=[tree["about"] for tree in TREES])
def test_a_project_goes_all_the_way_and_is_watched(tree: dict[str, Any], tmp_path: Path) -> None:
    manifests = Manifests(tmp_path / "manifests.git")
    manifests.commit(tree.get("files", {}), tree.get("links", {}))
    with emulated(manifests.path, **tree["application"]) as argo:
        passes = Passes(argo, manifests, tmp_path / "clones")
        manifests.add("acme-widgets")
        assert isinstance(passes.until_settled(Sync, "acme-widgets"), Settled)
        ready = passes.until_settled(PodHealth, "acme-widgets")
        assert isinstance(ready, Settled)
        name = f"{tree.get('prefix', '')}env-acme-widgets{tree.get('suffix', '')}"
        assert ready.outputs["pod"] == f"{name}-0"
        assert argo.writes == 1

        argo.order("fault", object=f"ExternalSecret/{name}", status="Degraded", message="no such path")
        degraded = passes.one(Sync, "acme-widgets")
        assert isinstance(degraded, Failed)
        assert f"ExternalSecret {name} is degraded: no such path" in degraded.reason
        argo.order("fault", object=f"Pod/{name}-0", status="Degraded", reason="CrashLoopBackOff")
        crashed = passes.one(PodHealth, "acme-widgets")
        assert isinstance(crashed, Failed)
        assert f"kubectl logs {name}-0" in crashed.remedy


def test_a_manual_application_over_an_overlay_is_asked_for_the_objects_by_their_names(tmp_path: Path) -> None:
    manifests = Manifests(tmp_path / "manifests.git")
    manifests.commit({"k8s/prod/kustomization.yaml": "namePrefix: prod-\nresources: [../base]\n"})
    with emulated(manifests.path, path="k8s/prod") as argo:
        argo.order("set", automated=False)
        passes = Passes(argo, manifests, tmp_path / "clones")
        manifests.add("acme-widgets", "acme-gadgets")
        assert isinstance(passes.until_settled(Sync, "acme-widgets"), Settled)
        assert argo.object("StatefulSet", "prod-env-acme-gadgets")["status"] == "OutOfSync"


@pytest.mark.parametrize(
    ("application", "words", "remedy"),
    [
        ({"path": "k8s/other"}, "builds k8s/other of file://", "list ../base"),
        (
            {"path": "k8s/other", "beside": [{"repoURL": "https://charts.example", "chart": "redis"}]},
            "builds k8s/other of file://",
            "list ../base",
        ),
        (
            {"path": "k8s/other", "beside": [{"repoURL": "https://git.example/x.git", "path": "x"}]},
            "none of its sources from k8s/base, but k8s/other, x",
            "add a source",
        ),
    ],
)
def test_an_application_that_does_not_include_the_base_is_told(
    application: dict[str, Any], words: str, remedy: str, tmp_path: Path
) -> None:
    manifests = Manifests(tmp_path / "manifests.git")
    other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n"
    kustomization = "resources: [other.yaml]\n"
    manifests.commit({"k8s/other/kustomization.yaml": kustomization, "k8s/other/other.yaml": other})
    with emulated(manifests.path, **application) as argo:
        manifests.add("acme-widgets")
        argo.wait(60.0)
        passes = Passes(argo, manifests, tmp_path / "clones")
        failed = passes.one(Sync, "acme-widgets")
        assert isinstance(failed, Failed)
        assert words in failed.reason
        assert remedy in failed.remedy


def test_an_application_of_another_branch_is_waited_for_in_so_many_words(tmp_path: Path) -> None:
    manifests = Manifests(tmp_path / "manifests.git")
    first = manifests.head
    manifests.branch("release", first)
    with emulated(manifests.path, branch="release") as argo:
        manifests.add("acme-widgets")
        passes = Passes(argo, manifests, tmp_path / "clones")
        waiting = passes.one(Sync, "acme-widgets")
        assert isinstance(waiting, Waiting)
        assert "follows release" in waiting.reason
        manifests.branch("release", manifests.head)
        argo.deploy()
        assert isinstance(passes.until_settled(Sync, "acme-widgets"), Settled)


def test_a_repository_of_somebody_else_is_named(tmp_path: Path) -> None:
    manifests = Manifests(tmp_path / "manifests.git")
    manifests.add("acme-widgets")
    other = Manifests(tmp_path / "other.git")
    other.commit({"README.md": "another"})
    with emulated(other.path) as argo:
        waiting = Passes(argo, manifests, tmp_path / "clones").one(Sync, "acme-widgets")
    assert isinstance(waiting, Waiting)
    assert "other.git, which the manifest repository does not have" in waiting.reason
