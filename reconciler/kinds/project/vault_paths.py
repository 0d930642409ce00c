"""Where a project's secrets are in Vault, and how ours are marked. A slug never contains a dot."""

from __future__ import annotations

from collections.abc import Mapping

WEBHOOKS = "mesh-six/webhooks"
ENVIRONMENTS = "mesh-six/envs"
OAUTH = "mesh-six/oauth"


def marks(slug: str) -> dict[str, str]:
    """Return the custom metadata that every secret of ours carries."""
    return {"managed-by": "mesh-six-reconciler", "project": slug}


def is_ours(metadata: Mapping[str, str], slug: str) -> bool:
    """Whether a secret with this custom metadata is the project's, made or adopted by us."""
    return marks(slug).items() <= metadata.items()
