"""Clients and roles for the tests that work on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.clients.pass_store import PassStoreWriter
from reconciler.engine import history
from reconciler.kinds import KINDS
from reconciler.kinds.project.tables.registry import RegistryRow, RegistryWriter
from tests.integration.conftest import Database

MIGRATIONS = [history.MIGRATIONS, *(each.migrations for each in KINDS.values() if each.migrations)]


@contextmanager
def store(database: Database) -> Iterator[PassStoreWriter]:
    client = PassStoreWriter.connect(database.sections())
    try:
        yield client
    finally:
        client.close()


@contextmanager
def registry(database: Database) -> Iterator[RegistryWriter]:
    client = RegistryWriter.connect(database.sections())
    try:
        yield client
    finally:
        client.close()


def row(name: str = "acme-widgets", **changes: object) -> RegistryRow:
    fields: dict[str, object] = {
        "service_name": name,
        "repo_url": "https://github.com/acme/widgets",
        "platform": "github",
        "default_branch": "trunk",
        "board_id": "PVT_1",
        "execution_mode": "envbuilder",
        "metadata": {"managedBy": "us"},
    }
    return RegistryRow(**{**fields, **changes})  # type: ignore[arg-type]


def tables(database: Database) -> set[str]:
    found = database.sql(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    return {name for (name,) in found}


def migrated(database: Database) -> Database:
    with store(database) as client:
        client.migrate(MIGRATIONS)
    return database


def limited(database: Database, name: str) -> str:
    """Make a role that may connect, and read and write rows, but own nothing."""
    database.sql(f"DROP ROLE IF EXISTS {name}".encode())
    database.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'pass-of-{name}'".encode())
    database.sql(f"GRANT SELECT ON repo_registry TO {name}".encode())
    return database.as_role(name, f"pass-of-{name}")
