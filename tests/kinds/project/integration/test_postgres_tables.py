"""What projects keep in PostgreSQL: runs and registry rows, and what a role may not do."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.clients.pass_store import PassStore, Verification
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.kinds.project.tables.registry_rows import Registry
from reconciler.kinds.project.tables.run_ledger import RunLedger, RunTable
from reconciler.model.errors import (
    Collision,
    Denied,
    Missing,
    Rejected,
)
from reconciler.model.item import Item, ItemId, Source
from reconciler.model.json import Object
from reconciler.model.outcome import Condition, ItemReport, Outcome
from tests.integration.conftest import Database
from tests.kinds.project.support.databases import MIGRATIONS, limited, migrated, registry, row
from tests.support.databases import store, tables

NOW = datetime(2026, 1, 1, tzinfo=UTC)
A, B, OTHER_A = ItemId("project", "a"), ItemId("project", "b"), ItemId("another", "a")


# --- verifications and runs


def test_a_database_that_was_never_migrated_reads_as_empty(empty_database: Database) -> None:
    reader = PassStore.connect(empty_database.sections())
    runs = RunTable.connect(empty_database.sections())
    assert reader.memory().verified == {}
    assert runs.recorded() == {}
    RunLedger(reader)
    assert tables(empty_database) == set()
    runs.close()
    reader.close()


WIDGETS = Item(
    "a",
    "project",
    ProjectSpec.model_validate({"repoOwner": "acme", "repoName": "widgets"}),
    Source("projects/a.yaml", "0" * 40),
)
WRITTEN = (
    "SELECT id, repo_owner, repo_name, status, current_phase, current_activity, completed_activities,"
    " error_message, oauth_device_url, oauth_user_code, updated_at FROM onboarding_runs WHERE id = 'a'"
)


def failed(reason: str) -> ItemReport:
    login = {"verificationUri": "https://login.example", "userCode": "ABCD"}
    outcomes = (
        Outcome("x", "initialization", Condition.OK),
        Outcome("y", "auth_settings", Condition.CHANGED),
        Outcome("oauth", "auth_settings", Condition.ERROR, reason, section=login),
    )
    return ItemReport(WIDGETS.id, "failed", "auth_settings", "", outcomes)


def test_runs_are_kept_as_they_are(database: Database) -> None:
    migrated(database)
    with store(database) as client:
        RunLedger(client).record([(WIDGETS, failed('it\'s "so"'))], {})
        ((*row, at),) = database.sql(WRITTEN)
        assert row == [
            *("a", "acme", "widgets", "failed", "auth_settings", "oauth", ["x", "y"], 'it\'s "so"'),
            *("https://login.example", "ABCD"),
        ]
        RunLedger(client).record([(WIDGETS, failed('it\'s "so"'))], {})
        assert database.sql(WRITTEN) == [(*row, at)], "read as it was written, so not written again"
        RunLedger(client).record([], {"a": "suspended", "nobody": "suspended"})
        ((*rests, later),) = database.sql(WRITTEN)
        assert rests == [*row[:3], "suspended", *row[4:]]
        assert later > at
        assert database.sql("SELECT id FROM onboarding_runs") == [("a",)]


def test_a_run_is_under_way_until_it_is_recorded(database: Database) -> None:
    migrated(database)
    runs = RunTable.connect(database.sections())
    with store(database) as client:
        ledger = RunLedger(client)
        ledger.begin([(WIDGETS, failed("foreseen"))])
        assert runs.recorded()["a"].running
        ledger.record([(WIDGETS, failed("came"))], {})
        assert not runs.recorded()["a"].running
    runs.close()


def test_rows_of_mesh_six_itself_stay(database: Database) -> None:
    migrated(database)
    database.sql("INSERT INTO onboarding_runs (id, repo_owner, repo_name, completed_activities)"
                 " VALUES ('workflow-1', 'acme', 'widgets', NULL)")  # fmt: skip
    with store(database) as client:
        RunLedger(client).record([(WIDGETS, failed("it is so"))], {"workflow-1": "pending"})
    assert database.sql(
        "SELECT repo_owner, repo_name, status, completed_activities, updated_at = created_at"
        " FROM onboarding_runs WHERE id = 'workflow-1'"
    ) == [("acme", "widgets", "pending", None, True)]
    assert database.sql("SELECT count(*) FROM onboarding_runs") == [(2,)]


def test_a_row_is_inserted_and_our_part_of_it_replaced(database: Database) -> None:
    migrated(database)
    with registry(database) as client:
        client.register(row(), over=None)
        database.sql("UPDATE repo_registry SET cicd_type = 'gitea-actions',"
                     " metadata = metadata || '{\"theirs\": {\"a\": 1}}'")  # fmt: skip
        client.register(row(board_id="PVT_2", metadata={"managedBy": "us", "new": [1]}), over=row().repo_url)
        (found,) = client.registered(["acme-widgets"], [])
    assert found.board_id == "PVT_2"
    assert found.metadata == {"managedBy": "us", "new": [1], "theirs": {"a": 1}}
    assert database.sql("SELECT cicd_type, trigger_method, platform, execution_mode FROM repo_registry") == [
        ("gitea-actions", "project-board", "github", "envbuilder")
    ]


def test_a_row_that_appeared_meanwhile_is_not_overwritten(database: Database) -> None:
    migrated(database)
    database.sql(
        "INSERT INTO repo_registry VALUES ('acme-widgets', 'theirs', 'gitea', 'main', 'x', 'y', 'B')"
    )
    with registry(database) as client:
        for over in (None, row().repo_url):
            with pytest.raises(Collision):
                client.register(row(), over=over)
    assert database.sql("SELECT repo_url, board_id FROM repo_registry") == [("theirs", "B")]


def test_columns_that_operators_added_are_written_where_they_are(extended_database: Database) -> None:
    migrated(extended_database)
    more: Object = {"owner": "acme", "name": "widgets", "github_project_number": 3, "repo_name": "nowhere"}
    with registry(extended_database) as client:
        client.register(row(more=more), over=None)
        client.register(row(more={**more, "github_project_number": 4}), over=row().repo_url)
        (found,) = client.registered(["acme-widgets"], [])
    assert found.more == {
        "owner": "acme", "name": "widgets", "full_name": None, "github_project_id": None,
        "github_project_url": None, "github_project_number": 4,
    }  # fmt: skip


def test_rows_are_found_by_name_and_by_url(database: Database) -> None:
    database.sql(
        "INSERT INTO repo_registry VALUES"
        " ('acme/widgets', 'https://GitHub.com/Acme/Widgets.git', 'github', 'main', 'x', 'y', NULL, '[]'),"
        " ('other', 'https://github.com/acme/other', 'github', 'main', 'x', 'y', 'B', NULL)"
    )
    reader = Registry.connect(database.sections())
    found = reader.registered(["other"], ["https://github.com/acme/widgets"])
    reader.close()
    assert {each.service_name for each in found} == {"acme/widgets", "other"}
    assert {each.execution_mode for each in found} == {""}, "not migrated yet, and readable all the same"


def test_without_the_table_the_remedy_is_named(empty_database: Database) -> None:
    reader = Registry.connect(empty_database.sections())
    with pytest.raises(Missing, match="mesh-six's own migrations"):
        reader.registered(["a"], [])
    reader.close()


def test_a_reader_cannot_write_even_by_mistake(database: Database) -> None:
    migrated(database)
    reader = PassStore.connect(database.sections())
    with pytest.raises(Rejected, match="ReadOnly"):
        reader.rows("DELETE FROM onboarding_runs")
    reader.close()


def test_a_quiet_pass_sends_five_statements(database: Database) -> None:
    migrated(database)
    (log,) = database.sql("SHOW data_directory")[0]
    name = database.sql("SELECT current_database()")[0][0]
    database.sql(f"ALTER DATABASE {name} SET log_statement = 'all'".encode())
    before = (Path(log) / "log").stat().st_size if (Path(log) / "log").exists() else 0
    with store(database) as client:
        reader = Registry.connect(database.sections())
        assert client.acquire()
        client.migrate(MIGRATIONS)
        client.memory()
        reader.registered(["a"], ["b"])
        reader.check_server()
        RunLedger(client).record([], {"a": "suspended"})
        assert client.still_held()
        reader.close()
    text = (Path(log) / "log").read_text()[before:]
    sent = re.findall(r"LOG:  (?:statement|execute [^:]*): (.*)", text)
    assert len(sent) == 5, sent


def test_a_wrong_password_is_denied(database: Database) -> None:
    limited(database, "limited_password")
    client = Registry.connect(Database(database.as_role("limited_password", "wr0ng-secret")).sections())
    with pytest.raises(Denied) as caught:
        client.registered([], [])
    assert "wr0ng-secret" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_an_unknown_role_or_database_is_denied(database: Database) -> None:
    for url in (database.as_role("nobody-at-all", "x"), re.sub(r"/tests\d+", "/not_there", database.url)):
        with pytest.raises(Denied):
            Registry.connect(Database(url).sections()).check_server()


def test_a_role_without_grants_is_denied(database: Database) -> None:
    url = limited(migrated(database), "limited_grants")
    with store(Database(url)) as client:
        for read in (lambda: RunLedger(client), client.memory):
            with pytest.raises(Denied):
                read()
        with pytest.raises(Denied):
            client.save_verifications({(A, "webhook"): Verification(NOW)})
