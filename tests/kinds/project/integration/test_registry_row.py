"""The registry row on a real PostgreSQL: mesh-six's own table, and what operators add to it."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import sql

from reconciler.kinds.project.resources.registry_row import RegistryRowResource
from reconciler.model.decision import Action, Failed, Needed, Settled
from reconciler.model.errors import Collision, Rejected
from reconciler.model.observation import Absent, Known
from tests.integration.conftest import Database
from tests.kinds.project.support import databases
from tests.kinds.project.support.passes import Passes, target


@pytest.fixture(params=["database", "extended_database"])
def migrated(request: pytest.FixtureRequest) -> Database:
    database = request.getfixturevalue(request.param)
    assert isinstance(database, Database)
    return databases.migrated(database)


@pytest.fixture
def registry(migrated: Database) -> Passes:
    return Passes(RegistryRowResource(migrated.sections()))


def insert(database: Database, name: str, url: str) -> None:
    """Insert a row as a person would, into whatever columns the table insists on."""
    columns = {
        column
        for (column,) in database.sql(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'repo_registry'::regclass AND attnum > 0"
        )
    }
    given = {
        "service_name": name, "repo_url": url, "platform": "github", "cicd_type": "x", "trigger_method": "y",
        "board_id": "PVT_9", "metadata": '{"theirs": 1}',
    }  # fmt: skip
    names = [column for column in given if column in columns]
    database.sql(
        sql.SQL("INSERT INTO repo_registry ({}) VALUES ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, names)), sql.SQL(", ").join(sql.Placeholder() * len(names))
        ),
        *(given[column] for column in names),
    )


def stored(database: Database, name: str = "acme-widgets") -> tuple[Any, ...]:
    (found,) = database.sql(
        "SELECT repo_url, board_id, execution_mode, metadata FROM repo_registry WHERE service_name = %s", name
    )
    return found


def test_a_row_is_made_and_settled(registry: Passes, migrated: Database) -> None:
    applied = registry.run(target())
    url, board, mode, metadata = stored(migrated)
    assert (url, board, mode) == ("https://github.com/acme/widgets", "PVT_1", "envbuilder")
    assert metadata["repositoryId"] == 7
    assert metadata["resourceLimits"]["memoryLimit"] == "8Gi"
    assert registry.plan(target()) == applied


def test_the_receiver_finds_the_board_by_its_own_query(extended_database: Database) -> None:
    registry = Passes(RegistryRowResource(databases.migrated(extended_database).sections()))
    registry.run(target())
    asked = "SELECT github_project_id, metadata FROM repo_registry WHERE owner = %s AND name = %s"
    ((board, metadata),) = extended_database.sql(asked, "acme", "widgets")
    assert (board, metadata["projectFieldIds"]["status"]) == ("PVT_1", "S")
    # What somebody empties there is put back; columns that the table lacks are missed by nobody.
    extended_database.sql("UPDATE repo_registry SET github_project_id = NULL")
    assert registry.run(target()) == registry.plan(target())
    assert extended_database.sql(asked, "acme", "widgets")[0][0] == "PVT_1"


def test_a_row_that_has_the_owner_and_name_is_told_with_a_remedy(extended_database: Database) -> None:
    registry = Passes(RegistryRowResource(databases.migrated(extended_database).sections()))
    insert(extended_database, "acme/widgets", "https://github.com/acme/widgets")
    extended_database.sql("UPDATE repo_registry SET owner = 'acme', name = 'widgets'")
    with pytest.raises(Rejected, match="another row for acme/widgets") as caught:
        registry.run(target(adopt=True))
    assert "remove or rename" in caught.value.remedy
    assert extended_database.sql("SELECT count(*) FROM repo_registry WHERE owner = 'acme'") == [(1,)]


def test_columns_of_other_types_and_generated_ones_are_left_in_peace(database: Database) -> None:
    database.sql(
        b"ALTER TABLE repo_registry ADD COLUMN owner TEXT, ADD COLUMN name TEXT,"
        b" ADD COLUMN github_project_number TEXT,"
        b" ADD COLUMN full_name TEXT GENERATED ALWAYS AS (owner || '/' || name) STORED"
    )
    registry = Passes(RegistryRowResource(databases.migrated(database).sections()))
    registry.run(target())
    assert database.sql("SELECT full_name, github_project_number FROM repo_registry") == [
        ("acme/widgets", "3")
    ]
    assert isinstance(registry.plan(target()), Settled)


def test_the_row_is_found_again_without_any_memory(registry: Passes) -> None:
    registry.run(target())
    assert isinstance(registry.plan(target()), Settled)


def test_creating_twice_gives_one(registry: Passes, migrated: Database) -> None:
    decision = registry.plan(target())
    registry.apply(target(), decision)
    registry.apply(target(), decision)
    assert migrated.sql("SELECT count(*) FROM repo_registry WHERE service_name = 'acme-widgets'") == [(1,)]
    assert isinstance(registry.plan(target()), Settled)


def test_an_update_leaves_the_keys_and_columns_of_others(registry: Passes, migrated: Database) -> None:
    registry.run(target())
    migrated.sql("UPDATE repo_registry SET metadata = metadata || '{\"theirs\": [1]}', platform = 'github'")
    decision = registry.plan(target(displayName="The Widgets"))
    registry.apply(target(displayName="The Widgets"), decision)
    metadata = stored(migrated)[3]
    assert (metadata["theirs"], metadata["displayName"]) == ([1], "The Widgets")


def test_a_foreign_row_survives_and_is_reported(registry: Passes, migrated: Database) -> None:
    insert(migrated, "acme-widgets", "https://github.com/other/thing")
    before = stored(migrated)
    decision = registry.plan(target())
    assert isinstance(decision, Failed)
    assert decision.conflict
    assert stored(migrated) == before


def test_a_foreign_row_that_appears_after_the_plan_survives(registry: Passes, migrated: Database) -> None:
    decision = registry.plan(target())
    insert(migrated, "acme-widgets", "https://github.com/other/thing")
    before = stored(migrated)
    with pytest.raises(Collision):
        registry.apply(target(), decision)
    assert stored(migrated) == before


def test_a_row_is_adopted_with_its_foreign_keys(registry: Passes, migrated: Database) -> None:
    insert(migrated, "acme-widgets", "https://github.com/other/thing")
    decision = registry.plan(target(adopt=True))
    assert isinstance(decision, Needed)
    assert decision.change.action is Action.ADOPT
    registry.apply(target(adopt=True), decision)
    url, board, _, metadata = stored(migrated)
    assert (url, board) == ("https://github.com/acme/widgets", "PVT_1")
    assert metadata["theirs"] == 1
    assert isinstance(registry.plan(target()), Settled)


def test_the_old_scripts_row_is_a_conflict_and_stays(registry: Passes, migrated: Database) -> None:
    insert(migrated, "acme/widgets", "https://github.com/Acme/widgets")
    before = stored(migrated, "acme/widgets")
    decision = registry.plan(target())
    assert isinstance(decision, Failed)
    assert "acme/widgets" in decision.reason
    registry.run(target(adopt=True))
    assert stored(migrated, "acme/widgets") == before
    assert isinstance(registry.plan(target()), Settled)


def test_a_thousand_projects_are_read_at_once(registry: Passes, migrated: Database) -> None:
    migrated.sql("SELECT pg_stat_reset()")
    targets = [target(f"r{number}") for number in range(1000)]
    registry.run(targets[7])
    seen = registry.observe(*targets)
    assert isinstance(seen["acme-r7"], Known)
    assert sum(isinstance(each, Absent) for each in seen.values()) == 999


def test_a_plan_reads_a_database_that_was_never_migrated(database: Database) -> None:
    passes = Passes(RegistryRowResource(database.sections()))
    assert isinstance(passes.plan(target()), Needed)
