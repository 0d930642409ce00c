"""mesh-six's table `repo_registry`: our rows are written, our keys inside its metadata merged, the rest left.

The table is mesh-six's own, keyed by `service_name`. As its second migration makes it, every row must have
`repo_url`, `platform`, `cicd_type` and `trigger_method`; parts of mesh-six speak of owner and name columns
too. So what we write is what we know and the table has.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from reconciler.clients.postgres import SYSTEM, Postgres
from reconciler.model.errors import Collision, Missing, Rejected
from reconciler.model.json import Object
from reconciler.settings.giving import Writer

# As JSON, so that a database which still lacks execution_mode can be read (a plan never migrates).
_SELECT = """
    SELECT to_jsonb(r) AS found FROM repo_registry r
    WHERE service_name = ANY(%(names)s)
       OR lower(regexp_replace(repo_url, '(\\.git)?/?$', '')) = ANY(%(urls)s)
"""
_COLUMNS = """
    SELECT attname AS name FROM pg_attribute
    WHERE attrelid = to_regclass('repo_registry') AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""
_UPSERT = sql.SQL("""
    INSERT INTO repo_registry AS r ({columns}) VALUES ({values})
    ON CONFLICT (service_name) DO UPDATE SET {changes}, updated_at = now(),
        metadata = CASE jsonb_typeof(r.metadata) WHEN 'object' THEN r.metadata ELSE '{{}}' END
                   || EXCLUDED.metadata
    WHERE coalesce(r.repo_url, '') = {over}
    RETURNING service_name
""")
_UNIQUE = """
    SELECT 1 FROM pg_index i
    WHERE i.indrelid = to_regclass('repo_registry') AND i.indisunique AND i.indpred IS NULL AND
        (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_attribute a
         WHERE a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)) = ARRAY['name', 'owner']
"""
_ANOTHER = """
    SELECT 1 FROM repo_registry
    WHERE owner = %(owner)s AND name = %(name)s AND service_name <> %(service_name)s
"""
_MANAGED = "SELECT to_jsonb(r) AS found FROM repo_registry r WHERE metadata ->> 'managedBy' = %(manager)s"
_DELETE = """
    DELETE FROM repo_registry
    WHERE service_name = %(name)s AND metadata ->> 'managedBy' = %(manager)s
        AND metadata ->> 'repositoryId' = %(repository)s
"""
_REQUIRED = {"service_name", "repo_url", "board_id", "execution_mode", "metadata"}
"""Columns without which the row would not say what it is for; others are written where the table has them."""
MORE = (
    "repo_owner",
    "repo_name",
    "owner",
    "name",
    "full_name",
    "github_project_id",
    "github_project_url",
    "github_project_number",
)
"""Columns that no migration of mesh-six makes and that its receiver or its own onboarding name in their SQL
(apps/webhook-receiver, register-in-database of apps/onboarding-service): where an operator added them."""
_FIRST = {"service_name", "metadata", "cicd_type", "trigger_method"}
"""What a row keeps once it is there: its key, what people may choose, and `metadata`, which is merged."""


@dataclass(frozen=True)
class RegistryRow:
    """The columns that we read; what is not text where text is due reads as empty."""

    service_name: str
    repo_url: str
    platform: str
    default_branch: str
    board_id: str
    execution_mode: str
    metadata: Object
    more: Object = field(default_factory=dict)
    """Those of MORE that the table has, by column."""


class Registry(Postgres):
    """Reads repo_registry."""

    def registered(self, names: Collection[str], urls: Collection[str]) -> list[RegistryRow]:
        """Return the rows of these names, and those of these repositories' URLs. One statement.

        URLs are compared in lower case and without `.git`.
        """
        try:
            rows = self.rows(_SELECT, {"names": list(names), "urls": [url.lower() for url in urls]})
        except Missing as error:
            raise Missing(
                SYSTEM,
                "has no table repo_registry",
                remedy="run mesh-six's own migrations on this database first, or check postgres.url",
            ) from error
        return [_row(row["found"]) for row in rows]

    def managed_by(self, manager: str) -> list[RegistryRow]:
        """Return the rows whose metadata name that manager. One statement."""
        return [_row(row["found"]) for row in self.rows(_MANAGED, {"manager": manager})]


class RegistryWriter(Registry, Writer):
    """Writes rows too, and removes what carries our mark."""

    _columns: frozenset[str] = frozenset()

    def register(self, row: RegistryRow, *, over: str | None) -> None:
        """Insert the row, or write it over the one of that name whose URL is `over`; None for a new one.

        Collision when a row of that name has another URL by now. Metadata keys that are not given stay.
        """
        given: dict[str, object] = {
            "service_name": row.service_name,
            "repo_url": row.repo_url,
            "platform": row.platform,
            "default_branch": row.default_branch,
            "cicd_type": "github-actions",
            "trigger_method": "project-board",
            "board_id": row.board_id,
            "execution_mode": row.execution_mode,
            "metadata": Jsonb(row.metadata),
            **row.more,
        }
        names = [column for column in given if column in _REQUIRED | self._there()]
        statement = _UPSERT.format(
            columns=sql.SQL(", ").join(map(sql.Identifier, names)),
            values=sql.SQL(", ").join(map(sql.Placeholder, names)),
            changes=sql.SQL(", ").join(
                sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(column))
                for column in names
                if column not in _FIRST
            ),
            over=sql.Placeholder("over"),
        )
        if self._clashes(row):
            raise Rejected(
                SYSTEM,
                f"repo_registry has another row for {row.more['owner']}/{row.more['name']}",
                remedy="remove or rename that row: with unique columns there can be one for each repository",
            )
        if not self.rows(statement, {**given, "over": over}):
            raise Collision(SYSTEM, f"repo_registry row {row.service_name} is another repository's by now")

    def unregister(self, name: str, manager: str, repository: int) -> None:
        """Delete the row of that name whose metadata name us and this repository; nothing for any other."""
        self.rows(_DELETE, {"name": name, "manager": manager, "repository": str(repository)})

    def _clashes(self, row: RegistryRow) -> bool:
        """Tell whether another row has the owner and name, where the table wants these to be unique."""
        if not {"owner", "name"} <= self._there() & row.more.keys():
            return False
        said = {"owner": row.more["owner"], "name": row.more["name"], "service_name": row.service_name}
        return bool(self.rows(_UNIQUE, {})) and bool(self.rows(_ANOTHER, said))

    def _there(self) -> frozenset[str]:
        if not self._columns:
            self._columns = frozenset(row["name"] for row in self.rows(_COLUMNS))
        return self._columns


def _row(found: Mapping[str, Any]) -> RegistryRow:
    metadata = found.get("metadata")
    texts = {
        name: str(found.get(name) or "")
        for name in ("service_name", "repo_url", "platform", "default_branch", "board_id", "execution_mode")
    }
    return RegistryRow(
        **texts,
        metadata=metadata if isinstance(metadata, dict) else {},
        more={column: found[column] for column in MORE if column in found},
    )
