"""Owners and repositories as documents: names, ids, renames. Knows no route, right or git.

A repository document: id, owner, name, ownerType, defaultBranch, private, archived, empty, files (of the
first commit), protection (none | classic | classic-403 | ruleset), createdAt, updatedAt. Names are looked
up in lower case; an old name keeps pointing at the repository until another takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from reconciler.sandbox.emulators.store import Store

REPOSITORIES, NAMES, OWNERS = "github.repositories", "github.repository-names", "github.owners"
FIRST_ID = 812_000_000
DEFAULTS: dict[str, Any] = {
    "ownerType": "Organization",
    "defaultBranch": "main",
    "private": False,
    "archived": False,
    "empty": False,
    "files": {},
    "protection": "none",
    "description": None,
}


class Repositories:
    """All owners and repositories."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def now(self) -> str:
        """Return the time as GitHub writes it."""
        return self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")

    @staticmethod
    def moment(epoch_seconds: int) -> str:
        """Return a time of git as GitHub writes it."""
        return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def find(self, owner: str, name: str) -> dict[str, Any] | None:
        """Return the repository of that name, old names and any letter case included."""
        pointer = self._store.get(NAMES, f"{owner}/{name}".lower())
        return None if pointer is None else self.get(pointer["id"])

    def get(self, number: int) -> dict[str, Any] | None:
        """Return the repository with that numeric id."""
        return self._store.get(REPOSITORIES, str(number))

    def owner(self, login: str) -> dict[str, Any] | None:
        """Return {id, login, type} of an owner."""
        return self._store.get(OWNERS, login.lower())

    def owner_by_id(self, number: int) -> dict[str, Any] | None:
        """Return the owner with that numeric id."""
        pointer = self._store.get(f"{OWNERS}.ids", str(number))
        return None if pointer is None else self.owner(pointer["login"])

    def all_of(self, owner: str) -> Iterator[dict[str, Any]]:
        """Yield an owner's repositories under their present names."""
        for name, pointer in self._store.items(NAMES, f"{owner}/".lower()):
            repository = self.get(pointer["id"])
            if repository and f"{repository['owner']}/{repository['name']}".lower() == name:
                yield repository

    def ensure_owner(self, login: str, kind: str) -> dict[str, Any]:
        """Return the owner, made if there is none."""
        found = self.owner(login)
        if found is None:
            found = {"id": 9_000_000 + self._store.next_number(OWNERS), "login": login, "type": kind}
            self._store.put(OWNERS, login.lower(), found)
            self._store.put(f"{OWNERS}.ids", str(found["id"]), {"login": login})
        return found

    def ensure(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Return the repository of that name, made if there is none; an old name does not count."""
        present = self.find(wish["owner"], wish["name"])
        if present and present["name"].lower() == wish["name"].lower():
            return present
        document = {**DEFAULTS, **wish, "createdAt": self.now(), "updatedAt": self.now()}
        owner = self.ensure_owner(wish["owner"], document["ownerType"])
        document |= {"id": FIRST_ID + self._store.next_number(REPOSITORIES), "owner": owner["login"]}
        document["ownerType"] = owner["type"]
        self.save(document)
        return document

    def save(self, document: Mapping[str, Any]) -> None:
        """Keep the document and let its present name point at it."""
        number = document["id"]
        self._store.put(REPOSITORIES, str(number), dict(document))
        self._store.put(NAMES, f"{document['owner']}/{document['name']}".lower(), {"id": number})

    def forget(self, document: Mapping[str, Any]) -> None:
        """Delete the repository; its name is free."""
        self._store.delete(NAMES, f"{document['owner']}/{document['name']}".lower())
        self._store.delete(REPOSITORIES, str(document["id"]))

    def touch(self, document: Mapping[str, Any]) -> None:
        """Note that it was pushed to."""
        self.save({**document, "updatedAt": self.now()})


def is_protected(repository: Mapping[str, Any], branch: str) -> bool:
    """Whether commits reach that branch by pull request only; the default branch is the one that can be."""
    return bool(repository["protection"] != "none" and branch == repository["defaultBranch"])
