"""Evidence of the project board."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.sandbox.emulators.github import node_ids
from tests.kinds.project.evidence.item import another, made, number_of, owner_of
from tests.kinds.project.evidence.repository import GITHUB
from tests.support.evidence import Look, Rival, Shown
from tests.support.systems import Systems

CREATE = (
    """mutation ($input: CreateProjectV2Input!) { createProjectV2(input: $input) { projectV2 { id } } }"""
)


def _boards(systems: Systems, name: str) -> Any:
    github, number = systems.store("github"), number_of(systems, name)
    linked = (github.get("github.repository-boards", str(number)) or {"boards": []})["boards"]
    return [
        {
            **{key: board[key] for key in ("title", "readme", "closed")},
            "linked": linked.count(board["id"]),
            "fields": sorted(each["name"] for each in board["fields"]),
            "columns": [each["name"] for each in board["fields"] if each["name"] == "Status"]
            and next(
                [option["name"] for option in each["options"]]
                for each in board["fields"]
                if each["name"] == "Status"
            ),
        }
        for board in _open(systems)
        if board["id"] in linked
        or str(number) in f"{board['title']} {board['readme']}"
        or name in board["title"]
    ]


def _open(systems: Systems) -> list[Mapping[str, Any]]:
    """Return the boards that are open: a second one of a project's is closed, since none is ever deleted."""
    return [board for _, board in systems.store("github").items("github.boards") if not board["closed"]]


def _totals(systems: Systems) -> Mapping[str, int]:
    return {"boards": len(_open(systems))}


def _their_board(systems: Systems, name: str) -> Look:
    wish = {
        "owner": owner_of(name),
        "title": f"Gears & {name} (mesh-six)",
        "repositories": [f"{owner_of(name)}/{name}"],
    }
    made_there = systems.sandbox.emulator("github", "POST", "/_emulator/projects", wish)
    return lambda: systems.store("github").get("github.boards", str(made_there["id"]))


def _create(systems: Systems, name: str) -> None:
    owner = systems.store("github").get("github.owners", owner_of(name))
    assert owner is not None
    wish = {
        "ownerId": node_ids.encode(node_ids.ORGANIZATION, owner["id"]),
        "repositoryId": node_ids.encode(node_ids.REPOSITORY, number_of(systems, name)),
        "title": f"{name} {another()}",
    }
    answer = systems.ask(GITHUB, "POST", "/graphql", {"query": CREATE, "variables": {"input": wish}})
    assert "errors" not in answer, answer


def _delete(systems: Systems, name: str) -> None:
    github = systems.store("github")
    for _, board in list(github.items("github.boards")):
        if number_of(systems, name) in board["repositories"]:
            github.delete("github.boards", str(board["id"]))
            github.delete("github.owner-boards", f"{board['ownerId']}/{board['number']:08d}")


SHOWN: Mapping[str, Shown] = {
    "project-board": Shown(
        made=made({"github": _boards}, _totals, {"boards": 1}),
        foreign=Rival(_their_board),
        more=_create,
        take_away=_delete,
    )
}
