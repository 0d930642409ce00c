"""Things of other people that stand where a project's own would, one kind for each resource."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import hvac
import psycopg

from reconciler.crypto import ssh_keys
from reconciler.sandbox.emulators.store import Store
from reconciler.sandbox.layout import Layout
from reconciler.sandbox.supervisor import Sandbox
from tests.support.reconciling import git

Look = Callable[[], Any]
"""Returns the foreign thing as it is now."""


class Strangers:
    """People who made things in the systems of a sandbox before the reconciler came."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self._folder = folder
        self._environment = sandbox.environment()

    def board(self, slug: str) -> Look:
        name = slug.removeprefix("acme-")
        wish = {"owner": "acme", "title": f"{name} (mesh-six)", "repositories": [f"acme/{name}"]}
        made = self.sandbox.emulator("github", "POST", "/_emulator/projects", wish)
        return lambda: self._stored("github", "github.boards", str(made["id"]))

    def vault_secret(self, path: str, **data: str) -> Look:
        def look() -> Any:
            with closing(self._vault().adapter):
                kv = self._vault().secrets.kv.v2
                about = kv.read_secret_metadata(path)["data"]
                return kv.read_secret_version(path, raise_on_deleted_version=True)["data"]["data"], about

        vault = self._vault()
        vault.secrets.kv.v2.create_or_update_secret(path, data)
        vault.adapter.close()
        return look

    def deploy_key(self, slug: str) -> Look:
        private = ssh_keys.generate().private.get_secret_value()
        return self.vault_secret(f"mesh-six/envs/{slug}.git-access", privateKey=private)

    def registry_row(self, slug: str) -> Look:
        def sql(statement: str) -> Any:
            with psycopg.connect(self._environment["DATABASE_URL"], autocommit=True) as database:
                cursor = database.execute(statement.encode(), (slug,))
                return cursor.fetchall() if cursor.description else None

        # All but the column that our migration adds.
        select = (
            "SELECT platform, repo_owner, repo_name, repo_url, default_branch, board_id, metadata, "
            "updated_at FROM repo_registry WHERE service_name = %s"
        )
        sql(
            "INSERT INTO repo_registry (service_name, platform, repo_owner, repo_name, repo_url, "
            "default_branch, board_id) VALUES (%s, 'github', 'them', 'theirs', 'https://git.example/x', "
            "'main', 'x')"
        )
        return lambda: sql(select)

    def manifests(self, slug: str) -> Look:
        repository = self._environment["MANIFESTS_REPOSITORY"]
        clone = self._folder / f"clone-{slug}"
        subprocess.run(["git", "clone", "-q", repository, str(clone)], check=True)
        path = f"k8s/base/envs/{slug}/statefulset.yaml"
        (clone / path).parent.mkdir(parents=True)
        (clone / path).write_text("# made by hand\n", encoding="utf-8")
        git(str(clone), "add", "-A")
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        git(str(clone), *identity, "commit", "-qm", "By hand")
        git(str(clone), "push", "-q")
        return lambda: git(repository, "ls-tree", "-r", "main", f"k8s/base/envs/{slug}")

    def login(self, slug: str) -> Look:
        return self.vault_secret(f"mesh-six/oauth/{slug}", note="ours, keep off")

    def team(self, slug: str) -> Look:
        name = slug.removeprefix("acme-")
        number = self._stored("github", "github.repository-names", f"acme/{name}")["id"]
        self._post("LITELLM", "/team/new", {"team_id": f"gh-{number}", "team_alias": f"theirs {name}"})
        return lambda: self._stored("litellm", "teams", f"gh-{number}")

    def gateway_key(self, slug: str) -> Look:
        made = self._post("LITELLM", "/key/generate", {"key_alias": f"mesh-six/{slug}"})
        token = hashlib.sha256(made["key"].encode()).hexdigest()
        return lambda: self._stored("litellm", "keys", token)

    def app_entry(self, slug: str) -> Look:
        settings = json.dumps({"theirs": True})
        body = {"id": slug, "displayName": "theirs", "settingsJson": settings}
        self._post("AUTH_SERVICE", "/projects", body)
        return lambda: self._stored("auth-service", "auth_projects", slug)

    def _vault(self) -> hvac.Client:
        return hvac.Client(url=self._environment["VAULT_ADDR"], token=self._environment["VAULT_TOKEN"])

    def _stored(self, system: str, collection: str, key: str) -> Any:
        with closing(Store(Layout(self.sandbox.directory).store(system))) as store:
            return store.get(collection, key)

    def _post(self, system: str, path: str, body: Mapping[str, Any]) -> Any:
        token = self._environment[{"LITELLM": "LITELLM_ADMIN_KEY"}.get(system, f"{system}_TOKEN")]
        url = f"{self._environment[f'{system}_URL']}{path}"
        headers = {"authorization": f"Bearer {token}"}
        return httpx.post(url, json=body, headers=headers).raise_for_status().json()


FOREIGN: Mapping[str, Callable[[Strangers, str], Look]] = {
    "project-board": Strangers.board,
    "webhook-secret": lambda them, slug: them.vault_secret(f"mesh-six/webhooks/{slug}", secret="x" * 40),
    "git-access": Strangers.deploy_key,
    "llm-key": lambda them, slug: them.vault_secret(f"mesh-six/envs/{slug}.llm-key", key="sk-" + "x" * 40),
    "registry": Strangers.registry_row,
    "manifests": Strangers.manifests,
    "oauth": Strangers.login,
    "litellm": Strangers.team,
    "settings": Strangers.app_entry,
}
"""By resource: makes the foreign thing for that slug."""

NOTHING_FOREIGN: Mapping[str, str] = {
    "validate-repo": "it makes nothing",
    "webhook": "a webhook's URL is its identity: whatever calls mesh-six's receiver is mesh-six's webhook",
    "recordings": "the prefix is mesh-six's place for that repository, whoever wrote there first",
    "devcontainer": "people's file is meant to be there, and only gets one feature inserted",
    "sync": "it makes nothing; it asks Argo CD about what `manifests` made",
    "pod-health": "it makes nothing",
    "credentials": "credentials have no name of their own; whose entry they are in is asked by `settings`",
}
"""By resource: why no foreign thing of the same name can exist."""
