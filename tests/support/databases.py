"""Sessions of a pass for the tests that work on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.clients.pass_store import PassStoreWriter
from tests.integration.conftest import Database


@contextmanager
def store(database: Database) -> Iterator[PassStoreWriter]:
    client = PassStoreWriter.connect(database.sections())
    try:
        yield client
    finally:
        client.close()


def tables(database: Database) -> set[str]:
    found = database.sql(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    return {name for (name,) in found}
