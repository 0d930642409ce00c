"""The secret with which GitHub signs what it sends to the webhook receiver."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import SecretStr

from reconciler.engine.contract import Target
from reconciler.kinds.parts.vault_secret import VaultSecretResource
from reconciler.kinds.project.resources.repository_reads import read_repositories
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.kinds.project.vault_paths import WEBHOOKS, webhook_name
from reconciler.model.json import Object
from reconciler.model.observation import Absent, Unknown
from reconciler.settings.giving import Reading


class WebhookSecret(VaultSecretResource[ProjectSpec]):
    """Makes `mesh-six/webhooks/<owner>-<name>` once, with 32 random bytes in hex as `secret`.

    Never changes or deletes a value; adopts one only when the project says `adopt: true`, and keeps it. Of a
    repository that is renamed it makes a copy, since the receiver looks under the new name.
    """

    name: ClassVar[str] = "webhook-secret"
    phase: ClassVar[str] = "initialization"
    needs: ClassVar[tuple[str, ...]] = ("validate-repo",)
    folder: ClassVar[str] = WEBHOOKS
    key: ClassVar[str] = "secret"

    def secret_names(
        self, targets: Sequence[Target[ProjectSpec]], read: Reading
    ) -> tuple[Mapping[str, str], Mapping[str, Absent | Unknown]]:
        """Return the repositories' names as GitHub spells them."""
        there, missing = read_repositories(targets, read)
        return {slug: webhook_name(repository.full_name) for slug, repository in there.items()}, missing

    def secret_name(self, target: Target[ProjectSpec], outputs: Mapping[str, Object]) -> str:
        """Return what the receiver makes of the repository's name."""
        return webhook_name(str(outputs["validate-repo"]["fullName"]))

    def former_names(self, target: Target[ProjectSpec]) -> Sequence[str]:
        """Return the name before a rename, and the slug, which it had before it was the receiver's."""
        remembered = str(target.remembered.get("path", "")).removeprefix(f"{self.folder}/")
        return [name for name in (remembered, target.slug) if name]

    def generate(self) -> SecretStr:
        """Return 256 random bits in hex."""
        return SecretStr(secrets.token_hex(32))
