"""A project as evidence knows it: its names, and words that are equal for equal projects."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from reconciler.git.status_text import dump_status, load_status
from reconciler.model.item import ItemId
from reconciler.model.status_file import status_path
from tests.support.evidence import Made
from tests.support.systems import Systems

MANAGED = "mesh-six-reconciler"

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?")
_VERSION = re.compile(r"\b[0-9a-f]{12}\b")
_NODE = re.compile(r"\b[A-Z]+[A-Za-z]*_kgDO[\w-]+")


def owner_of(name: str) -> str:
    """Return the organization of the project whose repository has that name; each has one of its own."""
    return f"acme-{name}"


def slug_of(name: str) -> str:
    """Return the slug of the project whose repository has that name."""
    return f"{owner_of(name)}-{name}"


def name_of(slug: str) -> str:
    """Return the repository's name of a slug that `slug_of` made; it has no dash."""
    return slug.rpartition("-")[2]


def number_of(systems: Systems, name: str) -> int:
    """Return GitHub's number of the repository."""
    found = systems.store("github").get("github.repository-names", f"{owner_of(name)}/{name}".lower())
    assert found is not None, f"there is no repository {owner_of(name)}/{name}"
    return int(found["id"])


def another() -> str:
    """Return a word that nothing else has in its name."""
    return f"extra-{secrets.token_hex(4)}"


def made(
    inventory: Mapping[str, Callable[[Systems, str], Any]],
    totals: Callable[[Systems], Mapping[str, int]],
    each: Mapping[str, int] | None = None,
) -> Made:
    """Return what is made, told without ids, times and the project's own names."""
    return Made({system: _neutrally(look) for system, look in inventory.items()}, totals, each or {})


def neutral(systems: Systems, name: str, found: Any) -> Any:
    """Return what was found in words that are equal for equal projects."""
    number = str(number_of(systems, name))
    return _replaced(found, {slug_of(name): "SLUG", number: "NUMBER", name: "NAME"})


def edit_status(systems: Systems, name: str, edit: Callable[[dict[str, Any]], None]) -> None:
    """Change a project's status file as somebody with a clone would."""
    path = status_path(ItemId("project", slug_of(name)))
    blob = systems.config.revparse_single(f"main:{path}")
    document = load_status(path, bytes(blob.read_raw()))
    edit(document)
    systems.commit(systems.config, {path: dump_status(document).decode()}, "By hand")


def _neutrally(look: Callable[[Systems, str], Any]) -> Callable[[Systems, str], Any]:
    return lambda systems, name: neutral(systems, name, look(systems, name))


def _replaced(found: Any, names: Mapping[str, str]) -> Any:
    if isinstance(found, dict):
        return {_replaced(key, names): _replaced(value, names) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [_replaced(each, names) for each in found]
    if not isinstance(found, str):
        return names.get(str(found), found)
    for name, word in names.items():
        found = found.replace(name, word)
    return _NODE.sub("NODE", _TIME.sub("TIME", _VERSION.sub("VERSION", found)))
