"""The manifests of `deploy/`, and what may be asked of built ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.support.kubectl import kustomize

ROOT = Path(__file__).parents[4]
DEPLOY = ROOT / "deploy"

Document = dict[str, Any]


def load(text: str) -> list[Document]:
    return list(YAML(typ="safe", pure=True).load_all(text))


def built(folder: Path = DEPLOY) -> list[Document]:
    """Return every document that kustomize makes of a folder."""
    return load(kustomize(folder))


def one(documents: list[Document], kind: str, name: str = "onboarding-service") -> Document:
    """Return the only document of that kind and name."""
    (found,) = (each for each in documents if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found
