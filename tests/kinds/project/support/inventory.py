"""All that exists for one project in every system, in words that are equal for equal projects.

It is what the evidence tells of each resource, and beside that what the engine and the kind's ledger keep.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from reconciler.git.status_text import load_status
from reconciler.model.item import ItemId
from reconciler.model.status_file import status_path
from reconciler.sandbox.supervisor import Sandbox
from tests.kinds.project.evidence import EVIDENCE
from tests.kinds.project.evidence.item import neutral, owner_of, slug_of
from tests.support.evidence import Made
from tests.support.systems import Systems

MADE: Mapping[str, Made] = {
    name: shown.made for name, shown in EVIDENCE.resources.items() if isinstance(shown.made, Made)
}
EACH: Mapping[str, int] = {thing: count for made in MADE.values() for thing, count in made.each.items()}
"""How many of each thing a settled project adds to what there is in all."""

Inventory = dict[str, Any]


def inventory(sandbox: Sandbox, name: str) -> Inventory:
    """Return everything of the project whose repository has that name."""
    with closing(Systems(sandbox)) as systems:
        made = {
            resource: {system: look(systems, name) for system, look in each.inventory.items()}
            for resource, each in MADE.items()
        }
        more = {"run": _run(systems, name), "status": _status(systems, name)}
        return {**made, **neutral(systems, name, more)}


def totals(sandbox: Sandbox) -> dict[str, int]:
    """Count everything in every system, so that an orphan shows."""
    with closing(Systems(sandbox)) as systems:
        counted = {thing: count for made in MADE.values() for thing, count in made.totals(systems).items()}
        (runs,) = systems.rows("SELECT count(*) FROM onboarding_runs")
        branches = len(list(systems.config.references)) + len(list(systems.manifests.references))
        return {**counted, "runs": runs["count"], "branches": branches}


def _run(systems: Systems, name: str) -> list[dict[str, Any]]:
    rows = systems.rows(
        "SELECT * FROM onboarding_runs WHERE id = %s OR repo_name = %s",
        slug_of(name),
        f"{owner_of(name)}/{name}",
    )
    return [
        {key: value for key, value in row.items() if not key.endswith("_at") and key != "id"} for row in rows
    ]


def _status(systems: Systems, name: str) -> Inventory:
    path = status_path(ItemId("project", slug_of(name)))
    try:
        blob = systems.config.revparse_single(f"main:{path}")
    except KeyError:
        return {}
    document = load_status(path, blob.read_raw())
    return {
        "status": document["status"],
        "resources": {resource: entry["state"] for resource, entry in document["resources"].items()},
        "oauth": document["oauth"]["state"] if "oauth" in document else None,
    }
