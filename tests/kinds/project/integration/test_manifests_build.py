"""The manifests build with kustomize, in a tree as people keep it, and Kubernetes' own types accept them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from reconciler.kinds.project.manifests.pods import PodsSettings
from reconciler.kinds.project.manifests.render import Inputs, render_environment
from reconciler.kinds.project.spec import ProjectSpec
from tests.support.kubectl import kustomize

KUBERNETES = "1.37"
BASE = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: mesh-six
resources:
  - namespace.yaml
{lines}
commonLabels:   # deprecated, and in use all the same
  app.kubernetes.io/part-of: mesh-six
"""
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: mesh-six}\n"
NAME = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
# What the CustomResourceDefinition of external-secrets.io/v1 asks of the fields that we use.
STORE_KINDS = {"SecretStore", "ClusterSecretStore"}
POLICIES = {"Owner", "Merge", "Orphan", "None"}
KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")

ENVIRONMENTS: dict[str, tuple[dict[str, Any], Inputs]] = {
    "two-lines": (
        {},
        Inputs(
            identity="7",
            branch="main",
            git_access="ssh-ed25519 AAAA",
            llm_key="1 of 2026",
        ),
    ),
    "gateway": (
        {"skipAuth": True, "litellm": {"defaultModel": 'a "model": {{ x }}', "maxBudget": 1.0}},
        Inputs(
            identity="7",
            branch="main",
            git_access="ssh-ed25519 AAAA",
            llm_key="1 of 2026",
            storage_class="fast",
        ),
    ),
    "bare": ({"skipAuth": True, "skipLiteLLM": True}, Inputs(identity="7", branch="x/$(HOME)'\"#")),
    "hostile": (
        {
            "displayName": "{{ 7 }}: - 'é' \"😀\" # & *a",
            "resourceLimits": {"cpuRequest": "0.5", "cpuLimit": "1500m"},
        },
        Inputs(
            identity="7",
            branch="main",
            git_access="ssh-ed25519 AAAA",
            devcontainer=".devcontainer/a b/devcontainer.json",
        ),
    ),
    "a" * 48: (
        {},
        Inputs(identity="7", branch="main", git_access="ssh-ed25519 AAAA"),
    ),
}


