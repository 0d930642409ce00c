"""Evidence of the row in mesh-six's registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.kinds.project.evidence.item import another, made, owner_of, slug_of
from tests.support.evidence import Look, Rival, Shown
from tests.support.systems import Systems

INSERT = (
    "INSERT INTO repo_registry (service_name, platform, repo_url, default_branch, cicd_type, trigger_method, "
    "board_id) VALUES (%s, 'github', %s, 'main', 'x', 'y', 'x')"
)


def _rows(systems: Systems, name: str) -> Any:
    found = systems.rows(
        "SELECT * FROM repo_registry WHERE service_name = %s OR repo_url LIKE %s ORDER BY service_name",
        slug_of(name), f"%/{owner_of(name)}/{name}",
    )  # fmt: skip
    rows = [
        {key: value for key, value in row.items() if not key.endswith("_at") and key != "id"} for row in found
    ]
    for row in rows:
        # By these the board can be told from all others; that it is the project's is said by its id.
        row["metadata"].pop("boardNumber", None)
        row["metadata"].pop("boardUrl", None)
        row["metadata"]["statusOptions"] = sorted(row["metadata"].get("statusOptions", {}))
    return rows


def _their_row(systems: Systems, name: str) -> Look:
    systems.insert(INSERT, slug_of(name), "https://git.example/them/theirs")
    # All but the columns that our migration adds.
    select = (
        "SELECT platform, repo_url, default_branch, board_id, metadata, updated_at "
        "FROM repo_registry WHERE service_name = %s"
    )
    return lambda: systems.rows(select, slug_of(name))


def _delete(systems: Systems, name: str) -> None:
    systems.rows("DELETE FROM repo_registry WHERE service_name = %s", slug_of(name))


SHOWN: Mapping[str, Shown] = {
    "registry": Shown(
        made=made(
            {"postgres": _rows},
            lambda systems: {"rows": systems.rows("SELECT count(*) FROM repo_registry")[0]["count"]},
            {"rows": 1},
        ),
        foreign=Rival(_their_row),
        more=lambda systems, name: systems.insert(
            INSERT, f"{slug_of(name)}-{another()}", f"https://git.example/{owner_of(name)}/{name}"
        ),
        take_away=_delete,
    )
}
