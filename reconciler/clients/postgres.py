"""PostgreSQL: one connection per client, every statement bounded in time, every refusal one of our errors.

Knows psycopg and no table. A pass that changes nothing is to cost a handful of statements, so nothing is sent
beside those that a caller wrote: autocommit sends no BEGIN, settings travel with the connection, nothing is
prepared. What is known of the server is in docs/systems/postgresql.md.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, LiteralString, Self, TypeAlias

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row
from pydantic import AliasChoices, Field, SecretStr

from reconciler.clients.retry import Retry
from reconciler.model.errors import (
    Collision,
    ConfigurationError,
    Denied,
    Missing,
    Rejected,
    SystemFault,
    Unavailable,
)
from reconciler.settings.giving import Reader, Sections, Settings, Writer
from reconciler.settings.request_count import count

SYSTEM = "PostgreSQL"
CONNECT_TIMEOUT = 5
STATEMENT_TIMEOUT = 10
"""Seconds, kept by the server."""
ANSWER_TIMEOUT = 12.0
"""Seconds, kept by us: for a server or a network that has gone silent."""

Row: TypeAlias = dict[str, Any]
Statement: TypeAlias = LiteralString | bytes | sql.SQL | sql.Composed
Values: TypeAlias = Mapping[str, Any] | None
Connection: TypeAlias = psycopg.Connection[Row]


class PostgresSettings(Settings):
    """mesh-six's database. The lock that keeps a second pass off lives in a session of it."""

    section: ClassVar[str] = "postgres"

    url: SecretStr | None = Field(None, validation_alias=AliasChoices("url", "DATABASE_URL"))
    """`postgresql://user:password@host/database`; to the server, or to a pool in session mode."""

    def missing(self) -> str | None:
        """Off without a URL."""
        return None if self.url else "postgres.url (DATABASE_URL)"


class NoWrites(Denied):
    """The server takes no writes, whoever asks: a standby, or sessions that are read-only by default."""

    usual_remedy = (
        "let postgres.url lead to the primary (of several hosts, target_session_attrs=primary finds it), "
        "or reset default_transaction_read_only for this role and database"
    )


class Postgres(Reader):
    """One connection, made by the first statement. A reader's session is read-only for the server too."""

    system: ClassVar[str] = SYSTEM
    settings: ClassVar[type[Settings]] = PostgresSettings

    def __init__(self, settings: PostgresSettings) -> None:
        self._url = settings.url or SecretStr("")
        self._open: Connection | None = None
        self._pinned = False
        self._retry = Retry()
        self._one_at_a_time = threading.RLock()

    @classmethod
    def connect(cls, sections: Sections) -> Self:
        """Make a client; it connects with its first statement."""
        return cls(sections.get(PostgresSettings))

    def close(self) -> None:
        """End the session, and with it every lock that it holds."""
        with self._one_at_a_time:
            if self._open is not None:
                self._open.close()
            self._open = None

    def check_server(self) -> None:
        """Raise the SystemFault that stands between us and the server, if any. Sends no statement."""
        with self._one_at_a_time:
            if self._open is None or not self._alive():
                self._retry.repeat(self._connection)

    def rows(self, statement: Statement, values: Values = None) -> list[Row]:
        """Send one statement that is safe to repeat, and return its rows."""
        if self._pinned:
            # A lost connection is not replaced, so there is nothing to try again on.
            return self._once(statement, values)
        return self._retry.repeat(self._once, statement, values)

    @contextmanager
    def transaction(self) -> Iterator[Callable[[Statement, Values], list[Row]]]:
        """Yield what sends a statement inside one transaction; nothing of it stays when the block raises."""
        with self._one_at_a_time, self._faults():
            connection = self._retry.repeat(self._connection)
            with connection.transaction():
                yield lambda statement, values: _send(connection, statement, values)

    def _once(self, statement: Statement, values: Values) -> list[Row]:
        with self._one_at_a_time, self._faults():
            return _send(self._connection(), statement, values)

    @property
    def _is_standby(self) -> bool:
        """Whether the server has told that it follows another one. A pool may keep that to itself."""
        return self._open is not None and self._open.info.parameter_status("in_hot_standby") == "on"

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except errors.ReadOnlySqlTransaction as error:
            if not isinstance(self, Writer):
                raise fault_of(error) from error  # we wrote in a session of ours that may not
            what = "is a standby" if self._is_standby else "has read-only sessions"
            raise NoWrites(SYSTEM, f"{what}, and takes no writes") from error
        except psycopg.Error as error:
            raise fault_of(error) from error

    def _alive(self) -> bool:
        """Whether the connection is still there, as far as can be told without sending anything."""
        try:
            if self._open is None or self._open.closed:
                return False
            # Twice: where the server ended the session, the first reads its farewell, and only the second
            # finds that the connection is closed.
            self._open.pgconn.consume_input()
            self._open.pgconn.consume_input()
        except psycopg.Error:
            return False
        return True

    def _connection(self) -> Connection:
        if self._open is not None and not self._open.closed:
            return self._open
        if self._pinned:
            raise Unavailable(SYSTEM, "lost the connection that held this pass's lock")
        self._open = _connect(self._url, read_only=not isinstance(self, Writer))
        return self._open


