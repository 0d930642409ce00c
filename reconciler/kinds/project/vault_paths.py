"""Where a project's secrets are in Vault, and how others name the place. A slug never contains a dot."""

from __future__ import annotations

WEBHOOKS = "mesh-six/webhooks"
ENVIRONMENTS = "mesh-six/envs"
OAUTH = "mesh-six/oauth"
RECEIVER = f"{WEBHOOKS}/@@receiver"
"""The copy of the receiver's own secret; no organization has such a name, and no repository."""


def webhook_name(full_name: str) -> str:
    """Return the name under WEBHOOKS where mesh-six's receiver looks: `owner-name` in GitHub's letter case.

    Source: getWebhookSecret of its apps/webhook-receiver, which takes an event's `repository.full_name`.
    Two repositories can share one (`a-b/c` and `a/b-c`); the mark says whose the secret is.
    """
    return full_name.replace("/", "-")


def organization(login: str) -> str:
    """Return where it is noted which webhook an organization has. No repository has such a name."""
    return f"{WEBHOOKS}/@{login.lower()}"


def for_external_secrets(mount: str, path: str) -> str:
    """Return a path as External Secrets is to be given it, whether or not its store names the mount.

    A store without a path takes a key's first part for the mount; one with a path takes it off a key.
    """
    inside = path.removeprefix(f"{mount}/").removeprefix("data/")
    return f"{mount}/data/{inside}"
