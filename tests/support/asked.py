"""Which systems a quiet pass asks for which resource; what follows from it when one of them is lost."""

from __future__ import annotations

from collections.abc import Mapping

GITHUB = frozenset({"validate-repo", "project-board", "webhook", "git-access", "devcontainer"})
VAULT = frozenset({"webhook-secret", "git-access", "llm-key"})

READS: Mapping[str, frozenset[str]] = {
    "github": GITHUB,
    "vault": VAULT | {"oauth"},
    "postgres": frozenset({"registry", "recordings"}),
    "s3": frozenset({"recordings"}),
    "argocd": frozenset({"sync", "pod-health"}),
    "litellm": frozenset({"litellm"}),
}
"""By system: the resources that ask it in a quiet pass, and are unknown while it is down."""

NOT_ASKED: Mapping[str, str] = {
    "auth-service": "it is read one by one, when an audit is due",
    "oauth-issuer": "it is asked while somebody logs in by device flow",
}
"""By system: why a quiet pass does not even notice that it is down."""

NOT_ASKING: Mapping[str, str] = {
    "manifests": "it reads git, which the pass has fetched",
    "settings": "it is read one by one, when an audit is due",
    "credentials": "it is read one by one, when an audit is due",
}
"""By resource: why it asks no system in a quiet pass."""

NEEDS: Mapping[str, frozenset[str]] = {
    "github": GITHUB,
    "vault": VAULT,
    "postgres": frozenset({"registry"}),
    "s3": frozenset({"recordings"}),
    "argocd": frozenset({"sync", "pod-health"}),
    "litellm": frozenset({"litellm"}),
}
"""By system: the resources of a project without a login that are in error without its credential."""

MISLED: Mapping[str, frozenset[str]] = {
    # Where repositories are, the registry knows from GitHub's settings.
    "GITHUB_API_URL": GITHUB | {"registry"},
    "GITHUB_TOKEN": GITHUB | {"registry"},
    "VAULT_ADDR": VAULT,
    "MINIO_ENDPOINT": frozenset({"recordings"}),
    "ARGOCD_SERVER": frozenset({"sync", "pod-health"}),
    "LITELLM_URL": frozenset({"llm-key", "litellm"}),
    "AUTH_SERVICE_URL": frozenset({"settings"}),
    "OAUTH_ISSUER": frozenset(),
}
"""By variable: the resources of a project without a login that are in error when its value is none at all."""
