"""Documents as GraphQL values.

Plain dicts with the schema's field names and `__typename`, so that graphql-core's own resolver serves most
fields. Keys that start with `_` are for the resolvers.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pygit2
from graphql import GraphQLResolveInfo

from reconciler.sandbox.emulators.github import node_ids
from reconciler.sandbox.emulators.github.bodies import owner_node_id
from reconciler.sandbox.emulators.github.call import Call
from reconciler.sandbox.emulators.github.errors import GraphQLRefusal
from reconciler.sandbox.emulators.github.graphql_cost import Cost
from reconciler.sandbox.emulators.github.identity import Identity
from reconciler.sandbox.emulators.github.repositories import Repositories
from reconciler.sandbox.emulators.github.world import World

Value = dict[str, Any]
Document = Mapping[str, Any]
CURSOR = "cursor:v2:"
LARGEST_TEXT = 512 * 1024


@dataclass(frozen=True)
class Session:
    """The request that is being answered."""

    call: Call
    cost: Cost

    @property
    def world(self) -> World:
        """Return what the emulator keeps."""
        return self.call.world

    @property
    def identity(self) -> Identity:
        """Return who asks."""
        return self.call.identity


Info = GraphQLResolveInfo[Session]


def connection(nodes: Sequence[Any], given: Mapping[str, Any]) -> Value:
    """Return one page of a connection; the walk over the query has checked `first` and `last`."""
    start, end = 0, len(nodes)
    if given.get("after"):
        start = _position(given["after"]) + 1
    if given.get("before"):
        end = _position(given["before"])
    if given.get("first") is not None:
        end = min(end, start + given["first"])
    elif given.get("last") is not None:
        start = max(start, end - given["last"])
    page = list(nodes[start:end])
    return {
        "nodes": page,
        "totalCount": len(nodes),
        "pageInfo": {
            "hasNextPage": end < len(nodes),
            "hasPreviousPage": start > 0,
            "startCursor": _cursor(start) if page else None,
            "endCursor": _cursor(start + len(page) - 1) if page else None,
        },
    }


def _cursor(position: int) -> str:
    return base64.b64encode(f"{CURSOR}{position}".encode()).decode()


def _position(cursor: str) -> int:
    try:
        return int(base64.b64decode(cursor).decode().removeprefix(CURSOR))
    except ValueError:
        raise GraphQLRefusal(
            "INVALID_CURSOR_ARGUMENTS", f"`{cursor}` does not appear to be a valid cursor."
        ) from None


def repository_node(session: Session, document: Document) -> Value:
    """Return a Repository."""
    level = session.identity.level(document).upper()
    full_name = f"{document['owner']}/{document['name']}"
    return {
        "__typename": "Repository",
        "_document": document,
        "id": node_ids.encode(node_ids.REPOSITORY, document["id"]),
        "databaseId": document["id"],
        "name": document["name"],
        "nameWithOwner": full_name,
        "description": document["description"],
        "isArchived": document["archived"],
        "isDisabled": False,
        "isFork": False,
        "isPrivate": document["private"],
        **dict.fromkeys(("hasIssuesEnabled", "hasProjectsEnabled", "hasWikiEnabled"), True),
        **dict.fromkeys(("mergeCommitAllowed", "rebaseMergeAllowed", "squashMergeAllowed"), True),
        "createdAt": document["createdAt"],
        "updatedAt": document["updatedAt"],
        "url": f"{session.call.site}/{full_name}",
        "sshUrl": f"git@{session.call.site.partition('://')[2]}:{full_name}.git",
        "viewerPermission": level,
        "viewerCanAdminister": level == "ADMIN",
    }


def owner_node(session: Session, document: Document) -> Value:
    """Return a User or an Organization."""
    return {
        "__typename": document["type"],
        "_document": document,
        "id": owner_node_id(document),
        "databaseId": document["id"],
        "login": document["login"],
        "name": document["login"],
        "url": f"{session.call.site}/{document['login']}",
        "viewerCanAdminister": session.identity.default == "admin",
    }


def board_node(session: Session, board: Document) -> Value:
    """Return a ProjectV2."""
    owner = session.world.repositories.owner(board["owner"])
    assert owner is not None  # noqa: S101 - a board is made for an owner that is there
    places = "orgs" if owner["type"] == "Organization" else "users"
    same = ("number", "title", "readme", "shortDescription", "public", "closed", "createdAt", "updatedAt")
    return {
        "__typename": "ProjectV2",
        "_document": board,
        "id": node_ids.encode(node_ids.BOARD, board["id"]),
        "fullDatabaseId": str(board["id"]),
        **{key: board[key] for key in same},
        "template": False,
        "url": f"{session.call.site}/{places}/{owner['login']}/projects/{board['number']}",
        "owner": owner_node(session, owner),
        "viewerCanUpdate": session.identity.manages_boards(owner, "write"),
    }


def key_node(document: Document) -> Value:
    """Return a DeployKey."""
    same = ("title", "key", "readOnly", "createdAt")
    return {
        "__typename": "DeployKey",
        "id": f"DK_{document['id']}",
        **{key: document[key] for key in same},
        "verified": True,
        "enabled": True,
    }


def ref_node(session: Session, document: Document, branch: str) -> Value | None:
    """Return a Ref with its commit, or None."""
    commit = session.world.git.branch(document, branch)
    if commit is None:
        return None
    return {
        "__typename": "Ref",
        "id": f"REF_{document['id']}_{branch}",
        "name": branch,
        "prefix": "refs/heads/",
        "target": git_object(commit),
    }


def git_object(found: pygit2.Object | pygit2.Commit) -> Value:
    """Return a Commit, Tree or Blob; a long text is cut and says so, a binary one is null."""
    oid = str(found.id)
    shared = {"oid": oid, "abbreviatedOid": oid[:7], "id": f"GIT_{oid}"}
    if isinstance(found, pygit2.Commit):
        date = Repositories.moment(found.commit_time)
        return {**shared, "__typename": "Commit", "message": found.message, "committedDate": date}
    if isinstance(found, pygit2.Blob):
        text = None if found.is_binary else found.data[:LARGEST_TEXT].decode("utf-8", "replace")
        return {
            **shared,
            "__typename": "Blob",
            "byteSize": found.size,
            "isBinary": found.is_binary,
            "isTruncated": found.size > LARGEST_TEXT,
            "text": text,
        }
    assert isinstance(found, pygit2.Tree)  # noqa: S101 - tags are not made here
    entries = [
        {
            "name": one.name,
            "path": one.name,
            "oid": str(one.id),
            "mode": int(one.filemode),
            "type": one.type_str,
            # Called only when it is asked for: a folder may be large.
            "object": lambda _, one=one: git_object(one),
        }
        for one in found
    ]
    return {**shared, "__typename": "Tree", "entries": entries}


def board_seen(session: Session, node_id: str) -> dict[str, Any] | None:
    """Return the board of a node id if the token may see it."""
    parts = node_ids.decode(node_id)
    board = session.world.boards.get(parts[1][0]) if parts and parts[0] == node_ids.BOARD else None
    return board if board is not None and _sees(session, board) else None


def visible_boards(session: Session, boards: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out the boards that the token cannot see; it gets no error for them."""
    return [board for board in boards if _sees(session, board)]


