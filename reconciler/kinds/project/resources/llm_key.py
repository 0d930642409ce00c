"""The project's key to the LLM gateway: made here, so that it is in Vault before the gateway knows it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import SecretStr

from reconciler.clients.litellm import LiteLLMSettings
from reconciler.clients.vault import VaultSettings
from reconciler.engine.contract import Owners, Target
from reconciler.kinds.parts.vault_secret import VaultSecretResource
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.kinds.project.vault_paths import ENVIRONMENTS
from reconciler.model.decision import Failed, Skipped
from reconciler.model.json import Object
from reconciler.model.observation import Absent, Unknown
from reconciler.settings.giving import Reading, Settings


class LlmKey(VaultSecretResource[ProjectSpec]):
    """Makes `mesh-six/envs/<slug>.llm-key` once, with `sk-` and 256 random bits as `key`; asks no gateway.

    Never changes or deletes a key, not even when `skipLiteLLM` comes later; adopts one only when the project
    says `adopt: true`, and keeps it.
    """

    name: ClassVar[str] = "llm-key"
    phase: ClassVar[str] = "initialization"
    needs: ClassVar[tuple[str, ...]] = ("validate-repo",)
    """It uses nothing of it; but a mistyped repository must not make a secret that nobody ever removes."""
    folder: ClassVar[str] = ENVIRONMENTS
    key: ClassVar[str] = "key"
    settings: ClassVar[tuple[type[Settings], ...]] = (VaultSettings, LiteLLMSettings)

    def secret_names(
        self, targets: Sequence[Target[ProjectSpec]], read: Reading
    ) -> tuple[Mapping[str, str], Mapping[str, Absent | Unknown]]:
        """Return what the slugs give."""
        return {target.slug: self.secret_name(target, {}) for target in targets}, {}

    def secret_name(self, target: Target[ProjectSpec], outputs: Mapping[str, Object]) -> str:
        """Return the slug and what it is; a slug has no dot."""
        return self.name_by_slug(target)

    def is_suspect(self, name: str, owners: Owners) -> bool:
        """Tell it by the slug in the name."""
        return name.endswith(".llm-key") and name.removesuffix(".llm-key") not in owners.proofs

    def name_by_slug(self, target: Target[ProjectSpec]) -> str:
        """Return the same: nothing else is in it."""
        return f"{target.slug}.llm-key"

    def generate(self) -> SecretStr:
        """Return a key in the form that LiteLLM takes: `sk-` and at least 13 signs more."""
        return SecretStr(f"sk-{secrets.token_urlsafe(32)}")

    def unwanted(self, target: Target[ProjectSpec]) -> Skipped | Failed | None:
        """Skip where the project or the configuration says so; an error when the gateway was taken away."""
        if target.spec.skip_lite_llm:
            return Skipped("skipLiteLLM is set")
        setting = self.sections.get(LiteLLMSettings).missing()
        if setting is None:
            return None
        if target.remembered:
            return Failed(
                "LiteLLM is not configured any more, and this project already has a key",
                remedy=f"set {setting}, or add `skipLiteLLM: true` to the project file",
            )
        return Skipped(f"LiteLLM is not configured: set {setting} to turn it on", unconfigured=True)
