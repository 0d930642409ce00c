"""The secret with which GitHub signs what it sends to the webhook receiver."""

from __future__ import annotations

import secrets
from typing import ClassVar

from pydantic import SecretStr

from reconciler.kinds.parts.vault_secret import VaultSecretResource
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.kinds.project.vault_paths import WEBHOOKS


class WebhookSecret(VaultSecretResource[ProjectSpec]):
    """Makes `mesh-six/webhooks/<slug>` once, with 32 random bytes in hex as `secret`.

    Never changes or deletes a value; adopts one only when the project says `adopt: true`, and keeps it.
    """

    name: ClassVar[str] = "webhook-secret"
    phase: ClassVar[str] = "initialization"
    needs: ClassVar[tuple[str, ...]] = ("validate-repo",)
    folder: ClassVar[str] = WEBHOOKS
    key: ClassVar[str] = "secret"

    def secret_name(self, slug: str) -> str:
        """Return the slug: the folder is the webhooks' own."""
        return slug

    def generate(self) -> SecretStr:
        """Return 256 random bits in hex."""
        return SecretStr(secrets.token_hex(32))
