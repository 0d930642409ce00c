"""The mutations of boards. None knows whether it ran before: creating twice gives two."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reconciler.sandbox.emulators.github import graphql_values as values
from reconciler.sandbox.emulators.github.errors import GraphQLRefusal
from reconciler.sandbox.emulators.github.graphql_values import Info, Session, Value

Input = dict[str, Any]
Effect = Callable[[Session, Input], Value]


def _create_board(session: Session, wish: Input) -> Value:
    owner = values.owner_seen(session, wish["ownerId"])
    if owner is None:
        raise values.unresolved(wish["ownerId"])
    _may_write(session, owner, "CreateProjectV2")
    repository = _repository(session, wish["repositoryId"]) if wish.get("repositoryId") else None
    if repository is not None and repository["owner"].lower() != owner["login"].lower():
        raise GraphQLRefusal("UNPROCESSABLE", "The repository must have the same owner as the project.")
    board = session.world.boards.create(owner, wish["title"], session.identity.login)
    if repository is not None:
        session.world.boards.link(board, repository)
    return {"projectV2": values.board_node(session, board)}


def _update_board(session: Session, wish: Input) -> Value:
    board = _board(session, wish["projectId"], "UpdateProjectV2")
    if wish.get("title") is not None and not wish["title"].strip():
        raise GraphQLRefusal("UNPROCESSABLE", "Title can't be blank")
    for key in ("title", "readme", "shortDescription", "public", "closed"):
        if wish.get(key) is not None:
            board[key] = wish[key]
    return {"projectV2": values.board_node(session, session.world.boards.save(board))}


def _delete_board(session: Session, wish: Input) -> Value:
    board = _board(session, wish["projectId"], "DeleteProjectV2")
    session.world.boards.delete(board)
    return {"projectV2": values.board_node(session, board)}


def _link(session: Session, wish: Input) -> Value:
    board = _board(session, wish["projectId"], "LinkProjectV2ToRepository")
    repository = _repository(session, wish["repositoryId"])
    session.world.boards.link(board, repository)
    return {"repository": values.repository_node(session, repository)}


def _unlink(session: Session, wish: Input) -> Value:
    board = _board(session, wish["projectId"], "UnlinkProjectV2FromRepository")
    repository = _repository(session, wish["repositoryId"])
    session.world.boards.unlink(board, repository["id"])
    return {"repository": values.repository_node(session, repository)}


def _create_field(session: Session, wish: Input) -> Value:
    board = _board(session, wish["projectId"], "CreateProjectV2Field")
    options = wish.get("singleSelectOptions") or []
    field = session.world.boards.create_field(board, wish["name"], wish["dataType"], options)
    return {"projectV2Field": field}


def _update_field(session: Session, wish: Input) -> Value:
    found = values.field_seen(session, wish["fieldId"])
    if found is None:
        raise values.unresolved(wish["fieldId"])
    board, field = found
    _may_write(session, _owner(session, board), "UpdateProjectV2Field")
    changed = session.world.boards.update_field(
        board, field, wish.get("name"), wish.get("singleSelectOptions")
    )
    return {"projectV2Field": changed}


def _board(session: Session, node_id: str, mutation: str) -> dict[str, Any]:
    board = values.board_seen(session, node_id)
    if board is None:
        raise values.unresolved(node_id)
    _may_write(session, _owner(session, board), mutation)
    return board


def _owner(session: Session, board: Mapping[str, Any]) -> dict[str, Any]:
    owner = session.world.repositories.owner(board["owner"])
    assert owner is not None  # noqa: S101 - a board is made for an owner that is there
    return owner


def _repository(session: Session, node_id: str) -> dict[str, Any]:
    repository = values.repository_seen(session, node_id)
    if repository is None:
        raise values.unresolved(node_id)
    if repository["archived"]:
        raise GraphQLRefusal("FORBIDDEN", "Repository was archived so is read-only.")
    return repository


def _may_write(session: Session, owner: Mapping[str, Any], mutation: str) -> None:
    identity = session.identity
    if identity.manages_boards(owner, "write"):
        return
    if identity.is_user:
        raise GraphQLRefusal(
            "FORBIDDEN", f"{identity.login} does not have the correct permissions to execute `{mutation}`"
        )
    whom = "integration" if identity.kind == "app" else "personal access token"
    raise GraphQLRefusal("FORBIDDEN", f"Resource not accessible by {whom}")


def _resolver(effect: Effect) -> Callable[..., Value]:
    def resolve(_: object, info: Info, **given: Any) -> Value:  # noqa: ANN401
        session, wish = info.context, given["input"]
        payload = effect(session, wish)
        session.call.wrote()
        return {"clientMutationId": wish.get("clientMutationId"), **payload}

    return resolve


MUTATIONS = {
    "createProjectV2": _resolver(_create_board),
    "updateProjectV2": _resolver(_update_board),
    "deleteProjectV2": _resolver(_delete_board),
    "linkProjectV2ToRepository": _resolver(_link),
    "unlinkProjectV2FromRepository": _resolver(_unlink),
    "createProjectV2Field": _resolver(_create_field),
    "updateProjectV2Field": _resolver(_update_field),
}
