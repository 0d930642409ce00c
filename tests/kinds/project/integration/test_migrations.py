"""The migrations on a real PostgreSQL: repeated, at once, half done, and refused."""

from __future__ import annotations

import threading

import psycopg
import pytest

from reconciler.model.errors import Denied, Missing, SystemFault, Unavailable
from tests.integration.conftest import Database
from tests.kinds.project.support.databases import MIGRATIONS, limited, migrated
from tests.support.databases import store, tables


def test_migrations_make_our_tables_and_add_one_column(database: Database) -> None:
    database.sql("INSERT INTO repo_registry VALUES ('old', 'u', 'github', 'main', 'x', 'y')")
    with store(database) as client:
        assert client.migrate(MIGRATIONS) == (
            "012_onboarding_runs.sql",
            "014_reconciler_item_verifications.sql",
            "015_reconciler_followed.sql",
        )
        assert client.migrate(MIGRATIONS) == ()
    assert tables(database) == {
        "repo_registry",
        "onboarding_runs",
        "reconciler_item_verifications",
        "reconciler_followed",
    }
    assert database.sql("SELECT service_name, execution_mode FROM repo_registry") == [("old", "envbuilder")]


def test_the_scripts_may_run_again_by_hand(database: Database) -> None:
    migrated(database)
    for path in sorted(path for folder in MIGRATIONS for path in folder.glob("*.sql")):
        database.sql(path.read_bytes())
        database.sql(path.read_bytes())


def test_what_an_older_version_wrote_stays_for_it(database: Database) -> None:
    database.sql("CREATE TABLE reconciler_verifications (slug TEXT, resource TEXT)")
    database.sql("INSERT INTO reconciler_verifications VALUES ('acme-widgets', 'webhook')")
    migrated(database)
    assert database.sql("SELECT * FROM reconciler_verifications") == [("acme-widgets", "webhook")]


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TABLE onboarding_runs",
        "DROP INDEX idx_onboarding_runs_status",
        "ALTER TABLE repo_registry DROP COLUMN execution_mode",
        "DROP TABLE reconciler_item_verifications",
    ],
)
def test_a_half_migrated_database_is_mended_and_keeps_its_rows(database: Database, damage: str) -> None:
    migrated(database)
    database.sql("INSERT INTO repo_registry VALUES ('old', 'u', 'github', 'main', 'x', 'y')")
    database.sql(damage)
    with store(database) as client:
        assert len(client.migrate(MIGRATIONS)) == 1
        assert client.migrate(MIGRATIONS) == ()
    assert database.sql("SELECT service_name, execution_mode FROM repo_registry") == [("old", "envbuilder")]


def test_many_programs_may_migrate_at_once(database: Database) -> None:
    faults: list[SystemFault] = []
    start = threading.Barrier(5)

    def run() -> None:
        with store(database) as client:
            client.check_server()
            start.wait()
            try:
                client.migrate(MIGRATIONS)
            except SystemFault as fault:
                faults.append(fault)

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert "onboarding_runs" in tables(database)


def test_without_repo_registry_the_remedy_is_named_and_nothing_is_half_made(empty_database: Database) -> None:
    with (
        store(empty_database) as client,
        pytest.raises(Missing, match=r"no table repo_registry.*mesh-six's migrations"),
    ):
        client.migrate(MIGRATIONS)
    assert tables(empty_database) == {"reconciler_item_verifications", "reconciler_followed"}


def test_a_table_that_somebody_holds_is_not_waited_for_long(database: Database) -> None:
    with psycopg.connect(database.url) as holder:
        holder.execute("LOCK TABLE repo_registry IN ACCESS EXCLUSIVE MODE")
        with store(database) as client, pytest.raises(Unavailable, match="012"):
            client.migrate(MIGRATIONS)
    with store(database) as client:
        client.migrate(MIGRATIONS)
    assert "onboarding_runs" in tables(database)


def test_a_role_without_ddl_needs_the_owner_once(database: Database) -> None:
    url = limited(database, "limited_migrate")
    with store(Database(url)) as client:
        with pytest.raises(Denied, match=r"owner of the tables .* run the script 012_onboarding_runs\.sql"):
            client.migrate(MIGRATIONS)
        migrated(database)
        assert client.migrate(MIGRATIONS) == ()
