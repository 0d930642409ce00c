"""Brings the database to the shape that scripts give it: under a lock, and as often as one likes.

There is no table of what ran. Each file's first line names what it makes (`-- makes: table table.column`); a
file runs again while any of that is not there. So a database that was half migrated, or by hand, is mended,
and looking costs one statement without any lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reconciler.clients.postgres import SYSTEM, NoWrites, Postgres
from reconciler.model.errors import ConfigurationError, Denied, Missing, SystemFault

_HEADER = "-- makes: "

_ABSENT = """
    SELECT thing FROM unnest(%(things)s::text[]) AS thing
    WHERE CASE WHEN strpos(thing, '.') = 0 THEN to_regclass(thing) IS NULL
          ELSE NOT EXISTS (
              SELECT FROM pg_attribute
              WHERE attrelid = to_regclass(split_part(thing, '.', 1))
                AND attname = split_part(thing, '.', 2) AND NOT attisdropped)
          END
"""
_LOCK = "SELECT set_config('lock_timeout', '5s', true), pg_advisory_xact_lock(%(key)s)"
"""First in each migration's transaction: a second program waits here until the first is done.

The time limit is for the tables: a migration gives up when somebody else keeps one busy for long.
"""
_LOCK_KEY = 0x6D65_7368_0000_0002


def migrate(database: Postgres, folders: Sequence[Path]) -> tuple[str, ...]:
    """Run what is needed, in the order of the files' numbers; return their names, none when all was there.

    Every file is tried, each in a transaction of its own; then the first fault is raised.
    """
    files = sorted((found for folder in folders for found in _files(folder)), key=lambda found: found[0].name)
    wanted = [thing for _, makes in files for thing in makes]
    absent = {row["thing"] for row in database.rows(_ABSENT, {"things": wanted})}
    needed = [path for path, makes in files if absent.intersection(makes)]
    faults: list[SystemFault] = []
    for path in needed:
        try:
            _run(database, path)
        except SystemFault as fault:
            faults.append(_explained(fault, path))
    if faults:
        raise faults[0]
    return tuple(path.name for path in needed)


def _run(database: Postgres, path: Path) -> None:
    with database.transaction() as send:
        send(_LOCK, {"key": _LOCK_KEY})
        send(path.read_bytes(), None)


def _explained(fault: SystemFault, path: Path) -> SystemFault:
    name = path.name
    said, remedy = f"migration {name}: {fault.message.removeprefix(f'{SYSTEM}: ')}", fault.remedy
    if isinstance(fault, Missing):
        said = f"migration {name} found no table {' or '.join(_altered(path))}"
        remedy = (
            "it is mesh-six's own: run mesh-six's migrations on this database first, or check postgres.url"
        )
    if isinstance(fault, Denied) and not isinstance(fault, NoWrites):
        remedy = (
            f"let the owner of the tables that it changes run the script {name} once; "
            "this role needs no DDL after that"
        )
    explained = type(fault)(SYSTEM, said, remedy=remedy)
    explained.__cause__ = fault
    return explained


def _altered(path: Path) -> list[str]:
    """Return the tables of which a script makes columns only: those have to be there."""
    makes = _makes(path)
    return sorted({thing.partition(".")[0] for thing in makes if "." in thing}.difference(makes))


def _files(folder: Path) -> list[tuple[Path, tuple[str, ...]]]:
    """Return each script with what it makes, in the order of their numbers."""
    found = [(path, _makes(path)) for path in sorted(folder.glob("[0-9]*.sql"))]
    if not found:
        raise ConfigurationError(f"no migrations in {folder}", remedy="reinstall the program")
    return found


def _makes(path: Path) -> tuple[str, ...]:
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    if not first.startswith(_HEADER):
        raise ConfigurationError(f"{path.name}: its first line must begin with `{_HEADER}`")
    return tuple(first.removeprefix(_HEADER).split())
