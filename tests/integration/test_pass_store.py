"""The session of a pass on a real PostgreSQL: its lock, what it remembers, and a server that goes away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.clients import postgres as client_module
from reconciler.clients.pass_store import LOCK_KEY, PassStore, PassStoreWriter, Verification
from reconciler.clients.postgres import NoWrites, PostgresSettings
from reconciler.engine.history import MIGRATIONS
from reconciler.model.errors import ConfigurationError, Unavailable
from reconciler.model.item import ItemId
from reconciler.settings.giving import Sections
from tests.integration.conftest import Database
from tests.support import servers
from tests.support.databases import store

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = Verification(NOW, "7")
A, B, OTHER_A = ItemId("project", "a"), ItemId("project", "b"), ItemId("another", "a")


def migrated(database: Database) -> None:
    with store(database) as client:
        assert client.migrate([MIGRATIONS]) == (
            "014_reconciler_item_verifications.sql",
            "015_reconciler_followed.sql",
        )
        assert client.migrate([MIGRATIONS]) == ()


def test_only_one_pass_holds_the_lock(empty_database: Database) -> None:
    with store(empty_database) as first, store(empty_database) as second:
        assert first.acquire()
        assert not second.acquire(patience=0.2)
        assert first.still_held()
        assert not second.still_held()
        first.close()
        assert second.acquire()


def test_a_killed_session_is_noticed_and_never_replaced(empty_database: Database) -> None:
    with store(empty_database) as client:
        client.acquire()
        empty_database.sql(
            "SELECT pg_terminate_backend(pid, 2000) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s",
            LOCK_KEY & 0xFFFF_FFFF,
        )
        assert not client.still_held()
        for _ in range(2):
            with pytest.raises(Unavailable):
                client.save_verifications({(A, "webhook"): FIRST})


def test_a_killed_session_without_lock_is_replaced(empty_database: Database) -> None:
    migrated(empty_database)
    with store(empty_database) as client:
        client.memory()
        empty_database.sql(
            "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        assert client.memory().verified == {}


def test_verifications_are_kept_and_replaced(empty_database: Database) -> None:
    migrated(empty_database)
    later = NOW + timedelta(hours=1)
    with store(empty_database) as client:
        client.save_verifications({})
        client.save_verifications(
            dict.fromkeys([(A, "webhook"), (B, "webhook"), (OTHER_A, "webhook")], FIRST)
        )
        client.save_verifications({(B, "webhook"): Verification(later, "8")})
        assert client.memory().verified == {
            (A, "webhook"): FIRST,
            (B, "webhook"): Verification(later, "8"),
            (OTHER_A, "webhook"): FIRST,
        }


def test_a_server_that_is_down_is_unavailable() -> None:
    url = f"postgresql://user:sup3rsecret@127.0.0.1:{servers.free_port()}/x"
    with pytest.raises(Unavailable) as caught:
        PassStore.connect(Database(url).sections()).memory()
    assert "sup3rsecret" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_a_url_that_is_none_is_not_quoted() -> None:
    client = PassStore.connect(Database("postgres//user:sup3rsecret@host").sections())
    with pytest.raises(ConfigurationError) as caught:
        client.memory()
    assert "sup3rsecret" not in f"{caught.value} {caught.value.__cause__!r}"


def test_a_server_that_falls_silent_is_left(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "ANSWER_TIMEOUT", 0.3)
    with store(empty_database) as client:
        client.acquire()
        with pytest.raises(Unavailable, match="lost"):
            client.rows("SELECT pg_sleep(5)")
        assert not client.still_held()


def test_settings_come_from_the_given_environment_and_stay_hidden() -> None:
    settings = PostgresSettings.load({}, {"DATABASE_URL": "postgresql://u:sup3rsecret@h/d"})
    assert settings.missing() is None
    assert "sup3rsecret" not in repr(settings)
    assert PostgresSettings.load({}, {}).missing() == "postgres.url (DATABASE_URL)"


def test_a_table_of_the_version_before_can_be_read(empty_database: Database) -> None:
    migrated(empty_database)
    for column in ("identity", "places"):
        empty_database.sql(f"ALTER TABLE reconciler_item_verifications DROP COLUMN {column}")
    empty_database.sql("INSERT INTO reconciler_item_verifications VALUES ('lamp', 'a', 'webhook', now())")
    with store(empty_database) as client:
        ((_, seen),) = client.memory().verified.items()
        assert (seen.proof, seen.places) == ("", "")


def test_a_standby_gives_no_lock_and_is_called_one() -> None:
    with servers.postgres(standby=True) as url:
        sections = Sections({"postgres": {"url": url}}, {})
        reader, writer = PassStore.connect(sections), PassStoreWriter.connect(sections)
        assert reader.memory().verified == {}
        with pytest.raises(NoWrites, match="is a standby") as refused:
            writer.acquire()
        assert "primary" in refused.value.remedy
        assert not writer.still_held()
        with pytest.raises(NoWrites, match="is a standby, and takes no writes"):
            writer.rows("CREATE TABLE x ()")
        for client in (reader, writer):
            client.close()
        picky = Sections({"postgres": {"url": f"{url}&target_session_attrs=read-write"}}, {})
        with pytest.raises(NoWrites, match="takes no writes"):
            PassStoreWriter.connect(picky).acquire()


@pytest.mark.parametrize("wanted", ["read-write", "primary"])
def test_who_asks_for_a_primary_reads_from_it_too(empty_database: Database, wanted: str) -> None:
    """Our reading sessions are read-only by a setting, by which libpq tells a server that takes no writes."""
    migrated(empty_database)
    sign = "&" if "?" in empty_database.url else "?"
    url = f"{empty_database.url}{sign}target_session_attrs={wanted}"
    reader = PassStore.connect(Sections({"postgres": {"url": url}}, {}))
    assert reader.memory().verified == {}
    reader.close()


def test_sessions_that_are_read_only_keep_the_lock_and_name_the_setting(empty_database: Database) -> None:
    migrated(empty_database)
    name = empty_database.sql("SELECT current_database()")[0][0]
    empty_database.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
    with store(empty_database) as client:
        assert client.acquire()
        with pytest.raises(NoWrites, match="read-only sessions") as refused:
            client.save_verifications({(A, "webhook"): FIRST})
        assert "default_transaction_read_only" in refused.value.remedy
        assert client.still_held()
        assert client.memory().verified == {}


def test_a_migration_that_may_not_be_written_is_not_taken_for_a_lack_of_rights(
    empty_database: Database,
) -> None:
    name = empty_database.sql("SELECT current_database()")[0][0]
    empty_database.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
    with (
        store(empty_database) as client,
        pytest.raises(NoWrites, match=r"migration 014.* read-only sessions") as refused,
    ):
        client.migrate([MIGRATIONS])
    assert "default_transaction_read_only" in refused.value.remedy
