"""Two boards of one repository, as a request that arrives late makes them: one is kept, nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.kinds.project.resources.board_claims import begun_title, marker
from reconciler.kinds.project.resources.project_board import ProjectBoard
from reconciler.model.decision import Needed, Settled
from tests.kinds.project.support.github import Stage, stage, target


@pytest.fixture
def github() -> Iterator[Stage]:
    with stage() as made:
        yield made


def board_of(github: Stage) -> ProjectBoard:
    return ProjectBoard(github.sections())


def settled(github: Stage, remembered: Any = None) -> Settled:
    done = github.settle(board_of(github), target(remembered))
    assert isinstance(done, Settled)
    return done


def late(github: Stage, **wish: Any) -> Any:
    """Have a board made as a killed pass's request would, or as a second writer's."""
    linked = {"owner": "acme", "repositories": ["acme/widgets"]}
    return github.does("POST", "projects", {**linked, **wish})


def open_boards(github: Stage) -> list[str]:
    return [board["id"] for board in github.boards() if not board["closed"]]


@pytest.mark.parametrize("marked", [False, True])
def test_an_empty_one_is_closed_and_the_older_one_kept(github: Stage, marked: bool) -> None:
    number = github.repository()["id"]
    done = settled(github)
    wish = {"title": "mesh-six: acme/widgets", "readme": marker(number)} if marked else {}
    other = late(github, **{"title": begun_title(number), **wish})
    again = settled(github, done.outputs)
    assert again.outputs == done.outputs
    assert open_boards(github) == [done.outputs["boardId"]]
    assert len(github.boards()) == 2, "closed, and not deleted"
    decision = github.plan(board_of(github), target(done.outputs))
    assert decision == again
    assert other["path"] not in again.note


def test_the_older_one_is_kept_whichever_is_remembered(github: Stage) -> None:
    number = github.repository()["id"]
    first = settled(github)
    newer = late(github, title="ours", readme=marker(number))
    done = settled(github, {"boardId": newer["nodeId"]})
    assert done.outputs["boardId"] == first.outputs["boardId"] != newer["nodeId"]
    assert open_boards(github) == [first.outputs["boardId"]]


def test_an_open_one_is_kept_beside_one_that_was_closed(github: Stage) -> None:
    number = github.repository()["id"]
    late(github, title="ours", readme=marker(number), closed=True)
    newer = late(github, title="ours", readme=marker(number))
    assert settled(github).outputs["boardId"] == newer["nodeId"]
    assert open_boards(github) == [newer["nodeId"]]


def test_what_holds_something_is_told_and_stays(github: Stage) -> None:
    number = github.repository()["id"]
    done = settled(github)
    late(github, title="ours", readme=marker(number), items=3)
    told = github.plan(board_of(github), target(done.outputs))
    assert isinstance(told, Settled)
    assert "(3 items)" in told.note
    assert len(open_boards(github)) == 2
    late(github, title=begun_title(number))
    assert settled(github, done.outputs).note == told.note
    assert len(open_boards(github)) == 2
    assert github.plan(board_of(github), target(done.outputs)) == told


def test_what_only_looks_alike_is_left_alone(github: Stage) -> None:
    number = github.repository()["id"]
    done = settled(github)
    late(github, title="Roadmap")
    late(github, title="another's", readme=marker(number + 1))
    late(github, title="mesh-six: acme/widgets")
    late(github, title="closed already", readme=marker(number), closed=True)
    github.does(
        "POST", "projects", {"owner": "others", "title": begun_title(number), "readme": marker(number)}
    )
    before = open_boards(github)
    assert github.plan(board_of(github), target(done.outputs)) == done
    assert open_boards(github) == before


def test_looking_costs_a_request_only_where_there_are_two(github: Stage) -> None:
    number = github.repository()["id"]
    done = settled(github)

    def requests() -> int:
        before = len(github.wire.requests)
        github.plan(board_of(github), target(done.outputs))
        return len(github.wire.requests) - before

    assert requests() == 1
    late(github, title=begun_title(number))
    assert requests() == 2


def test_a_close_that_was_none_is_not_believed(github: Stage) -> None:
    number = github.repository()["id"]
    done = settled(github)
    late(github, title=begun_title(number))
    cut, again = github.settle_though_cut(board_of(github), target(done.outputs), cut_at=1, after=False)
    assert cut
    assert isinstance(again, Settled | Needed)
    assert open_boards(github) == [done.outputs["boardId"]]
