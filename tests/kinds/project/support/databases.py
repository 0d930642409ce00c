"""The tables of projects, and roles, for the tests that work on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.engine import history
from reconciler.kinds.project import kind
from reconciler.kinds.project.tables.registry_rows import RegistryRow, RegistryWriter
from tests.integration.conftest import Database
from tests.support.databases import store

MIGRATIONS = [history.MIGRATIONS, Path(kind.__file__).parent / "migrations"]


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
