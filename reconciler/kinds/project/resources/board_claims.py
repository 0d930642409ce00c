"""Which boards are a repository's own, and which of several is the one: all by what a board says itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

from reconciler.clients.github import Board, GitHubRepository, GitHubWriter
from reconciler.engine.contract import Target
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.model.observation import State

Claim: TypeAlias = Literal["marked", "begun", "titled"]
"""Why a board of the repository's owner may be ours: its readme has our marker; its title is the one that it
has between creation and marker; it has just the title that ours would have, which proves nothing."""


class SurplusBoard(State):
    """A further open board of ours, as two are made when a request is late; `items`: how many it holds."""

    board_id: str
    url: str
    items: int


def title_of(spec: ProjectSpec) -> str:
    """Return the board's title; without a display name the one that mesh-six's own onboarding gives."""
    return f"{spec.display_name} (mesh-six)" if spec.display_name else f"mesh-six: {spec.full_name}"


def begun_title(repository: int) -> str:
    """Return the title that a board has from its creation until its marker is written."""
    return f"mesh-six onboarding {repository}"


def marker(repository: int) -> str:
    """Return the readme line that makes a board the repository's; a comment, so that it does not show."""
    return f"<!-- onboard-id: {repository} (mesh-six finds this board by this line) -->"


def is_marked(readme: str, repository: int) -> bool:
    """Tell whether a board's readme has the marker of the repository."""
    return re.search(rf"onboard-id: {repository}\b", readme) is not None


def claim_of(board: Board, repository: GitHubRepository, target: Target[ProjectSpec]) -> Claim | None:
    """Return why a board may be the repository's; None when nothing says so."""
    if board.owner_id != repository.owner_id:
        return None  # anybody may write our marker into a board of their own
    if is_marked(board.readme, repository.number):
        return "marked"
    if board.title == begun_title(repository.number):
        return "begun"
    titled = board.title == title_of(target.spec.spelled(repository.full_name))
    return "titled" if titled and "onboard-id: " not in board.readme else None


def closest_of(
    boards: Iterable[Board], repository: GitHubRepository, target: Target[ProjectSpec]
) -> tuple[Claim, Board] | None:
    """Return the board that is ours, or may be, and why: of several the oldest that is open.

    Whatever a status file remembers: two reconcilers that remember different ones would close both.
    """
    order: tuple[Claim, ...] = ("marked", "begun", "titled")
    claims = [(claim, board) for board in boards if (claim := claim_of(board, repository, target))]
    return min(
        claims,
        key=lambda pair: (order.index(pair[0]), pair[1].closed, pair[1].number),
        default=None,
    )


def surplus_of(
    boards: Iterable[Board],
    chosen: Board | None,
    repository: GitHubRepository,
    target: Target[ProjectSpec],
) -> list[Board]:
    """Return the open boards beside the chosen one that are ours without doubt."""
    return [
        board
        for board in boards
        if chosen
        and board.id != chosen.id
        and not board.closed
        and claim_of(board, repository, target) in {"marked", "begun"}
    ]


def close_empty(surplus: Sequence[Board], github: GitHubWriter) -> tuple[SurplusBoard, ...]:
    """Close those of the surplus boards that hold nothing now; return the others."""
    left = counted(surplus, github.items_of([each.id for each in surplus]) if surplus else {})
    for each in left:
        if each.items == 0:
            github.close_board(each.board_id)
    return tuple(each for each in left if each.items)


def counted(surplus: Sequence[Board], items: Mapping[str, int]) -> tuple[SurplusBoard, ...]:
    """Return the surplus boards with what they hold; without those that are closed by now."""
    return tuple(
        SurplusBoard(board_id=each.id, url=each.url, items=items[each.id])
        for each in surplus
        if each.id in items
    )


def surplus_note(url: str, surplus: Sequence[SurplusBoard]) -> str:
    """Return what to tell people of surplus boards that hold something, beside the one at `url`."""
    told = ", ".join(f"{each.url} ({each.items} items)" for each in surplus)
    return (
        f"further boards carry the same mark, move their items to {url} and close them: {told}"
        if told
        else ""
    )
