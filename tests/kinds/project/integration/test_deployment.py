"""The reconciler's own deployment: it builds, Kubernetes' types accept it, and it fits program and image."""

from __future__ import annotations

import posixpath
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pytest

from docs.configuration import SECTIONS
from reconciler.crypto.sealing import generate_identity
from reconciler.engine.configuration import load_sections
from reconciler.git.build_check import Checker
from reconciler.git.locations import Location
from reconciler.git.repository import Repository
from tests.kinds.project.support.deployed import DEPLOY, ROOT, Document, built, load, one
from tests.support import crd
from tests.support.git_server import git

KUBERNETES = "1.37"
NAME = {"app.kubernetes.io/name": "onboarding-service"}
COMPONENTS = ("service-monitor", "dapr")
ESO = "ComGithubExternalSecretsExternalSecretsApisExternalsecretsV1"
OPERATOR = "ComGithubPrometheusOperatorPrometheusOperatorPkgApisMonitoringV1"
CUSTOM = {
    "ExternalSecret": (("@kubernetes-models/external-secrets", "2.0.0"), f"{ESO}ExternalSecret"),
    "ServiceMonitor": (("@kubernetes-models/prometheus-operator", "6.0.0"), f"{OPERATOR}ServiceMonitor"),
    "PrometheusRule": (("@kubernetes-models/prometheus-operator", "6.0.0"), f"{OPERATOR}PrometheusRule"),
}
# mesh-six's own base, as far as it concerns us: a namespace, labels that go into every selector, a patch.
MESH_SIX = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: mesh-six
resources: [onboarding-service]
commonLabels: {app.kubernetes.io/part-of: mesh-six}
patches:
  - target: {kind: Deployment}
    patch: |-
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: placeholder}
      spec: {template: {spec: {imagePullSecrets: [{name: gitea-registry-secret}]}}}
"""


@pytest.fixture(scope="module", params=[(), COMPONENTS], ids=["base", "components"])
def documents(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    """Built as `resources` and `components` of a kustomization that names the namespace."""
    folder = tmp_path_factory.mktemp("overlay")
    shutil.copytree(DEPLOY, folder / "deploy")
    lines = "\n".join(f"  - deploy/components/{name}" for name in request.param)
    overlay = f"namespace: mesh-six\nresources: [deploy]\ncomponents:\n{lines}\n"
    (folder / "kustomization.yaml").write_text(overlay)
    return built(folder)


@pytest.fixture(scope="module")
def pod() -> Document:
    spec: Document = one(built(), "Deployment")["spec"]["template"]["spec"]
    return spec


@pytest.fixture(scope="module")
def container(pod: Document) -> Document:
    (only,) = pod["containers"]
    assert isinstance(only, dict)
    return only


def test_every_document_is_of_a_type_that_is_accepted(documents: list[Document]) -> None:
    for document in documents:
        if document["kind"] in CUSTOM:
            assert crd.complaints(*CUSTOM[document["kind"]], [document]) == []
        else:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)
    kinds = {each["kind"] for each in documents}
    assert kinds >= {
        "Deployment",
        "Service",
        "ServiceAccount",
        "ConfigMap",
        "NetworkPolicy",
        "ExternalSecret",
    }


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("ExternalSecret", {"target": {"creationPolicy": "Own"}}),
        ("ServiceMonitor", {"endpoints": "http"}),
        ("PrometheusRule", {"groups": [{"rules": []}]}),
    ],
)
def test_the_schemas_would_complain(kind: str, spec: Document) -> None:
    assert crd.complaints(*CUSTOM[kind], [{"metadata": {"name": "x"}, "spec": spec}])


def test_it_is_all_in_one_namespace_and_nothing_is_there_twice(documents: list[Document]) -> None:
    ids = [(each["kind"], each["metadata"]["name"]) for each in documents]
    assert len(ids) == len(set(ids))
    assert {each["metadata"]["namespace"] for each in documents} == {"mesh-six"}
    assert not {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "Secret"} & {
        kind for kind, _ in ids
    }


def test_the_pod_is_of_the_restricted_level(pod: Document, container: Document) -> None:
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers", "ephemeralContainers"} & pod.keys()
    assert {next(key for key in volume if key != "name") for volume in pod["volumes"]} <= {
        "configMap", "emptyDir", "projected", "secret"
    }  # fmt: skip
    assert all("hostPort" not in port for port in container["ports"])
    about = pod["securityContext"]
    assert about["runAsNonRoot"] is True
    assert about["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"sysctls", "seLinuxOptions", "appArmorProfile", "windowsOptions"} & about.keys()
    assert container["securityContext"] == {
        "privileged": False,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_pod_has_no_kubernetes_token_but_one_for_vault(pod: Document) -> None:
    assert one(built(), "ServiceAccount")["automountServiceAccountToken"] is False
    assert pod["automountServiceAccountToken"] is False
    (source,) = next(each["projected"]["sources"] for each in pod["volumes"] if "projected" in each)
    assert source["serviceAccountToken"]["audience"] == "vault"


def test_the_image_is_the_one_of_this_version(pod: Document, container: Document) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert container["image"] == f"registry.invalid/mesh-six-onboarding-service:{version}"
    last_stage = (ROOT / "Dockerfile").read_text().rsplit("FROM ", 1)[1]
    user, group = re.findall(r"^USER (\d+):(\d+)$", last_stage, re.MULTILINE)[0]
    about = pod["securityContext"]
    assert (about["runAsUser"], about["runAsGroup"], about["fsGroup"]) == (int(user), int(group), int(group))
    (exposed,) = re.findall(r"^EXPOSE (\d+)$", last_stage, re.MULTILINE)
    assert [port["containerPort"] for port in container["ports"]] == [int(exposed)]
    assert f"CMD {container['args']}".replace("'", '"') in last_stage


def configuration() -> dict[str, dict[str, Any]]:
    (found,) = load((DEPLOY / "reconciler.yaml").read_text())
    return found


def test_the_configuration_names_what_the_manifests_have(pod: Document, container: Document) -> None:
    mounts = {each["mountPath"]: each for each in container["volumeMounts"]}
    writable = [path for path, mount in mounts.items() if not mount.get("readOnly")]
    assert configuration()["work"]["directory"] in writable
    assert "/tmp" in writable
    assert container["workingDir"] in mounts
    token = configuration()["vault"]["kubernetesTokenFile"]
    volume = mounts[posixpath.dirname(token)]["name"]
    (source,) = next(each for each in pod["volumes"] if each["name"] == volume)["projected"]["sources"]
    assert source["serviceAccountToken"]["path"] == posixpath.basename(token)
    assert configuration()["serve"]["port"] == container["ports"][0]["containerPort"]
    assert configuration()["serve"]["host"] == "0.0.0.0"  # noqa: S104 - a pod's address is not known before
    assert configuration()["serve"]["tokens"] == []


def test_the_program_starts_with_this_configuration(container: Document, tmp_path: Path) -> None:
    """With the ExternalSecret's keys as files every system is set up, but an issuer, and none is half."""
    secret = one(built(), "ExternalSecret")["spec"]
    for entry in secret["data"]:
        # a word that suits a header, a URL and an identity alike
        (tmp_path / entry["secretKey"]).write_text(generate_identity().get_secret_value() + "\n")
    mounted = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}["secrets"]
    environment = {
        each["name"]: each["value"].replace(mounted, str(tmp_path), 1) for each in container["env"]
    }
    assert sorted(Path(path).name for path in environment.values()) == sorted(
        entry["secretKey"] for entry in secret["data"]
    )
    sections = load_sections(DEPLOY / "reconciler.yaml", environment)
    for kind in SECTIONS:
        section = sections.get(kind)
        if kind.section == "oauth":
            assert section.missing()
        else:
            assert section.missing() is None, kind.section
            section.check()


