"""The emulator builds what `kubectl kustomize` builds, and refuses what that refuses."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

import reconciler.sandbox
from reconciler.kinds.project.manifests.pods import PodsSettings
from reconciler.kinds.project.manifests.render import Inputs, render_environment
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.sandbox.emulators.argocd.kustomize import BuildError, Kustomize
from tests.support.argocd import BASE, Manifests
from tests.support.kubectl import kubectl, kustomize

FIXTURES = Path(reconciler.sandbox.__file__).parent / "fixtures" / "manifests"


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / "k8s" / "base"


def ours(files: dict[str, str], tmp_path: Path) -> set[tuple[str, str, str]]:
    manifests = Manifests(tmp_path / "manifests.git")
    revision = manifests.commit(files)
    built = Kustomize(manifests.path).build(revision, "k8s/base", "")
    return {(item.kind, item.namespace, item.name) for item in built.values()}


def theirs(files: dict[str, str], tmp_path: Path) -> set[tuple[str, str, str]]:
    documents = yaml.safe_load_all(kustomize(written(tmp_path / "tree", files)))
    return {
        (item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]) for item in documents
    }


def test_the_sandboxs_tree_with_an_environment_is_built_alike(tmp_path: Path) -> None:
    files = {
        str(path.relative_to(FIXTURES)): path.read_text(encoding="utf-8")
        for path in FIXTURES.rglob("*")
        if path.is_file()
    }
    spec = ProjectSpec.model_validate({"repoOwner": "acme", "repoName": "widgets"})
    inputs = Inputs(
        identity="7",
        branch="main",
        git_access="ssh-ed25519 AAAA",
        devcontainer=".devcontainer/devcontainer.json",
    )
    for name, content in render_environment(spec, "acme-widgets", PodsSettings.load({}, {}), inputs).items():
        files[f"k8s/base/envs/acme-widgets/{name}"] = content.decode()
    files["k8s/base/envs/kustomization.yaml"] = "resources: [acme-widgets]\n"
    files["k8s/all/kustomization.yaml"] = "resources: [../base, ../base/envs]\n"
    files["k8s/base/zz/kustomization.yaml"] = "resources: []\n"
    built = ours(files, tmp_path)
    assert built == theirs(files, tmp_path)
    manifests = Manifests(tmp_path / "again.git")
    both = Kustomize(manifests.path).build(manifests.commit(files), "k8s/all", "")
    assert {"StatefulSet", "Service", "PersistentVolumeClaim", "ExternalSecret"} <= {
        item.kind for item in both.values() if item.name.startswith("env-acme-widgets")
    }


COMPONENT = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: x}\n"


@pytest.mark.parametrize(
    "files",
    [
        {"k8s/base/orchestrator.yaml": SERVICE},
        {"k8s/base/orchestrator.yaml": f"---\n{SERVICE}---\n---\n{SERVICE.replace('x', 'y')}"},
        {"k8s/base/kustomization.yaml": BASE + "namePrefix: p-\nnameSuffix: -s\n"},
        {"k8s/base/kustomization.yaml": BASE + "  - sub\n", "k8s/base/sub/s.yaml": SERVICE,
         "k8s/base/sub/kustomization.yml": "resources: [s.yaml]\n"},
        {"k8s/base/kustomization.yaml": BASE + "  - ../other\n",
         "k8s/other/kustomization.yaml": "resources: [s.yaml]\n",
         "k8s/other/s.yaml": SERVICE.replace("{name: x}", "{name: x, namespace: elsewhere}")},
        {"k8s/base/kustomization.yaml": "resources: [orchestrator.yaml]\n"},
        {"k8s/base/kustomization.yaml": BASE + "patches: [{path: p.yaml, target: {kind: Deployment}}]\n",
         "k8s/base/p.yaml": "- {op: replace, path: /spec/replicas, value: 2}\n"},
        {"k8s/base/kustomization.yaml": "bases: [sub]\nnamePrefix: p-\n", "k8s/base/sub/s.yaml": SERVICE,
         "k8s/base/sub/kustomization.yml": "resources: [s.yaml]\nnameSuffix: -s\n"},
        {"k8s/base/kustomization.yaml": BASE + "components: [../one, ../two]\nnamePrefix: p-\n",
         "k8s/one/kustomization.yaml": COMPONENT + "namePrefix: one-\nresources: [s.yaml]\n",
         "k8s/one/s.yaml": SERVICE.replace("x", "y"),
         "k8s/two/kustomization.yaml": COMPONENT + "namePrefix: two-\n"},
        # what follows does not build
        {"k8s/base/kustomization.yaml": "resources: [gone]\n"},
        {"k8s/base/kustomization.yaml": "resources: [orchestrator.yaml\n"},
        {"k8s/base/kustomization.yaml": "resource: []\n"},
        {"k8s/base/kustomization.yaml": "resources: [gone]\nresources: [orchestrator.yaml]\n"},
        {"k8s/base/kustomization.yaml": "resources: [orchestrator.yaml]\nresources: [gone]\n"},
        {"k8s/base/orchestrator.yaml": f"{SERVICE}---\n{SERVICE}"},
        {"k8s/base/kustomization.yaml": "resources: [orchestrator.yaml, orchestrator.yaml]\n"},
        {"k8s/base/kustomization.yaml": "resources: [../base]\n"},
        {"k8s/base/kustomization.yaml": "resources: [../../README.md]\n", "README.md": SERVICE},
        {"k8s/base/kustomization.yaml": "resources: [empty]\n", "k8s/base/empty/x.yaml": SERVICE},
        {"k8s/base/orchestrator.yaml": SERVICE + "spec: {a: 1, a: 2}\n"},
        {"k8s/base/orchestrator.yaml": SERVICE + "x: &x {a: 1}\nspec: {<<: *x, a: 2}\n"},
        {"k8s/base/orchestrator.yaml": "apiVersion: v1\nmetadata: {name: x}\n"},
        {"k8s/base/orchestrator.yaml": "apiVersion: v1\nkind: Service\n"},
        {"k8s/base/orchestrator.yaml": "just text\n"},
        {"k8s/base/orchestrator.yaml": "a: 1\na: 2\n"},
        {"k8s/base/kustomization.yaml": "resources: orchestrator.yaml\n"},
        {"k8s/base/kustomization.yaml": BASE + "patches: [{path: gone.yaml}]\n"},
        {"k8s/base/kustomization.yaml": "[]\n"},
        {"k8s/base/kustomization.yaml": ""},
    ],
)  # fmt: skip
def test_both_build_or_both_refuse(files: dict[str, str], tmp_path: Path) -> None:
    whole = {"k8s/base/kustomization.yaml": BASE, "k8s/base/orchestrator.yaml": SERVICE, **files}
    base = written(tmp_path / "tree", whole)
    done = subprocess.run([kubectl(), "kustomize", str(base)], capture_output=True, check=False, timeout=60)
    try:
        built = ours(whole, tmp_path)
    except BuildError:
        assert done.returncode != 0
    else:
        assert done.returncode == 0, done.stderr
        assert built == theirs(whole, tmp_path)
