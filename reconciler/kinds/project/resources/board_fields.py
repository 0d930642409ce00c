"""The fields and columns that mesh-six needs a board to have, and what is in their way. Asks nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from pydantic import Field

from reconciler.model.decision import Failed
from reconciler.model.observation import State

STATUS = "Status"
"""GitHub's own field, which every board has from the start; its options are the board's columns."""
FIELDS = {
    "Session ID": "TEXT",
    "Pod Name": "TEXT",
    "Workflow ID": "TEXT",
    "Priority": "SINGLE_SELECT",
    STATUS: "SINGLE_SELECT",
}
OPTIONS = {
    "Priority": (("Critical", "RED"), ("High", "ORANGE"), ("Medium", "YELLOW"), ("Low", "GREEN")),
    STATUS: (
        ("Planning", "BLUE"),
        ("In Progress", "YELLOW"),
        ("QA", "ORANGE"),
        ("Review", "PINK"),
        ("Done", "PURPLE"),
        ("Blocked", "RED"),
    ),
}
"""What a field has that we make. To a Status that is there, what it lacks is added: mesh-six's project
manager moves cards to these columns, and fails where one is not there (`moveCard` of its packages/core)."""
FIELD_IDS = {
    "status": STATUS,
    "sessionId": "Session ID",
    "podName": "Pod Name",
    "workflowId": "Workflow ID",
    "priority": "Priority",
}
"""By what names mesh-six's own services know the fields (`projectFieldIds` of their registry)."""
LOWER_NAMES = frozenset(name.lower() for name in FIELDS)
"""GitHub takes no second field, and no second option, whose name differs in letter case only."""


class FieldState(State):
    """A field; `options`: id by name."""

    id: str
    data_type: str
    options: Mapping[str, str] = Field(default_factory=dict)


Fields: TypeAlias = Mapping[str, FieldState]
"""By name."""


def missing_columns(fields: Fields) -> list[str]:
    """Return the columns that a board lacks."""
    status = fields.get(STATUS)
    return [name for name, _ in OPTIONS[STATUS] if status and name not in status.options]


def wrong_columns(fields: Fields, url: str) -> Failed | None:
    """Say which column is in the way of one that it lacks."""
    status = fields.get(STATUS)
    there = {name.lower(): name for name in status.options} if status else {}
    for name in missing_columns(fields):
        if twin := there.get(name.lower()):
            return Failed(
                f"the board {url} has a column {twin}, beside which GitHub takes none called {name}",
                remedy=f"rename that column to {name}, which is how mesh-six looks for it",
            )
    return None


def wrong_types(data_types: Mapping[str, str], url: str) -> Failed | None:
    """Say which field of a board, given as types by name, is in the way of one that mesh-six needs."""
    there = {name.lower(): name for name in data_types}
    for name, data_type in FIELDS.items():
        if name not in data_types and (twin := there.get(name.lower())):
            return Failed(
                f"the board {url} has a field {twin}, beside which GitHub takes none called {name}",
                remedy=f"rename that field to {name}, or to something else to have one made",
            )
        if data_types.get(name, data_type) != data_type:
            return Failed(
                f"the field {name} of the board {url} is {data_types[name]} and not {data_type}",
                remedy=f"rename that field; the next pass adds a {data_type} field {name}",
            )
    return None
