"""Renders an environment's manifests from `templates/env`; the only importer of jinja2.

Pure and deterministic: the same project and settings give the same bytes. Whatever a template prints becomes
a quoted YAML scalar, so that no value can be read as YAML, whoever wrote it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Undefined
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from reconciler.kinds.project.manifests.pods import PodsSettings
from reconciler.kinds.project.spec import KIND, ProjectSpec
from reconciler.kinds.project.vault_paths import ENVIRONMENTS, for_external_secrets
from reconciler.settings.shipped import shipped

KUSTOMIZATION = "kustomization.yaml"
CLAIMS = "pvc.yaml"
CLAIM_USES = ("worktrees", "claude")
_DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_RETIRED = frozenset({"webhook-secret.yaml"})
"""Files of earlier versions: ours to remove."""
_as_json = json.JSONEncoder(ensure_ascii=False).encode
_MARK = re.compile(r"""(?m)^\s+mesh-six\.bto\.bar/(managed-by|slug|identity):\s*["']?([a-z0-9-]+)["']?\s*$""")


class Inputs(BaseModel):
    """What an environment's manifests depend on beside the project file and the settings.

    `repository`: its name in GitHub's letter case. `git_access`, `llm_key`: a public text
    that changes whenever the secret in Vault does (a version, a public key); None: the project has none.
    `devcontainer`: path of the repository's dev container file; None lets envbuilder look for it.
    `storage_class`: None is the cluster's. `vault_mount`: where Vault has the secrets. `identity`: the
    repository's number. `older_claims`: the volume claims have the names that such claims had before those
    held the identity. `prefix`, `suffix`: what the build puts around the names of objects.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    branch: str
    identity: str
    repository: str = ""
    git_access: str | None = None
    llm_key: str | None = None
    devcontainer: str | None = None
    storage_class: str | None = None
    vault_mount: str = "secret"
    prefix: str = ""
    suffix: str = ""
    older_claims: bool = False


@cache
def all_files() -> frozenset[str]:
    """Return every file name that an environment of ours can have."""
    found = _environment().list_templates(extensions=["j2"])
    return _RETIRED | {name.removeprefix("env/").removesuffix(".j2") for name in found}


def mark_in(kustomization: bytes) -> dict[str, str]:
    """Return the words of the mark that a kustomization.yaml carries, in whatever formatting."""
    found = dict(_MARK.findall(kustomization.decode("utf-8", "replace")))
    return {KIND if key == "slug" else key: value for key, value in found.items()}


def claims_of(spec: ProjectSpec) -> dict[str, str]:
    """Return the storage that a project's claims ask for, by what they are for."""
    limits = spec.resource_limits
    return {"worktrees": limits.storage_worktrees, "claude": limits.storage_claude}


def claim_names(slug: str, identity: str, *, older: bool) -> dict[str, str]:
    """Return the claims' names by what they are for.

    Claims outlive their manifest, so their names hold the identity: a slug that is used again gets volumes of
    its own. A claim cannot be renamed: those of before that (`older`) keep their names, and what is on them.
    """
    return {use: f"env-{slug}-{use}" if older else f"env-{slug}.{identity}.{use}" for use in CLAIM_USES}


def render_environment(spec: ProjectSpec, slug: str, pods: PodsSettings, inputs: Inputs) -> dict[str, bytes]:
    """Return the files of `envs/<slug>`, by name.

    A pod gets either the gateway's key or the way to the OAuth login, never both: Claude's command line
    prefers the key, and the login would never be used.
    """
    spec = spec.spelled(inputs.repository)
    gateway = spec.skip_auth and not spec.skip_lite_llm and pods.gateway_url is not None
    llm_key = inputs.llm_key if gateway else None
    names = _names(pods, inputs, llm_key)
    mount = inputs.vault_mount
    folder, _, file = (inputs.devcontainer or "").rpartition("/")
    values = {
        "slug": slug,
        "name": f"env-{slug}",
        "repository": spec.full_name,
        "display_name": spec.display_name or spec.repo_name,
        "pods": pods,
        "limits": spec.resource_limits,
        "identity": inputs.identity,
        "claims": claim_names(slug, inputs.identity, older=inputs.older_claims),
        "storage": claims_of(spec),
        "storage_class": inputs.storage_class,
        "git_access": inputs.git_access is not None,
        # Another value gets another key: a pod that has the one before is replaced, since a variable never
        # changes in a running pod, and its successor waits until the Secret has the new one.
        "llm_key": llm_key and f"llm-key-{_short(llm_key)}",
        "version": _version(inputs, llm_key),
        "oauth": not spec.skip_auth,
        "default_model": spec.litellm.default_model,
        "git_url": _git_url(spec, pods, inputs),
        # "." is the repository's root; envbuilder itself looks for no `.devcontainer.json` there.
        "devcontainer_folder": (folder or ".") if inputs.devcontainer else None,
        "devcontainer_file": file,
        "cache_repository": pods.cache_repository and f"{pods.cache_repository}/{_image_path(spec)}",
        "vault": {
            "git_access": for_external_secrets(mount, f"{ENVIRONMENTS}/{slug}.git-access"),
            "llm_key": for_external_secrets(mount, f"{ENVIRONMENTS}/{slug}.llm-key"),
            "extra": pods.extra_secrets
            and for_external_secrets(mount, pods.extra_secrets.replace("{slug}", slug)),
        },
        # kustomize renames the object and not what an annotation says.
        "dapr_configuration": pods.dapr_configuration or f"{inputs.prefix}env-{slug}{inputs.suffix}",
        "services": _services(pods, llm_key, oauth=not spec.skip_auth),
        "resources": names,
    }
    return {name: _render(f"env/{name}.j2", values) for name in (*names, KUSTOMIZATION)}


def render_devcontainer(pods: PodsSettings) -> str:
    """Return the dev container file for a repository that has none."""
    return _render("devcontainer/devcontainer.json", {"pods": pods}).decode()


def _git_url(spec: ProjectSpec, pods: PodsSettings, inputs: Inputs) -> str:
    """Without a branch, envbuilder would clone whatever the remote's HEAD is at that moment."""
    repository = (
        f"ssh://git@{pods.git_host}/{spec.full_name}.git"
        if inputs.git_access is not None
        else f"https://{pods.git_host}/{spec.full_name}"
    )
    return f"{repository}#refs/heads/{inputs.branch}"


def _names(pods: PodsSettings, inputs: Inputs, llm_key: str | None) -> list[str]:
    """Return the files that the kustomization lists."""
    chosen = {
        "known-hosts.yaml": inputs.git_access is not None,
        "external-secret.yaml": (inputs.git_access, llm_key) != (None, None),
        "dapr.yaml": pods.dapr and pods.dapr_configuration is None,
        "extra-secret.yaml": pods.extra_secrets is not None,
    }
    always = ("statefulset.yaml", "service.yaml", "service-account.yaml", "network-policy.yaml", CLAIMS)
    return sorted([*always, *(name for name, wanted in chosen.items() if wanted)])


def _version(inputs: Inputs, llm_key: str | None) -> str:
    """Return what the ExternalSecret is told of its secrets, so that it changes with these.

    The operator reads anew when an ExternalSecret's spec, labels or annotations change (its FAQ, and
    `GetResourceVersion` of its pkg/controllers/util); else only when `refreshInterval` is over.
    """
    of_environment = {
        "git-access": inputs.git_access and _short(inputs.git_access),
        "llm-key": llm_key,
    }
    told = [f"{name} {version}" for name, version in of_environment.items() if version]
    return ", ".join(told)


def _services(pods: PodsSettings, llm_key: str | None, *, oauth: bool) -> list[dict[str, str | None]]:
    """Return name and namespace of the Services that the pod asks; a name of none is left out, as DNS has it.

    A host of two parts may be a domain as well; then there is no such namespace, and nothing is opened.
    """
    asked = [pods.auth_service_url] if oauth else []
    asked += [pods.gateway_url] if llm_key and pods.gateway_url else []
    hosts = [(urlsplit(url).hostname or "").split(".") for url in asked]
    return [
        {"name": host[0], "namespace": host[1] if len(host) > 1 else None}
        for host in hosts
        if all(map(_DNS_LABEL.fullmatch, host)) and (len(host) < 3 or host[2] == "svc")
    ]


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _image_path(spec: ProjectSpec) -> str:
    """Return owner/repository as a registry accepts it: lower case, separators only within a part.

    A part that changes in more than its case gets a hash, so that no two repositories share a cache.
    """
    parts = []
    for part in (spec.repo_owner.lower(), spec.repo_name.lower()):
        plain = re.sub(r"[^a-z0-9]+", "-", part).strip("-")
        changed = not re.fullmatch(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*", part)
        digest = hashlib.sha256(part.encode()).hexdigest()[:8]
        parts.append(f"{plain}-{digest}".strip("-") if changed else part)
    return "/".join(parts)


def _quoted(value: object) -> str:
    """Return a value as a YAML scalar: JSON, without the characters that YAML takes for line breaks."""
    if isinstance(value, Undefined):
        return str(value)  # raises, naming what the template misses
    text = _as_json(value)
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable()
        else f"\\u{ord(character):04x}"
        if ord(character) <= 0xFFFF
        else f"\\U{ord(character):08x}"
        for character in text
    )


def _literal(value: str) -> str:
    """Keep the kubelet from reading `$(NAME)` in a container's variable as another variable."""
    return value.replace("$", "$$")


def _render(template: str, values: Mapping[str, object]) -> bytes:
    return _environment().get_template(template).render(values).encode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(shipped("templates")),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - `finalize` quotes every value, for YAML and not for HTML
        finalize=_quoted,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    environment.filters["literal"] = _literal
    environment.filters["text"] = str
    return environment
