"""Deploy keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.sandbox.emulators.github import keys
from reconciler.sandbox.emulators.github.call import Answer, Call
from reconciler.sandbox.emulators.github.errors import not_found
from reconciler.sandbox.emulators.github.identity import READ_ADMINISTRATION, WRITE_ADMINISTRATION

Document = Mapping[str, Any]


def list_keys(call: Call) -> Answer:
    """GET …/keys."""
    repository = call.repository(READ_ADMINISTRATION)
    return call.page([_body(call, repository, key) for key in keys.all_of(call.world, repository["id"])])


def create_key(call: Call) -> Answer:
    """POST …/keys; it may push unless `read_only` is true."""
    repository = call.repository(WRITE_ADMINISTRATION)
    key = keys.create(
        call.world,
        repository["id"],
        call.body.get("key"),
        call.body.get("title") or "",
        call.identity.login,
        read_only=bool(call.body.get("read_only", False)),
    )
    call.wrote()
    return Answer(_body(call, repository, key), status=201)


def get_key(call: Call) -> Answer:
    """GET …/keys/{id}."""
    repository = call.repository(READ_ADMINISTRATION)
    return Answer(_body(call, repository, _found(call, repository)))


def delete_key(call: Call) -> Answer:
    """DELETE …/keys/{id}."""
    repository = call.repository(WRITE_ADMINISTRATION)
    keys.delete(call.world, repository["id"], _found(call, repository))
    call.wrote()
    return Answer(status=204)


def _found(call: Call, repository: Document) -> dict[str, Any]:
    key = keys.find(call.world, repository["id"], call.parameter("key"))
    if key is None:
        raise not_found()
    return key


def _body(call: Call, repository: Document, key: Document) -> dict[str, Any]:
    return {
        "id": key["id"],
        "key": key["key"],
        "url": f"{call.api}/repos/{repository['owner']}/{repository['name']}/keys/{key['id']}",
        "title": key["title"],
        "verified": True,
        "created_at": key["createdAt"],
        "read_only": key["readOnly"],
        "added_by": key["addedBy"],
        "last_used": None,
        "enabled": True,
    }
