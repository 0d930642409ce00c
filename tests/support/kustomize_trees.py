"""The trees of kustomize_trees.yaml: what kustomize builds and refuses, and what our own check does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

_DEFAULTS: Mapping[str, str | bytes | None] = {
    "kustomization.yaml": "resources:\n- x.yaml\n",
    "x.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n",
}


@dataclass(frozen=True)
class KustomizeTree:
    """Files and links by path; whether kustomize builds it, and whether our own check lets it pass."""

    files: Mapping[str, bytes]
    links: Mapping[str, str]
    builds: bool
    passes: bool


def kustomize_trees() -> dict[str, KustomizeTree]:
    """Return all of them by name."""
    text = Path(__file__).with_suffix(".yaml").read_text()
    return {name: _tree(**case) for name, case in yaml.load(text, Loader=yaml.CSafeLoader).items()}


def _tree(
    kustomize: str,
    ours: str = "",
    links: Mapping[str, str] | None = None,
    files: Mapping[str, str | bytes | None] | None = None,
) -> KustomizeTree:
    contents = {
        name: content.encode() if isinstance(content, str) else content
        for name, content in {**_DEFAULTS, **(files or {})}.items()
        if content is not None
    }
    builds = {"builds": True, "refuses": False}[kustomize]
    return KustomizeTree(contents, links or {}, builds, {"": builds, "passes": True}[ours])