def _connect(url: SecretStr, *, read_only: bool) -> Connection:
    try:
        given = conninfo_to_dict(url.get_secret_value())
    except psycopg.ProgrammingError:
        # Not `from error`: its text quotes the URL, password and all.
        raise ConfigurationError(
            "postgres.url is not a connection URL",
            remedy="write it like postgresql://user:password@host:5432/database",
        ) from None
    if read_only and given.get("target_session_attrs") == "read-write":
        # libpq would take our own reading sessions for a server that takes no writes.
        given["target_session_attrs"] = "primary"
    options = [
        str(given.get("options") or ""),
        f"-c statement_timeout={STATEMENT_TIMEOUT}s",
        # A node that vanishes says no goodbye; by default its session, and so the lock, stays for two hours.
        "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3",
        "-c default_transaction_read_only=on" if read_only else "",
    ]
    defaults: dict[str, str | int] = {
        "application_name": "mesh-six-reconciler",
        "connect_timeout": CONNECT_TIMEOUT,
    }
    try:
        return psycopg.connect(
            make_conninfo("", **{**defaults, **given, "options": " ".join(filter(None, options))}),
            autocommit=True,
            prepare_threshold=None,
            row_factory=dict_row,
        )
    except psycopg.OperationalError as error:
        where = f"{given.get('host') or given.get('hostaddr') or 'its socket'}:{given.get('port') or 5432}"
        raise _refused(error, where) from error


def _send(connection: Connection, statement: Statement, values: Values) -> list[Row]:
    count(SYSTEM, " ".join(statement.split())[:80] if isinstance(statement, str) else "composed statement")
    with _deadline(connection):
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def _refused(error: psycopg.OperationalError, where: str) -> SystemFault:
    """Tell a refused login from a server that is not there; libpq gives nothing but the words."""
    said = str(error)
    if "starting up" in said or "shutting down" in said or "too many" in said:
        return Unavailable(SYSTEM, "is not taking connections now")
    if "authentication failed" in said or "no password supplied" in said or "pg_hba.conf" in said:
        return Denied(SYSTEM, "refused our login", remedy="check the user and password of postgres.url")
    if "session is read-only" in said or "in hot standby mode" in said:
        return NoWrites(SYSTEM, f"takes no writes at {where}")
    if "permission denied" in said or "not permitted" in said:
        return Denied(SYSTEM, "refused our login", remedy="let this role connect to the database")
    if "FATAL" in said and "does not exist" in said:
        return Denied(SYSTEM, "has no such role or database", remedy="check postgres.url")
    return Unavailable(SYSTEM, f"could not be reached at {where}")


_CLASSES: Mapping[str, type[SystemFault]] = {
    "08": Unavailable,  # connection
    "40": Unavailable,  # deadlock, serialization
    "53": Unavailable,  # out of something
    "57": Unavailable,  # cancelled, statement_timeout, shutdown
    "58": Unavailable,  # the server's own system
    "XX": Unavailable,  # internal error
    "28": Denied,
}


def fault_of(error: psycopg.Error) -> SystemFault:
    """Return the error that a refused statement stands for. Its text is not quoted: it may hold values."""
    named = f"refused a statement: {type(error).__name__}"
    if isinstance(error, errors.InsufficientPrivilege):
        return Denied(SYSTEM, named, remedy="grant this role what README.md lists for PostgreSQL")
    if isinstance(error, errors.UndefinedTable):
        return Missing(SYSTEM, named)
    if isinstance(error, errors.UniqueViolation):
        return Collision(SYSTEM, named)
    if isinstance(error, errors.LockNotAvailable):
        return Unavailable(SYSTEM, "a table is locked by somebody else")
    if error.sqlstate is None and isinstance(error, psycopg.OperationalError):
        return Unavailable(SYSTEM, "lost the connection")
    return _CLASSES.get((error.sqlstate or "")[:2], Rejected)(SYSTEM, named)


@contextmanager
def _deadline(connection: Connection) -> Iterator[None]:
    """Cut the connection when no answer comes: statement_timeout cannot help where the network is silent."""
    wire = socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM)
    timer = threading.Timer(ANSWER_TIMEOUT, wire.shutdown, [socket.SHUT_RDWR])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        wire.close()