def _sees(session: Session, board: Document) -> bool:
    owner = session.world.repositories.owner(board["owner"])
    return owner is not None and session.identity.manages_boards(owner, "read")


def repository_seen(session: Session, node_id: str) -> dict[str, Any] | None:
    """Return the repository of a node id, of either style, if the token may see it."""
    parts = node_ids.decode(node_id)
    found = session.world.repositories.get(parts[1][0]) if parts and parts[0] == node_ids.REPOSITORY else None
    return found if found is not None and session.identity.reaches(found, "read") else None


def owner_seen(session: Session, node_id: str) -> dict[str, Any] | None:
    """Return the owner of a node id."""
    parts = node_ids.decode(node_id)
    if parts is None or parts[0] not in {node_ids.ORGANIZATION, node_ids.USER}:
        return None
    return session.world.repositories.owner_by_id(parts[1][0])


def field_seen(session: Session, node_id: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return board and field of a field's node id."""
    parts = node_ids.decode(node_id)
    if parts is None or len(parts[1]) != 2:
        return None
    board = session.world.boards.get(parts[1][0])
    if board is None or not _sees(session, board):
        return None
    return next(((board, field) for field in board["fields"] if field["id"] == node_id), None)


def unresolved(node_id: str) -> GraphQLRefusal:
    """Return the error of a node id that leads nowhere."""
    return GraphQLRefusal("NOT_FOUND", f"Could not resolve to a node with the global id of '{node_id}'")
