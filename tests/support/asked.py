"""Which systems a quiet pass asks for which resource; what follows from it when one of them is lost."""

from __future__ import annotations

from collections.abc import Mapping

GITHUB = frozenset({
    "validate-repo", "project-board", "webhook-secret", "webhook", "organization-webhook", "git-access",
    "devcontainer",
})  # fmt: skip
VAULT = frozenset({"webhook-secret", "organization-webhook", "git-access", "llm-key"})

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

SPARED: Mapping[str, frozenset[str]] = {"postgres": frozenset({"recordings"})}
"""By system: the resources that read it only where it is set up, and do without it otherwise."""

CONFIGURED_BY: Mapping[str, frozenset[str]] = {
    "github": frozenset({"registry"}),
    "litellm": frozenset({"llm-key"}),
    "auth-service": frozenset({"settings"}),
}
"""By system: the further resources that look at its settings, if not at itself."""


def without_credential(system: str) -> frozenset[str]:
    """Return the resources of a project without a login that cannot be when its credential is taken away."""
    return READS.get(system, frozenset()) - SPARED.get(system, frozenset()) - {"oauth"}


def without_settings(system: str) -> frozenset[str]:
    """Return the same for settings that make no sense."""
    return without_credential(system) | CONFIGURED_BY.get(system, frozenset())
