"""The systems of one sandbox as tests look at them: past the reconciler's clients, and past the request log.

What a test reads comes from stores, servers and repositories themselves. What it does there as somebody else
goes the way that every program goes, by the addresses of the environment, so that it is in the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any

import httpx
import hvac
import minio
import psycopg
import pygit2
from psycopg.rows import dict_row
from pygit2.enums import FileMode

from reconciler.sandbox.emulators.store import Store
from reconciler.sandbox.faults import Fault
from reconciler.sandbox.layout import Layout, SandboxState
from reconciler.sandbox.servers.s3 import BUCKET
from reconciler.sandbox.supervisor import Sandbox

GIT, CONFIG = "git", "config"
"""Stand among the systems for the manifest and the config repository, which no log tells of."""


@dataclass(frozen=True)
class Door:
    """How programs come to a system that speaks HTTP: the variables with its address and its credential."""

    url: str
    token: str


@dataclass(frozen=True)
class Mark:
    """A moment: the last request so far, and by repository what its branches were at."""

    request: int
    heads: Mapping[str, Mapping[str, str]]


class Systems:
    """Everything that a sandbox runs. Make it after the sandbox was cleared, which cuts connections."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.environment = sandbox.environment()
        self.layout = Layout(sandbox.directory)
        state = SandboxState.load(self.layout)
        assert state is not None
        self._ports = state.ports
        self._stores: dict[str, Store] = {}

    def close(self) -> None:
        """Give back every connection."""
        for store in self._stores.values():
            store.close()
        for name in ("vault", "vault_front"):
            if name in self.__dict__:
                self.__dict__[name].adapter.close()
        if "_database" in self.__dict__:
            self._database.close()

    def connect_again(self) -> None:
        """Let go of the connection to a database that was restarted."""
        if "_database" in self.__dict__:
            self._database.close()
            del self._database

    # -- what is there ----------------------------------------------------------------------------

    def store(self, system: str) -> Store:
        """Return what an emulator keeps; to write there is to do what only its system itself could."""
        if system not in self._stores:
            self._stores[system] = Store(self.layout.store(system))
        return self._stores[system]

    @cached_property
    def vault(self) -> hvac.Client:
        """Vault, at its own port."""
        return self._vault_at(f"http://127.0.0.1:{self._ports['vault-server']}")

    def secret_names(self, folder: str) -> list[str]:
        """Return the names in a folder of Vault."""
        try:
            listed: list[str] = self.vault.secrets.kv.v2.list_secrets(folder)["data"]["keys"]
        except hvac.exceptions.InvalidPath:
            return []
        return sorted(listed)

    def secret(self, path: str) -> tuple[dict[str, str], dict[str, Any]] | None:
        """Return a secret's data and its metadata; None when there is none."""
        kv = self.vault.secrets.kv.v2
        try:
            about = kv.read_secret_metadata(path)["data"]
        except hvac.exceptions.InvalidPath:
            return None
        try:
            read = kv.read_secret_version(path, raise_on_deleted_version=False)["data"]["data"]
        except hvac.exceptions.InvalidPath:
            read = None
        return dict(read or {}), dict(about)

    def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Send one statement to PostgreSQL, at its own port."""
        cursor = self._database.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []

    def objects(self, prefix: str = "") -> list[str]:
        """Return the names of the objects in the bucket."""
        found = self._s3.list_objects(BUCKET, prefix, recursive=True)
        return sorted(str(each.object_name) for each in found)

    def object(self, name: str) -> bytes:
        """Return what an object holds."""
        answer = self._s3.get_object(BUCKET, name)
        try:
            return bytes(answer.data)
        finally:
            answer.close()
            answer.release_conn()

    def forget_object(self, name: str) -> None:
        """Delete an object."""
        self._s3.remove_object(BUCKET, name)

    @cached_property
    def manifests(self) -> pygit2.Repository:
        """The manifest repository."""
        return pygit2.Repository(self.environment["MANIFESTS_REPOSITORY"])

    @cached_property
    def config(self) -> pygit2.Repository:
        """The config repository."""
        return pygit2.Repository(self.environment["CONFIG_REPOSITORY"])

    # -- what is done there by others -------------------------------------------------------------

    @cached_property
    def vault_front(self) -> hvac.Client:
        """Vault, the way that every program goes."""
        return self._vault_at(self.environment["VAULT_ADDR"])

    def ask(self, door: Door, method: str, path: str, body: Any = None) -> Any:
        """Send a request to a system that speaks HTTP; returns the decoded answer."""
        headers = {"authorization": f"Bearer {self.environment[door.token]}"}
        # Plain HTTP: certificates, which take 40 ms to load, are of no use.
        with httpx.Client(headers=headers, trust_env=False, verify=False) as client:  # noqa: S501
            answer = client.request(method, f"{self.environment[door.url]}{path}", json=body)
        answer.raise_for_status()
        return answer.json() if answer.content and "json" in answer.headers.get("content-type", "") else None

    def insert(self, statement: str, *values: Any) -> None:
        """Send one statement to PostgreSQL, the way that every program goes."""
        with psycopg.connect(self.environment["DATABASE_URL"], autocommit=True) as database:
            database.execute(statement.encode(), values)

    def put_object(self, name: str, content: bytes) -> None:
        """Write an object, the way that every program goes."""
        front = self._s3_at(self.environment["MINIO_ENDPOINT"].removeprefix("http://"))
        front.put_object(BUCKET, name, BytesIO(content), len(content))

    def commit(self, repository: pygit2.Repository, files: Mapping[str, str | None], message: str) -> None:
        """Commit files to the branch of a repository, as somebody with a clone would; None removes one."""
        head = repository.references["refs/heads/main"].peel(pygit2.Commit)
        index = pygit2.Index()
        index.read_tree(head.tree)
        for path, text in files.items():
            if text is None:
                index.remove(path)
            else:
                blob = repository.create_blob(text.encode())
                index.add(pygit2.IndexEntry(path, blob, FileMode.BLOB))
        author = pygit2.Signature("somebody", "somebody@example.org")
        tree = index.write_tree(repository)
        repository.create_commit("refs/heads/main", author, author, message, tree, [head.id])

    # -- what was written -------------------------------------------------------------------------

    def mark(self) -> Mark:
        """Return this moment, to be given to `written`."""
        repositories = {GIT: self.manifests, CONFIG: self.config}
        heads = {
            system: {name: str(repository.references[name].target) for name in repository.references}
            for system, repository in repositories.items()
        }
        return Mark(self.sandbox.mark(), heads)

    def written(self, since: Mark) -> dict[str, list[str]]:
        """Return what was written since then, by system."""
        found: dict[str, list[str]] = {}
        for request in self.sandbox.requests(since.request):
            if request.wrote:
                found.setdefault(request.system, []).append(f"{request.method} {request.path}")
        for system, heads in self.mark().heads.items():
            if moved := dict(heads.items() ^ since.heads[system].items()):
                found[system] = sorted(moved)
        return found

    def refused(self, since: Mark) -> bool:
        """Whether a request since then was made to fail."""
        return any(request.fault for request in self.sandbox.requests(since.request))

    @contextmanager
    def failing(self) -> Iterator[dict[str, str]]:
        """Have every request to any system fail; yield the environment in which the manifests fail too."""
        self.sandbox.inject(Fault("*", "500", times=1_000_000))
        try:
            yield {"MANIFESTS_REPOSITORY": "http://127.0.0.1:1/gone.git"}
        finally:
            self.sandbox.clear_faults()

    # -- connections ------------------------------------------------------------------------------

    def _vault_at(self, url: str) -> hvac.Client:
        return hvac.Client(url=url, token=self.environment["VAULT_TOKEN"])

    @cached_property
    def _database(self) -> psycopg.Connection[dict[str, Any]]:
        url = self.environment["DATABASE_URL"]
        front = f":{self._ports['postgres']}/"
        assert front in url
        own = url.replace(front, f":{self._ports['postgres-server']}/")
        return psycopg.connect(own, autocommit=True, row_factory=dict_row)

    @cached_property
    def _s3(self) -> minio.Minio:
        return self._s3_at(f"127.0.0.1:{self._ports['s3-server']}")

    def _s3_at(self, address: str) -> minio.Minio:
        return minio.Minio(
            address,
            self.environment["MINIO_ACCESS_KEY"],
            self.environment["MINIO_SECRET_KEY"],
            secure=False,
        )
