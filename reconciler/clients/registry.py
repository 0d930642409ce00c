"""mesh-six's table `repo_registry`: our rows are written, our keys inside its metadata merged, the rest left.

The table is mesh-six's own: `service_name` is its key, and `repo_url`, `platform`, `cicd_type` and
`trigger_method` must be given with every new row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from reconciler.clients.postgres import SYSTEM, Postgres
from reconciler.errors import Collision, Missing
from reconciler.model.json import Object
from reconciler.systems import Writer

# As JSON, so that a database which still lacks execution_mode can be read (a plan never migrates).
_SELECT = """
    SELECT to_jsonb(r) AS found FROM repo_registry r
    WHERE service_name = ANY(%(names)s)
       OR lower(regexp_replace(repo_url, '(\\.git)?/?$', '')) = ANY(%(urls)s)
"""
_UPSERT = """
    INSERT INTO repo_registry AS r (service_name, repo_url, platform, default_branch, cicd_type,
                                    trigger_method, board_id, execution_mode, metadata)
    VALUES (%(name)s, %(url)s, 'github', %(branch)s, 'github-actions', 'project-board',
            %(board)s, %(mode)s, %(metadata)s)
    ON CONFLICT (service_name) DO UPDATE SET
        repo_url = EXCLUDED.repo_url, platform = EXCLUDED.platform, default_branch = EXCLUDED.default_branch,
        board_id = EXCLUDED.board_id, execution_mode = EXCLUDED.execution_mode,
        updated_at = now(),
        metadata = CASE jsonb_typeof(r.metadata) WHEN 'object' THEN r.metadata ELSE '{}' END
                   || EXCLUDED.metadata
    WHERE r.repo_url = %(over)s
    RETURNING service_name
"""


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


class RegistryWriter(Registry, Writer):
    """Writes rows too; never removes one."""

    def register(self, row: RegistryRow, *, over: str) -> None:
        """Insert the row, or write it over the one of that name whose URL is `over`; "" for a new one.

        Collision when a row of that name has another URL by now. Metadata keys that are not given stay.
        """
        written = self.rows(
            _UPSERT,
            {
                "name": row.service_name,
                "url": row.repo_url,
                "branch": row.default_branch,
                "board": row.board_id,
                "mode": row.execution_mode,
                "metadata": Jsonb(row.metadata),
                "over": over,
            },
        )
        if not written:
            raise Collision(SYSTEM, f"repo_registry row {row.service_name} is another repository's by now")


def _row(found: Mapping[str, Any]) -> RegistryRow:
    metadata = found.get("metadata")
    texts = {
        name: str(found.get(name) or "")
        for name in ("service_name", "repo_url", "platform", "default_branch", "board_id", "execution_mode")
    }
    return RegistryRow(**texts, metadata=metadata if isinstance(metadata, dict) else {})
