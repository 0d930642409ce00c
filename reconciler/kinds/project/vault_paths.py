"""Where a project's secrets are in Vault. A slug never contains a dot."""

from __future__ import annotations

WEBHOOKS = "mesh-six/webhooks"
ENVIRONMENTS = "mesh-six/envs"
OAUTH = "mesh-six/oauth"
