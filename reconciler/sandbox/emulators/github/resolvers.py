"""What the fields of `schema.graphql` hold: reading. Mutations are in `mutations.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pygit2

from reconciler.sandbox.emulators.github import graphql_values as values
from reconciler.sandbox.emulators.github import keys
from reconciler.sandbox.emulators.github.errors import GraphQLRefusal
from reconciler.sandbox.emulators.github.graphql_values import Info, Session, Value, connection
from reconciler.sandbox.emulators.github.mutations import MUTATIONS

Resolver = Callable[..., Any]
ORDER_KEYS = {"NUMBER": "number", "TITLE": "title", "CREATED_AT": "createdAt", "UPDATED_AT": "updatedAt"}
FIELD_ORDER_KEYS = {"NAME": "name", "CREATED_AT": "createdAt"}


def _repository(source: Value | None, info: Info, **given: Any) -> Value:  # noqa: ANN401
    session = info.context
    owner = source["login"] if source else given["owner"]
    name = given["name"]
    found = session.world.repositories.find(owner, name)
    if found is not None and session.identity.reaches(found, "read"):
        renamed = (found["owner"].lower(), found["name"].lower()) != (owner.lower(), name.lower())
        if given["followRenames"] or not renamed:
            return values.repository_node(session, found)
    raise GraphQLRefusal("NOT_FOUND", f"Could not resolve to a Repository with the name '{owner}/{name}'.")


def _owner_of_kind(kind: str | None) -> Resolver:
    def resolve(_: object, info: Info, *, login: str) -> Value | None:
        session = info.context
        found = session.world.repositories.owner(login)
        if found is not None and kind in {None, found["type"]}:
            return values.owner_node(session, found)
        if kind is None:
            return None
        raise GraphQLRefusal(
            "NOT_FOUND", f"Could not resolve to {_article(kind)} with the login of '{login}'."
        )

    return resolve


def _article(kind: str) -> str:
    return f"an {kind}" if kind == "Organization" else f"a {kind}"


def _viewer(_: object, info: Info) -> Value:
    session = info.context
    if session.identity.kind == "app":
        raise GraphQLRefusal("FORBIDDEN", "Resource not accessible by integration")
    login = session.identity.login
    found = session.world.repositories.owner(login) or {"id": 1, "login": login, "type": "User"}
    return values.owner_node(session, found)


def _rate_limit(_: object, info: Info, **given: Any) -> Value:  # noqa: ANN401
    session = info.context
    state = session.world.limits.state(session.identity, "graphql")
    return {
        "cost": session.cost.points,
        "nodeCount": session.cost.nodes,
        **{key: state[key] for key in ("limit", "remaining", "used")},
        "resetAt": datetime.fromtimestamp(state["reset"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _node(_: object, info: Info, id: str) -> Value:  # noqa: A002 - the schema's name
    session = info.context
    if board := values.board_seen(session, id):
        return values.board_node(session, board)
    if repository := values.repository_seen(session, id):
        return values.repository_node(session, repository)
    if owner := values.owner_seen(session, id):
        return values.owner_node(session, owner)
    if found := values.field_seen(session, id):
        return found[1]
    raise values.unresolved(id)


def _nodes(_: object, info: Info, ids: list[str]) -> list[Value | GraphQLRefusal]:
    def one(node_id: str) -> Value | GraphQLRefusal:
        try:
            return _node(None, info, node_id)
        except GraphQLRefusal as refusal:
            return refusal

    return [one(node_id) for node_id in ids]


def _default_branch(source: Value, info: Info) -> Value | None:
    document = source["_document"]
    return values.ref_node(info.context, document, document["defaultBranch"])


def _ref(source: Value, info: Info, *, qualifiedName: str) -> Value | None:  # noqa: N803 - the schema's
    return values.ref_node(info.context, source["_document"], qualifiedName.removeprefix("refs/heads/"))


def _is_empty(source: Value, info: Info) -> bool:
    return info.context.world.git.is_empty(source["_document"])


def _object(source: Value, info: Info, **given: Any) -> Value | None:  # noqa: ANN401
    git, document = info.context.world.git, source["_document"]
    if given.get("oid"):
        found: pygit2.Object | pygit2.Commit | None = git.open(document).get(given["oid"])
    else:
        revision, colon, path = (given.get("expression") or "").partition(":")
        commit = git.resolve(document, revision)
        if commit is None:
            return None
        found = git.entry(commit, path) if colon else commit
    return None if found is None else values.git_object(found)


def _repository_owner(source: Value, info: Info) -> Value:
    session = info.context
    owner = session.world.repositories.owner(source["_document"]["owner"])
    assert owner is not None  # noqa: S101 - a repository is made for an owner that is there
    return values.owner_node(session, owner)


def _deploy_keys(source: Value, info: Info, **given: Any) -> Value:  # noqa: ANN401
    session = info.context
    document = source["_document"]
    if not session.identity.reaches(document, "admin"):
        return connection([], given)
    return connection([values.key_node(key) for key in keys.all_of(session.world, document["id"])], given)


def _boards_of_repository(source: Value, info: Info, **given: Any) -> Value:  # noqa: ANN401
    session = info.context
    linked = session.world.boards.of_repository(source["_document"]["id"])
    return _boards(session, _matching(linked, given), given)


def _boards_of_owner(source: Value, info: Info, **given: Any) -> Value:  # noqa: ANN401
    session = info.context
    entries = _matching(session.world.boards.of_owner(source["_document"]["id"]), given)
    loaded = [board for entry in entries if (board := session.world.boards.get(entry["board"]))]
    return _boards(session, loaded, given)


def _matching(boards: Iterable[dict[str, Any]], given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Leave those whose title has every word of the query; `is:open` and `is:closed` are understood."""
    words = (given.get("query") or "").lower().split()
    wanted = {"is:open": False, "is:closed": True}
    states = {wanted[word] for word in words if word in wanted}
    texts = [word for word in words if word not in wanted]
    return [
        board
        for board in boards
        if (not states or board["closed"] in states) and all(text in board["title"].lower() for text in texts)
    ]