@pytest.fixture(scope="module", params=["plain", "everything"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    extra = {
        "extraSecrets": "mesh-six/pods/{slug}",
        "namespace": "mesh-six",
        "allowPrivilegeEscalation": True,
    }
    pods = PodsSettings.load(extra if request.param == "everything" else {}, {})
    base = tmp_path_factory.mktemp("tree") / "k8s" / "base"
    for slug, (fields, inputs) in ENVIRONMENTS.items():
        spec = ProjectSpec.model_validate({"repoOwner": "Acme", "repoName": "Widgets.js", **fields})
        write(base / "envs" / slug, render_environment(spec, slug, pods, inputs))
    lines = "\n".join(f"  - envs/{slug}" for slug in ENVIRONMENTS)
    write(
        base, {"kustomization.yaml": BASE.format(lines=lines).encode(), "namespace.yaml": NAMESPACE.encode()}
    )
    return list(YAML(typ="safe", pure=True).load_all(kustomize(base)))


def write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def test_every_document_is_of_a_type_that_kubernetes_accepts(built: list[dict[str, Any]]) -> None:
    core = [each for each in built if each["kind"] not in {"ExternalSecret", "Configuration"}]
    assert len(core) >= 5 * len(ENVIRONMENTS)
    for document in core:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_every_external_secret_fits_its_definition(built: list[dict[str, Any]]) -> None:
    found = [each for each in built if each["kind"] == "ExternalSecret"]
    assert found
    for document in found:
        assert document["apiVersion"] == "external-secrets.io/v1"
        spec = document["spec"]
        assert set(spec) <= {"refreshInterval", "secretStoreRef", "target", "data", "dataFrom"}
        assert spec["secretStoreRef"]["kind"] in STORE_KINDS
        assert spec["target"]["creationPolicy"] in POLICIES
        assert spec.get("data") or spec.get("dataFrom")
        for entry in spec.get("data", []):
            assert KEY.fullmatch(entry["secretKey"])
            assert set(entry["remoteRef"]) == {"key", "property"}
            # The mount, and what the API has before a path: both kinds of stores take it so.
            assert entry["remoteRef"]["key"].startswith("secret/data/mesh-six/")


def test_names_and_labels_are_within_every_limit(built: list[dict[str, Any]]) -> None:
    for document in built:
        metadata = document["metadata"]
        assert NAME.fullmatch(metadata["name"])
        assert len(metadata["name"]) <= {"StatefulSet": 52, "Service": 63}.get(document["kind"], 253)
        template = document.get("spec", {}).get("template", {}).get("metadata", {})
        for labels in (metadata.get("labels", {}), template.get("labels", {})):
            assert all(len(value) <= 63 and LABEL.fullmatch(value) for value in labels.values())


def test_ids_are_unique_and_what_a_pod_names_is_there(built: list[dict[str, Any]]) -> None:
    ids = [(each["kind"], each["metadata"]["name"]) for each in built]
    assert len(ids) == len(set(ids))
    made_secrets = {
        each["spec"]["target"]["name"]
        for each in built
        if each["kind"] == "ExternalSecret" and each["spec"]["target"]["creationPolicy"] == "Owner"
    }
    for document in built:
        if document["kind"] != "StatefulSet":
            continue
        assert ("Service", document["spec"]["serviceName"]) in ids
        pod = document["spec"]["template"]["spec"]
        assert ("ServiceAccount", pod["serviceAccountName"]) in ids
        assert secrets_of(pod) <= made_secrets
        for volume in pod["volumes"]:
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in ids
            for source in volume.get("projected", {}).get("sources", []):
                if "configMap" in source:
                    assert ("ConfigMap", source["configMap"]["name"]) in ids


def secrets_of(pod: dict[str, Any]) -> set[str]:
    container = pod["containers"][0]
    named = [each["valueFrom"]["secretKeyRef"]["name"] for each in container["env"] if "valueFrom" in each]
    named += [each["secretRef"]["name"] for each in container.get("envFrom", [])]
    for volume in pod["volumes"]:
        sources = volume.get("projected", {}).get("sources", [])
        named += [source["secret"]["name"] for source in sources if "secret" in source]
    return set(named)


def test_selectors_match_what_they_select(built: list[dict[str, Any]]) -> None:
    for document in built:
        if document["kind"] == "StatefulSet":
            labels = document["spec"]["template"]["metadata"]["labels"]
            assert document["spec"]["selector"]["matchLabels"].items() <= labels.items()
            (service,) = (
                each
                for each in built
                if each["kind"] == "Service" and each["metadata"]["name"] == document["spec"]["serviceName"]
            )
            assert service["spec"]["selector"].items() <= labels.items()
            assert service["spec"]["clusterIP"] == "None"


def test_a_policy_selects_its_pod_and_its_peers_are_nobody_elses_labels(built: list[dict[str, Any]]) -> None:
    policies = {each["metadata"]["name"]: each for each in built if each["kind"] == "NetworkPolicy"}
    pods = {each["metadata"]["name"]: each for each in built if each["kind"] == "StatefulSet"}
    assert policies.keys() == pods.keys()
    for name, policy in policies.items():
        labels = pods[name]["spec"]["template"]["metadata"]["labels"]
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
        assert labels["app"] == name
        # `commonLabels` above would add its own to a peer's matchLabels, which no pod of another system has.
        assert "matchLabels" not in str(policy["spec"]["egress"]) + str(policy["spec"].get("ingress"))


def test_pods_have_no_more_rights_than_they_need(built: list[dict[str, Any]]) -> None:
    # Added capabilities that Kubernetes' "baseline" pod security level admits.
    baseline = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETFCAP", "SETGID", "SETUID"}
    for document in built:
        if document["kind"] == "StatefulSet":
            pod = document["spec"]["template"]["spec"]
            security = pod["containers"][0]["securityContext"]
            assert pod["automountServiceAccountToken"] is False
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert security["privileged"] is False
            assert security["capabilities"]["drop"] == ["ALL"]
            assert set(security["capabilities"]["add"]) <= baseline
            assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
