"""The claims of an environment that are in git, compared with the storage that its project file asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.kinds.project.manifests.render import claim_names, claims_of
from reconciler.kinds.project.spec import ProjectSpec, amount
from reconciler.model.errors import InvalidFile
from reconciler.model.yaml_read import load_documents


def claims_in(path: str, text: str) -> Mapping[str, tuple[str, str | None]]:
    """Return (storage, storage class) of the claims of ours that are in git, by name; InvalidFile."""
    return dict(_claim(path, document) for document in load_documents(path, text.encode()) if document)


def have_older_names(slug: str, claims: Iterable[str]) -> bool:
    """Tell whether claims are called as they were before names held an identity."""
    return not {*claim_names(slug, "", older=True).values()}.isdisjoint(claims)


def compared(
    spec: ProjectSpec, slug: str, identity: str, claims: Mapping[str, tuple[str, str | None]]
) -> tuple[list[str], list[str]]:
    """Return a sentence for every claim that would shrink, and for every one that would grow."""
    shrunk: list[str] = []
    grown: list[str] = []
    names = claim_names(slug, identity, older=have_older_names(slug, claims))
    for use, wanted in claims_of(spec).items():
        name = names[use]
        present, _ = claims.get(name, (wanted, None))
        if amount(present) > amount(wanted):
            shrunk.append(f"the claim {name} has {present}, and the project file asks for {wanted}")
        elif amount(present) < amount(wanted):
            grown.append(f"{name} grows from {present} to {wanted}, if its storage class allows that")
    return shrunk, grown


def _claim(path: str, document: Any) -> tuple[str, tuple[str, str | None]]:  # noqa: ANN401 - YAML's values
    try:
        spec = document["spec"]
        return document["metadata"]["name"], (
            str(spec["resources"]["requests"]["storage"]),
            spec.get("storageClassName"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidFile(path, "is not a list of claims") from error