def _boards(session: Session, boards: list[dict[str, Any]], given: Mapping[str, Any]) -> Value:
    order = given["orderBy"] or {"field": "NUMBER", "direction": "DESC"}
    visible = values.visible_boards(session, boards)
    visible.sort(key=lambda board: board[ORDER_KEYS[order["field"]]], reverse=order["direction"] == "DESC")
    page = connection(visible, given)
    page["nodes"] = [values.board_node(session, board) for board in page["nodes"]]
    return page


def _board_of_owner(source: Value, info: Info, *, number: int) -> Value:
    session = info.context
    board = session.world.boards.numbered(source["_document"]["id"], number)
    if board is None or not values.visible_boards(session, [board]):
        raise GraphQLRefusal("NOT_FOUND", f"Could not resolve to a ProjectV2 with the number {number}.")
    return values.board_node(session, board)


def _board_of_repository(source: Value, info: Info, *, number: int) -> Value:
    session = info.context
    linked = session.world.boards.of_repository(source["_document"]["id"])
    for board in values.visible_boards(session, linked):
        if board["number"] == number:
            return values.board_node(session, board)
    raise GraphQLRefusal("NOT_FOUND", f"Could not resolve to a ProjectV2 with the number {number}.")


def _fields(source: Value, _: Info, **given: Any) -> Value:  # noqa: ANN401
    fields = source["_document"]["fields"]
    order = given["orderBy"] or {"field": "POSITION", "direction": "ASC"}
    if key := FIELD_ORDER_KEYS.get(order["field"]):
        fields = sorted(fields, key=lambda field: field[key])
    return connection(fields[::-1] if order["direction"] == "DESC" else fields, given)


def _field(source: Value, _: Info, *, name: str) -> Value | None:
    fields = source["_document"]["fields"]
    return next((field for field in fields if field["name"].lower() == name.lower()), None)


def _options(source: Value, _: Info, names: list[str] | None = None) -> list[Value]:
    return [option for option in source["options"] if names is None or option["name"] in names]


def _items(source: Value, _: Info, **given: Any) -> Value:  # noqa: ANN401
    """Return so many items as the board was said to have; nobody asks what they are."""
    return connection([{}] * source["_document"].get("items", 0), given)


def _repositories(source: Value, info: Info, **given: Any) -> Value:  # noqa: ANN401
    session = info.context
    found = [session.world.repositories.get(number) for number in source["_document"]["repositories"]]
    seen = [one for one in found if one is not None and session.identity.reaches(one, "read")]
    return connection([values.repository_node(session, one) for one in seen], given)


def _creator(source: Value, info: Info) -> Value:
    session, login = info.context, source["_document"]["creator"]
    known = session.world.repositories.owner(login) or {"id": 1, "login": login, "type": "User"}
    return values.owner_node(session, known)


RESOLVERS: dict[str, Resolver] = {
    "Query.repository": _repository,
    "Query.repositoryOwner": _owner_of_kind(None),
    "Query.organization": _owner_of_kind("Organization"),
    "Query.user": _owner_of_kind("User"),
    "Query.viewer": _viewer,
    "Query.rateLimit": _rate_limit,
    "Query.node": _node,
    "Query.nodes": _nodes,
    "Repository.defaultBranchRef": _default_branch,
    "Repository.ref": _ref,
    "Repository.isEmpty": _is_empty,
    "Repository.object": _object,
    "Repository.owner": _repository_owner,
    "Repository.deployKeys": _deploy_keys,
    "Repository.projectsV2": _boards_of_repository,
    "Repository.projectV2": _board_of_repository,
    **{
        f"{kind}.{field}": resolver
        for kind in ("User", "Organization")
        for field, resolver in (
            ("repository", _repository),
            ("projectsV2", _boards_of_owner),
            ("projectV2", _board_of_owner),
        )
    },
    "ProjectV2.fields": _fields,
    "ProjectV2.field": _field,
    "ProjectV2.items": _items,
    "ProjectV2.repositories": _repositories,
    "ProjectV2.creator": _creator,
    "ProjectV2SingleSelectField.options": _options,
    **{f"Mutation.{name}": mutation for name, mutation in MUTATIONS.items()},
}
