"""All that exists for one project in every system, in words that are equal for equal projects.

Read past the reconciler's clients and past the sandbox's request log: emulators' stores, servers, git.
Ids, times and keys are left out; what they tie together is told instead (`hook uses the secret in Vault`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hvac
import minio
import psycopg
import pygit2
from psycopg.rows import dict_row
from pydantic import SecretStr

from reconciler.crypto import ssh_keys
from reconciler.sandbox.emulators.store import Store
from reconciler.sandbox.layout import Layout
from reconciler.sandbox.servers.s3 import BUCKET
from reconciler.sandbox.supervisor import Sandbox
from tests.support.reconciling import git, status

Inventory = dict[str, Any]


@dataclass(frozen=True)
class Project:
    """One project. `number` is GitHub's; `secrets` is what Vault has for it, by path."""

    owner: str
    name: str
    number: int
    secrets: Mapping[str, dict[str, Any]]

    @property
    def slug(self) -> str:
        return f"{self.owner}-{self.name}"


TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?")
VERSION = re.compile(r"\b[0-9a-f]{12}\b")
NODE = re.compile(r"\b[A-Z]+[A-Za-z]*_kgDO[\w-]+")


class Inventories:
    """Looks at one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._layout = Layout(sandbox.directory)
        self._environment = sandbox.environment()

    def of(self, owner: str, name: str) -> Inventory:
        """Return everything of one project, under neutral names."""
        with self._store("github") as github, self._vault() as vault:
            found = github.get("github.repository-names", f"{owner}/{name}".lower())
            assert found is not None
            project = Project(owner, name, found["id"], self._secrets(vault, f"{owner}-{name}"))
        told: Inventory = {}
        for look in LOOKS.values():
            told |= look(self, project)
        names = {project.slug: "SLUG", str(project.number): "NUMBER", name: "NAME"}
        neutral: Inventory = _neutral(told, names)
        return neutral

    def totals(self) -> dict[str, int]:
        """Count what belongs to no project by name, so that an orphan shows."""
        counted: dict[str, int] = {}
        for system, collections in COUNTED.items():
            with self._store(system) as store:
                counted |= {name: sum(1 for _ in store.items(name)) for name in collections}
        with self._vault() as vault:
            counted |= {folder: len(_names(vault, folder)) for folder in ("webhooks", "envs", "oauth")}
        with psycopg.connect(self._environment["DATABASE_URL"]) as database:
            for table in ("repo_registry", "onboarding_runs"):
                row = database.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
                counted[table] = row[0] if row else 0
        counted["objects"] = len(self._objects(""))
        for name in ("CONFIG_REPOSITORY", "MANIFESTS_REPOSITORY"):
            counted[name] = len(git(self._environment[name], "for-each-ref").splitlines())
        return counted

    def github(self, project: Project) -> Inventory:
        number = project.number
        with self._store("github") as store:
            return {
                "boards": _boards(store, number, project.name),
                "hooks": _hooks(store, number, project.secrets),
                "deploy keys": _deploy_keys(store, number, project.secrets),
                "pull requests": _pulls(store, number),
                "repository": _branches(self._layout["git"] / "github" / f"{number}.git"),
            }

    def vault(self, project: Project) -> Inventory:
        return {"vault": {path: each["public"] for path, each in project.secrets.items()}}

    def postgres(self, project: Project) -> Inventory:
        return {"database": self._rows(project.slug, f"{project.owner}/{project.name}")}

    def s3(self, project: Project) -> Inventory:
        return {"recordings": self._objects(f"{project.owner}/{project.name}/")}

    def litellm(self, project: Project) -> Inventory:
        key = project.secrets.get("envs/SLUG.llm-key", {"data": {}})["data"].get("key", "")
        return {"litellm": self._litellm(project.slug, key)}

    def auth_service(self, project: Project) -> Inventory:
        return {"auth-service": self._auth(project.slug)}

    def git(self, project: Project) -> Inventory:
        return {"manifests": self._manifests(project.slug), "status": self._status(project.slug)}

    def _secrets(self, vault: hvac.Client, slug: str) -> dict[str, dict[str, Any]]:
        found = {}
        for folder in ("webhooks", "envs", "oauth"):
            for name in _names(vault, folder):
                if name.split(".")[0] == slug:
                    found[f"{folder}/{name.replace(slug, 'SLUG')}"] = _secret(
                        vault, f"mesh-six/{folder}/{name}"
                    )
        return found

    def _rows(self, slug: str, full_name: str) -> Inventory:
        statements = {
            "repo_registry": "SELECT * FROM repo_registry WHERE service_name = %s OR repo_url LIKE %s",
            "onboarding_runs": "SELECT * FROM onboarding_runs WHERE id = %s OR repo_name = %s",
        }
        # Not reconciler_item_verifications: when something was read last may differ, and mends itself.
        with psycopg.connect(self._environment["DATABASE_URL"], row_factory=dict_row) as database:
            found: Inventory = {}
            for table, statement in statements.items():
                rows = database.execute(statement, (slug, f"%/{full_name}")).fetchall()
                found[table] = [
                    {key: value for key, value in row.items() if not key.endswith("_at") and key != "id"}
                    for row in rows
                ]
        for row in found["repo_registry"]:
            row["metadata"].pop("boardNumber", None)
            row["metadata"].pop("boardUrl", None)
            row["metadata"]["statusOptions"] = sorted(row["metadata"].get("statusOptions", {}))
        return found

    def _objects(self, prefix: str) -> list[str]:
        environment = self._environment
        client = minio.Minio(
            environment["MINIO_ENDPOINT"].removeprefix("http://"),
            environment["MINIO_ACCESS_KEY"],
            environment["MINIO_SECRET_KEY"],
            secure=False,
        )
        return sorted(str(each.object_name) for each in client.list_objects(BUCKET, prefix, recursive=True))

    def _litellm(self, slug: str, key: str) -> Inventory:
        token = hashlib.sha256(key.encode()).hexdigest()
        with self._store("litellm") as store:
            teams = [team for _, team in store.items("teams") if slug in json.dumps(team)]
            keys = [each for _, each in store.items("keys") if slug in json.dumps(each)]
        team_fields = (
            "team_id",
            "team_alias",
            "metadata",
            "models",
            "max_budget",
            "budget_duration",
            "blocked",
        )
        return {
            "teams": [{field: team.get(field) for field in team_fields} for team in teams],
            "keys": [
                {
                    **{field: each.get(field) for field in ("key_alias", "team_id", "metadata", "blocked")},
                    "is the one in Vault": each["token"] == token,
                }
                for each in keys
            ],
        }

    def _auth(self, slug: str) -> Inventory:
        with self._store("auth-service") as store:
            project = store.get("auth_projects", slug) or {}
            kept = (store.get("auth_credentials", slug) or {"all": []})["all"]
        project = {key: project.get(key) for key in ("id", "displayName", "settingsJson")}
        # Those before are kept as a record; a push repeated after a kill takes the place of its first.
        valid = [each for each in kept if "invalidatedAt" not in each]
        tokens = [[each["accessToken"], each["refreshToken"]] for each in valid]
        return {"project": project, "credentials": tokens}

    def _manifests(self, slug: str) -> Inventory:
        base = pygit2.Repository(self._environment["MANIFESTS_REPOSITORY"]).revparse_single("main:k8s/base")
        assert isinstance(base, pygit2.Tree)
        lines = _text(base["kustomization.yaml"]).splitlines()
        return {
            "files": _files(base, f"envs/{slug}"),
            "listed": sum(line.strip(" -'\"") == f"envs/{slug}" for line in lines),
        }

    def _status(self, slug: str) -> Inventory:
        if not git(self._environment["CONFIG_REPOSITORY"], "ls-tree", "main", f"status/project/{slug}.yaml"):
            return {}
        document = status(self._sandbox, slug)
        return {
            "status": document["status"],
            "resources": {name: entry["state"] for name, entry in document["resources"].items()},
            "oauth": document["oauth"]["state"] if "oauth" in document else None,
        }

    @contextmanager
    def _store(self, system: str) -> Iterator[Store]:
        with closing(Store(self._layout.store(system))) as store:
            yield store

    @contextmanager
    def _vault(self) -> Iterator[hvac.Client]:
        client = hvac.Client(url=self._environment["VAULT_ADDR"], token=self._environment["VAULT_TOKEN"])
        with closing(client.adapter):
            yield client


LOOKS: Mapping[str, Callable[[Inventories, Project], Inventory]] = {
    "github": Inventories.github,
    "vault": Inventories.vault,
    "postgres": Inventories.postgres,
    "s3": Inventories.s3,
    "litellm": Inventories.litellm,
    "auth-service": Inventories.auth_service,
    "git": Inventories.git,
}
"""By system: tells what a project has there, each under keys of its own."""

NOTHING_KEPT: Mapping[str, str] = {
    "argocd": "what it deploys is in git, and it is asked for again whenever that is needed",
    "oauth-issuer": "a request for a login ends, and names no project",
}
"""By system: why there is nothing to tell."""

COUNTED: Mapping[str, tuple[str, ...]] = {
    "github": ("github.boards", "github.hooks", "github.deploy-keys", "github.pulls"),
    "litellm": ("keys", "teams"),
    "auth-service": ("auth_projects",),
}
"""By emulator: the collections of its store in which an orphan would show."""


def _names(vault: hvac.Client, folder: str) -> list[str]:
    try:
        listed: list[str] = vault.secrets.kv.v2.list_secrets(f"mesh-six/{folder}")["data"]["keys"]
    except hvac.exceptions.InvalidPath:
        return []
    return listed


def _secret(vault: hvac.Client, path: str) -> dict[str, Any]:
    about = vault.secrets.kv.v2.read_secret_metadata(path)["data"]
    told = about["custom_metadata"] or {}
    marks = {key: value for key, value in told.items() if key not in {"public-key", "webhook"}}
    data: dict[str, str] = {}
    if about["current_version"]:
        data = vault.secrets.kv.v2.read_secret_version(path, raise_on_deleted_version=True)["data"]["data"]
    return {
        "data": data,
        "public": {"keys": sorted(data), "versions": len(about["versions"]), "marks": marks},
    }


def _boards(github: Store, number: int, name: str) -> list[Inventory]:
    linked = (github.get("github.repository-boards", str(number)) or {"boards": []})["boards"]
    return [
        {
            "title": board["title"],
            "readme": board["readme"],
            "closed": board["closed"],
            "linked": linked.count(board["id"]),
            "fields": sorted(each["name"] for each in board["fields"].values())
            if isinstance(board["fields"], dict)
            else sorted(each["name"] for each in board["fields"]),
        }
        for _, board in github.items("github.boards")
        if str(number) in f"{board['title']} {board['readme']}" or board["title"].startswith(f"{name} ")
    ]


def _hooks(github: Store, number: int, secrets: Mapping[str, dict[str, Any]]) -> list[Inventory]:
    secret = secrets.get("webhooks/SLUG", {"data": {}})["data"].get("secret")
    return [
        {
            "url": hook["config"]["url"],
            "events": hook["events"],
            "active": hook["active"],
            "uses the secret in Vault": hook["config"].get("secret") == secret,
        }
        for _, hook in github.items("github.hooks", f"{number}/")
    ]


def _deploy_keys(github: Store, number: int, secrets: Mapping[str, dict[str, Any]]) -> list[Inventory]:
    private = secrets.get("envs/SLUG.git-access", {"data": {}})["data"].get("privateKey")
    public = ssh_keys.public_half(SecretStr(private)).split()[:2] if private else None
    return [
        {
            "title": key["title"],
            "read only": key["readOnly"],
            "is the one in Vault": key["key"].split()[:2] == public,
        }
        for _, key in github.items("github.deploy-keys", f"{number}/")
    ]


def _pulls(github: Store, number: int) -> list[Inventory]:
    return [
        {key: pull.get(key) for key in ("title", "state", "base", "head")}
        for _, pull in github.items("github.pulls", f"{number}/")
    ]


def _files(tree: pygit2.Tree, path: str) -> dict[str, str]:
    if path not in tree:
        return {}
    folder = tree[path]
    assert isinstance(folder, pygit2.Tree)
    return {file.name or "": _text(file) for file in folder}


def _text(file: pygit2.Object) -> str:
    assert isinstance(file, pygit2.Blob)
    return file.data.decode()


def _branches(path: Path) -> Inventory:
    repository = pygit2.Repository(str(path))
    return {
        name: [commit.message for commit in repository.walk(repository.references[name].target)]
        for name in repository.references
    }


def _neutral(found: Any, names: Mapping[str, str]) -> Any:
    if isinstance(found, dict):
        return {_neutral(key, names): _neutral(value, names) for key, value in found.items()}
    if isinstance(found, list):
        return [_neutral(each, names) for each in found]
    if not isinstance(found, str):
        return names.get(str(found), found)
    for name, neutral in names.items():
        found = found.replace(name, neutral)
    return NODE.sub("NODE", TIME.sub("TIME", VERSION.sub("VERSION", found)))
