"""An emulated LiteLLM and a Vault that holds a project's key, to run the resource and the client against."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from reconciler.clients.http import trusted
from reconciler.clients.litellm import LiteLLMWriter
from reconciler.kinds.project.resources.litellm_team import LiteLLMTeam
from reconciler.model.decision import Settled
from reconciler.model.json import Object
from reconciler.sandbox.emulators.litellm.app import create_app
from reconciler.sandbox.emulators.store import Store
from reconciler.settings.giving import Sections
from tests.integration.conftest import VaultCorner
from tests.kinds.project.support.passes import Passes, target
from tests.support.serve import serve

ADMIN = "sk-administrator-0123456789"
ALIAS = "mesh-six/acme-widgets"
FIRST, SECOND = "sk-" + "first" * 8, "sk-" + "second" * 8
MARKER = {"managed_by": "mesh-six-reconciler", "project": "acme-widgets", "identity": "7"}
EVERYTHING: Mapping[str, Any] = {"litellm": {"defaultModel": "sonnet", "maxBudget": 50}}


def token(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


@dataclass(frozen=True)
class World:
    """An emulated LiteLLM and a Vault that holds the project's key."""

    url: str
    store: Store
    vault: VaultCorner

    def sections(self, **settings: Any) -> Sections:
        litellm = {"url": self.url, "adminKey": ADMIN, **settings}
        vault = {"address": self.vault.address, "mount": self.vault.mount, "token": self.vault.root.token}
        return Sections({"litellm": litellm, "vault": vault}, {})

    def passes(self, version: str = "1 of then", **settings: Any) -> Passes:
        outputs: Mapping[str, Object] = {
            "validate-repo": {"id": 7, "fullName": "acme/widgets"},
            "llm-key": {"version": version},
        }
        return Passes(LiteLLMTeam(self.sections(**settings)), outputs)

    def client(self) -> LiteLLMWriter:
        return LiteLLMWriter.connect(self.sections())

    def hold(self, value: str) -> None:
        self.vault.root.secrets.kv.v2.create_or_update_secret(
            "mesh-six/envs/acme-widgets.llm-key", secret={"key": value}, mount_point=self.vault.mount
        )

    def by_hand(self, path: str, **body: Any) -> Any:
        """Do what an administrator does beside us."""
        headers = {"authorization": f"Bearer {ADMIN}"}
        return (
            httpx.post(self.url + path, json=body, headers=headers, verify=trusted())
            .raise_for_status()
            .json()
        )

    def team(self, team_id: str = "gh-7") -> dict[str, Any]:
        found = self.store.get("teams", team_id)
        assert found
        return found

    def key(self, value: str = FIRST) -> dict[str, Any]:
        found = self.store.get("keys", token(value))
        assert found
        return found

    def everything(self) -> list[Any]:
        return [*self.store.items("teams"), *self.store.items("keys")]


def settled(passes: Passes, **spec: Any) -> bool:
    return passes.plan(target(**spec)) == Settled({"teamId": "gh-7"})


@contextmanager
def emulated(vault: VaultCorner) -> Iterator[World]:
    """Yield an empty LiteLLM and that Vault with the project's first key."""
    store = Store()
    with serve(create_app(store, admin_key=ADMIN)) as url:
        world = World(url, store, vault)
        world.hold(FIRST)
        yield world
