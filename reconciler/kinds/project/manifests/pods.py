"""Settings of the environments' pods: section `pods` of reconciler.yaml. Nothing here is secret."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from reconciler.settings.giving import Settings


def _pinned(value: str) -> str:
    name, _, digest = value.partition("@")
    tag = name.rsplit("/", 1)[-1].partition(":")[2]
    if re.search(r"\s", value) or name != name.lower():
        raise ValueError("not an image: lower case, no spaces")
    if tag == "latest" or not (tag or digest):
        raise ValueError('must be pinned: name a version ("name:1.3.0") or a digest ("name:1.3.0@sha256:…")')
    return value


def _lower_case(value: str) -> str:
    if value != value.lower() or not re.fullmatch(r"[a-z0-9.:/_-]*[a-z0-9]", value):
        raise ValueError("must be a registry path in lower case, without a slash at its end")
    return value


def _network(value: str) -> str:
    return str(ip_network(value))


Network = Annotated[str, AfterValidator(_network)]
Image = Annotated[str, AfterValidator(_pinned)]
KubernetesName = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$")]
Feature = Annotated[str, Field(pattern=r"^[^\s:@]+(?::[0-9]+)?/[^\s:@]+(?::[^\s:@]+)?(?:@[^\s@]+)?$")]
Duration = Annotated[str, Field(pattern=r"^(?:[0-9]+(?:s|m|h))+$")]
Url = Annotated[str, Field(pattern=r"^https?://[^\s]+$")]

GITHUB_HOST_KEYS = (  # as published at GET /meta, without the RSA key that nothing here needs
    "github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
    (
        "github.com ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOm"
        "xkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg="
    ),
)


class PodsSettings(Settings):
    """What every environment has in common. Registries and the gateway are the operator's: no default."""

    section: ClassVar[str] = "pods"

    namespace: KubernetesName | None = None
    """The namespace written into the manifests; by default none, so that Argo CD decides."""
    envbuilder_image: Image = "ghcr.io/coder/envbuilder:1.3.0"
    """The image that builds and becomes the environment; a version or a digest, never `latest`."""
    devcontainer_image: Image = "mcr.microsoft.com/devcontainers/base:3.0.8-noble"
    """The image of the default dev container file."""
    node_feature: Feature | None = "ghcr.io/devcontainers/features/node:1.7.1"
    """The dev container feature that installs Node; null when the image brings it."""
    node_version: str = "22"
    """The version that it installs."""
    feature_reference: Feature | None = None
    """The feature with mesh-six's tools, as you published it (docs/pods.md), like
    `registry.example/mesh-six/mesh-six-tools:2`; must sort after `nodeFeature`. Without it no environment is
    made."""
    user: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")] = "vscode"
    """The user in the image whom sessions run as."""
    uid: Annotated[int, Field(ge=1, le=2**31 - 1)] = 1000
    """That user's number; volumes belong to the group of the same number."""
    cache_repository: Annotated[str, AfterValidator(_lower_case)] | None = None
    """Where built layers are kept, below it `/<owner>/<repo>`; without it every start builds all of them."""
    image_pull_secrets: tuple[KubernetesName, ...] = ()
    """Secrets of the namespace with which the node pulls `envbuilderImage`."""
    git_host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+$")] = "github.com"
    """The host that environments clone from."""
    known_hosts: tuple[Annotated[str, Field(pattern=r"^[^\s]+ [^\s]+ [^\s]+$")], ...] = GITHUB_HOST_KEYS
    """That host's public keys, as lines of a known_hosts file; by default GitHub's published ones."""
    secret_store: KubernetesName = "vault-backend"  # noqa: S105 - the store's name
    """The External Secrets store that reads Vault."""
    secret_store_kind: Literal["ClusterSecretStore", "SecretStore"] = "ClusterSecretStore"  # noqa: S105 - a kind
    """Its kind."""
    refresh_interval: Duration = "1h"
    """How often External Secrets reads Vault again."""
    extra_secrets: Annotated[str, Field(pattern=r"^[A-Za-z0-9{}._/-]+$")] | None = None
    """A path in `vault.mount` whose keys become environment variables of the pod; `{slug}` stands for the
    project's slug. The only way for anything beyond a project's own secrets to reach a pod. A registry that
    wants a login for the cache gets it there, as ENVBUILDER_DOCKER_CONFIG_BASE64."""
    storage_class: KubernetesName | None = None
    """The storage class of new volumes; by default the cluster's."""
    dapr: bool = True
    """Whether pods get a Dapr sidecar."""
    dapr_app_port: Annotated[int, Field(ge=1, le=65535)] | None = 3000
    """The entrypoint listens there; the sidecar, and so the pod, is not ready before it does."""
    dapr_configuration: KubernetesName | None = None
    """A Dapr Configuration of yours for the sidecars; by default each environment has one that closes them:
    nobody is let in, and sessions may use nothing of Dapr (docs/pods.md)."""
    networks: tuple[Network, ...] = ()
    """Private networks (`10.0.0.0/8`) that environments may reach besides the internet: those of your
    registry, git host or gateway."""
    auth_service_url: Url = "http://auth-service"
    """Where pods reach the auth-service."""
    auth_audience: Annotated[str, Field(min_length=1)] = "auth-service"
    """The audience of the token that a pod shows there."""
    gateway_url: Url | None = None
    """Where pods of projects with `skipAuth` reach the LLM gateway; needed where a project has that."""
    startup_minutes: Annotated[int, Field(ge=1, le=240)] = 60
    """How long the first build may take."""
    allow_privilege_escalation: bool = False
    """Whether `sudo` works in the pod."""
    health_url: Url | None = None
    """Asked before a pod counts as healthy; `{slug}` stands for the project's slug. Any answer
    below 400 will do."""

    def missing(self) -> str | None:
        """Off without the feature, without which a pod has no entrypoint."""
        return None if self.feature_reference else "pods.featureReference"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """Refuse a default dev container that cannot be built, and a host whose key nobody can check."""
        if self.node_feature and self.feature_reference and self.node_feature >= self.feature_reference:
            raise ValueError(
                f"featureReference {self.feature_reference} would be installed before nodeFeature, which it "
                "needs: envbuilder goes by the references' letters; mirror nodeFeature to a host "
                "that sorts first, or set it to null and name a devcontainerImage with Node"
            )
        if not any(line.split()[0] == self.git_host for line in self.known_hosts):
            raise ValueError(
                f"knownHosts has no key of gitHost {self.git_host}; add what `ssh-keyscan {self.git_host}` "
                "prints, after comparing its fingerprint"
            )
        return self