def test_every_variable_is_one_that_the_program_knows(container: Document) -> None:
    fields = [field for section in SECTIONS for field in section.model_fields.values()]
    known = {str(name) for field in fields for name in getattr(field.validation_alias, "choices", ())}
    named = {each["name"] for each in container["env"]}
    assert all(name.endswith("_FILE") for name in named)
    assert {name.removesuffix("_FILE") for name in named} <= known


def test_requests_reach_the_pod(documents: list[Document]) -> None:
    deployment, service = one(documents, "Deployment"), one(documents, "Service")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}
    assert deployment["spec"]["selector"]["matchLabels"] == NAME
    assert service["spec"]["selector"].items() <= labels.items()
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    assert {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe")} == {
        "/healthz"
    }
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    policies = [each["spec"] for each in documents if each["kind"] == "NetworkPolicy"]
    assert all(policy["podSelector"]["matchLabels"].items() <= labels.items() for policy in policies)
    for monitor in (each for each in documents if each["kind"] == "ServiceMonitor"):
        assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        assert [(each["port"], each["path"]) for each in monitor["spec"]["endpoints"]] == [
            ("http", "/metrics")
        ]
        assert any(policy["ingress"][0]["ports"] == [{"port": "http"}] for policy in policies[1:])


def test_the_policy_lets_out_what_the_configuration_names() -> None:
    egress = one(built(), "NetworkPolicy")["spec"]["egress"]
    allowed = {port["port"] for rule in egress for port in rule["ports"]}
    named = [
        urlsplit(value).port
        for section in configuration().values()
        for value in section.values()
        if isinstance(value, str) and value.startswith("http")
    ]
    assert {port for port in named if port} <= allowed
    assert all(rule.get("to") for rule in egress)


def test_it_goes_into_the_tree_of_mesh_six(tmp_path: Path) -> None:
    base = tmp_path / "k8s" / "base"
    shutil.copytree(DEPLOY, base / "onboarding-service")
    (base / "kustomization.yaml").write_text(MESH_SIX)
    there = built(base)
    policy, alone = one(there, "NetworkPolicy")["spec"], one(built(), "NetworkPolicy")["spec"]
    # Its labels belong on our pods, and must not be asked of the pods that we speak with.
    assert (policy["ingress"], policy["egress"]) == (alone["ingress"], alone["egress"])
    deployment = one(there, "Deployment")["spec"]
    assert (
        deployment["selector"]["matchLabels"].items() <= deployment["template"]["metadata"]["labels"].items()
    )
    assert deployment["template"]["spec"]["imagePullSecrets"] == [{"name": "gitea-registry-secret"}]

    git(tmp_path, "init", "-q", "--initial-branch=main")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "base")
    fetched = Repository(Location(address=str(tmp_path), clones=tmp_path / "clones")).fetch()
    found = Checker().check(fetched.draft(), "k8s/base")
    assert (found.failure, found.remote) == ("", False), "our own look before a push must accept it as well"
