"""Project boards (Projects V2) as documents, and the rules of their fields.

Knows no GraphQL and no rights. A board document: id, number, owner (login), ownerId, title, readme,
shortDescription, public, closed, creator, createdAt, updatedAt, fields, repositories (numeric ids). A field
is kept as GraphQL shows it. Titles are not unique; names of fields are.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.sandbox.emulators.github import node_ids
from reconciler.sandbox.emulators.github.errors import GraphQLRefusal
from reconciler.sandbox.emulators.github.repositories import Repositories
from reconciler.sandbox.emulators.store import Store

Document = dict[str, Any]
BOARDS, OF_OWNER, OF_REPOSITORY = "github.boards", "github.owner-boards", "github.repository-boards"
BUILT_IN = (
    ("Title", "TITLE"),
    ("Assignees", "ASSIGNEES"),
    ("Status", "SINGLE_SELECT"),
    ("Labels", "LABELS"),
    ("Linked pull requests", "LINKED_PULL_REQUESTS"),
    ("Milestone", "MILESTONE"),
    ("Repository", "REPOSITORY"),
    ("Reviewers", "REVIEWERS"),
    ("Parent issue", "PARENT_ISSUE"),
    ("Sub-issues progress", "SUB_ISSUES_PROGRESS"),
)
STATUS = (
    ("Todo", "GREEN", "This item hasn't been started"),
    ("In Progress", "YELLOW", "This is actively being worked on"),
    ("Done", "PURPLE", "This has been completed"),
)
RESERVED = {name.lower() for name, _ in BUILT_IN if name != "Status"} | {
    "repo", "type", "assignee", "label", "reviewer", "author", "created", "updated", "closed", "state",
    "is", "no", "parent", "tracked by", "tracks", "id", "sub-issues", "linked pull request",
}  # fmt: skip
MOST_FIELDS = 50
TYPE_NAMES = {
    "SINGLE_SELECT": ("ProjectV2SingleSelectField", node_ids.SELECT_FIELD),
    "ITERATION": ("ProjectV2IterationField", node_ids.ITERATION_FIELD),
}


class Boards:
    """All boards. What is returned is a copy; a method that changes a board keeps it."""

    def __init__(self, store: Store, repositories: Repositories) -> None:
        self._store = store
        self._repositories = repositories

    def get(self, number: int) -> Document | None:
        """Return the board with that database id."""
        return self._store.get(BOARDS, str(number))

    def of_repository(self, number: int) -> list[Document]:
        """Return the boards linked to the repository with that id, oldest first."""
        linked = self._store.get(OF_REPOSITORY, str(number)) or {"boards": []}
        return [board for one in linked["boards"] if (board := self.get(one))]

    def of_owner(self, owner_id: int) -> Iterator[Document]:
        """Yield {board, number, title, closed} of each of an owner's boards, by number."""
        for _, entry in self._store.items(OF_OWNER, f"{owner_id}/"):
            yield entry

    def numbered(self, owner_id: int, number: int) -> Document | None:
        """Return an owner's board by its number in the address."""
        entry = self._store.get(OF_OWNER, f"{owner_id}/{number:08d}")
        return None if entry is None else self.get(entry["board"])

    def create(self, owner: Mapping[str, Any], title: str, creator: str) -> Document:
        """Make a board with the built-in fields; the same title twice gives two boards."""
        if not title.strip():
            raise GraphQLRefusal("UNPROCESSABLE", "Title can't be blank")
        now = self._repositories.now()
        board: Document = {
            "id": 5_000_000 + self._store.next_number(BOARDS),
            "number": self._store.next_number(f"{OF_OWNER}/{owner['id']}"),
            "owner": owner["login"],
            "ownerId": owner["id"],
            "title": title,
            "readme": None,
            "shortDescription": None,
            "public": False,
            "closed": False,
            "creator": creator,
            "createdAt": now,
            "updatedAt": now,
            "fields": [],
            "repositories": [],
        }
        for name, kind in BUILT_IN:
            given = STATUS if name == "Status" else ()
            options = [{"name": n, "color": c, "description": d} for n, c, d in given]
            self._append_field(board, name, kind, options)
        return self.save(board)

    def save(self, board: Document) -> Document:
        """Keep the board and what is looked up about it."""
        board["updatedAt"] = self._repositories.now()
        self._store.put(BOARDS, str(board["id"]), board)
        entry = {"board": board["id"], **{key: board[key] for key in ("number", "title", "closed")}}
        self._store.put(OF_OWNER, f"{board['ownerId']}/{board['number']:08d}", entry)
        return board

    def delete(self, board: Document) -> None:
        """Forget the board and its links."""
        for number in list(board["repositories"]):
            self.unlink(board, number)
        self._store.delete(BOARDS, str(board["id"]))
        self._store.delete(OF_OWNER, f"{board['ownerId']}/{board['number']:08d}")

    def link(self, board: Document, repository: Mapping[str, Any]) -> None:
        """Link a repository of the same owner; linking twice is once."""
        if repository["owner"].lower() != board["owner"].lower():
            raise GraphQLRefusal("UNPROCESSABLE", "The repository must have the same owner as the project.")
        self._links(board, repository["id"], present=True)

    def unlink(self, board: Document, repository_id: int) -> None:
        """Remove a link, if it is there."""
        self._links(board, repository_id, present=False)

    def create_field(self, board: Document, name: str, kind: str, options: Sequence[Document]) -> Document:
        """Add a field of a custom type; the name must be new and not reserved."""
        self._check_name(board, name)
        if len(board["fields"]) >= MOST_FIELDS:
            raise GraphQLRefusal("UNPROCESSABLE", f"Project can't have more than {MOST_FIELDS} fields")
        if kind == "SINGLE_SELECT" and not options:
            raise GraphQLRefusal("UNPROCESSABLE", "Single select options can't be blank")
        if kind != "SINGLE_SELECT" and options:
            raise GraphQLRefusal("UNPROCESSABLE", "Options are only for single select fields")
        created = self._append_field(board, name, kind, options)
        self.save(board)
        return created

    def update_field(
        self, board: Document, field: Document, name: str | None, options: Sequence[Document] | None
    ) -> Document:
        """Rename it, or overwrite its options: those that come without their id get a new one.

        An empty list of options is ignored.
        """
        if name is not None and name != field["name"]:
            self._check_name(board, name)
            field["name"] = name
        if options and field["dataType"] != "SINGLE_SELECT":
            raise GraphQLRefusal("UNPROCESSABLE", "Options are only for single select fields")
        if options:
            field["options"] = _options(options, {option["id"] for option in field["options"]})
        field["updatedAt"] = self._repositories.now()
        board["fields"] = [field if one["id"] == field["id"] else one for one in board["fields"]]
        self.save(board)
        return field

    def _check_name(self, board: Document, name: str) -> None:
        if not name.strip():
            raise GraphQLRefusal("UNPROCESSABLE", "Name can't be blank")
        if any(one["name"].lower() == name.lower() for one in board["fields"]):
            raise GraphQLRefusal("UNPROCESSABLE", "Name has already been taken")
        if name.lower() in RESERVED:
            raise GraphQLRefusal("UNPROCESSABLE", "Name cannot have a reserved value")

    def _append_field(self, board: Document, name: str, kind: str, options: Sequence[Document]) -> Document:
        type_name, prefix = TYPE_NAMES.get(kind, ("ProjectV2Field", node_ids.FIELD))
        number = 60_000_000 + self._store.next_number(f"{BOARDS}.fields")
        now = self._repositories.now()
        created: Document = {
            "__typename": type_name,
            "id": node_ids.encode(prefix, board["id"], number),
            "databaseId": number,
            "name": name,
            "dataType": kind,
            "createdAt": now,
            "updatedAt": now,
        }
        if kind == "SINGLE_SELECT":
            created["options"] = _options(options, set())
        board["fields"].append(created)
        return created

    def _links(self, board: Document, repository_id: int, *, present: bool) -> None:
        def changed(numbers: list[int], number: int) -> list[int]:
            without = [one for one in numbers if one != number]
            return [*without, number] if present else without

        linked = (self._store.get(OF_REPOSITORY, str(repository_id)) or {"boards": []})["boards"]
        self._store.put(OF_REPOSITORY, str(repository_id), {"boards": changed(linked, board["id"])})
        board["repositories"] = changed(board["repositories"], repository_id)
        self.save(board)


def _options(given: Sequence[Document], known: set[str]) -> list[Document]:
    names = [option["name"].lower() for option in given]
    if len(set(names)) < len(names):
        raise GraphQLRefusal("UNPROCESSABLE", "Option names must be unique")
    made = []
    for option in given:
        kept = option.get("id")
        if kept is not None and kept not in known:
            raise GraphQLRefusal("UNPROCESSABLE", f"Option id {kept} does not exist on this field")
        made.append(
            {
                "id": kept or secrets.token_hex(4),
                "name": option["name"],
                "nameHTML": option["name"],
                "color": option["color"],
                "description": option["description"],
                "descriptionHTML": option["description"],
            }
        )
    return made
