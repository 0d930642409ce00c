"""Servers that are shared by a worker's tests; each test gets a corner of its own in them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hvac
import hvac.exceptions
import psycopg
import pytest

from reconciler.settings.giving import Sections
from tests.support import servers

REPO_REGISTRY = Path(servers.__file__).with_name("mesh_six_repo_registry.sql")
_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients try again at once: it is not time that is tested."""
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda seconds: None))


@dataclass(frozen=True)
class VaultCorner:
    """A KV version 2 mount of its own in a running Vault."""

    address: str
    mount: str
    root: Any

    def sections(self, **settings: Any) -> Sections:
        values = {"address": self.address, "mount": self.mount, "token": servers.ROOT_TOKEN, **settings}
        return Sections({"vault": {key: value for key, value in values.items() if value is not None}}, {})

    def token(self, policy: str) -> str:
        """Make a token that may do only what the policy says; `MOUNT` stands for this mount."""
        self.root.sys.create_or_update_policy(self.mount, policy.replace("MOUNT", self.mount))
        made = self.root.auth.token.create(policies=[self.mount], no_default_policy=True)
        return str(made["auth"]["client_token"])


@pytest.fixture(scope="session")
def vault_server() -> Iterator[str]:
    with servers.vault() as address:
        yield address


@pytest.fixture
def vault(vault_server: str) -> Iterator[VaultCorner]:
    root = hvac.Client(url=vault_server, token=servers.ROOT_TOKEN)
    mount = f"kv{next(_numbers)}"
    root.sys.enable_secrets_engine("kv", path=mount, options={"version": "2"})
    _wait_until_usable(root, mount)
    yield VaultCorner(vault_server, mount, root)
    root.adapter.close()


def _wait_until_usable(root: Any, mount: str) -> None:
    """A new mount answers 400 for the moment that it takes to become one of version 2."""
    for _ in range(200):
        try:
            root.secrets.kv.v2.read_configuration(mount_point=mount)
        except hvac.exceptions.InvalidRequest:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"{mount} does not become usable")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with servers.postgres() as url:
        yield url


@dataclass(frozen=True)
class Database:
    """An empty database of its own in a running PostgreSQL."""

    url: str

    def sections(self, **settings: Any) -> Sections:
        return Sections({"postgres": {"url": self.url, **settings}}, {})

    def sql(self, statement: Any, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement as the superuser, beside the clients under test."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def as_role(self, name: str, password: str) -> str:
        """Return the URL for another role."""
        return self.url.replace("postgres:@", f"{name}:{password}@")


@pytest.fixture
def empty_database(postgres_server: str) -> Iterator[Database]:
    name = f"tests{next(_numbers)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    yield Database(postgres_server.replace("/postgres?", f"/{name}?"))
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def database(empty_database: Database) -> Database:
    """With mesh-six's repo_registry, which the reconciler finds but never makes."""
    empty_database.sql(REPO_REGISTRY.read_bytes())
    return empty_database


@pytest.fixture
def extended_database(database: Database) -> Database:
    """With the columns that operators add for mesh-six's receiver."""
    database.sql(REPO_REGISTRY.with_name("registry_of_the_receiver.sql").read_bytes())
    return database


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    with servers.s3() as endpoint:
        yield endpoint


@pytest.fixture
def bucket(s3_server: str) -> tuple[str, str]:
    """(endpoint, name of a bucket that does not exist yet)."""
    return s3_server, f"bucket-{next(_numbers)}"
