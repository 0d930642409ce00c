"""Deploy keys as documents: one public key is in use at most once, anywhere. Knows no route and no right.

A document: id, title, key (without its comment), readOnly, addedBy, createdAt.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from reconciler.sandbox.emulators.github.errors import validation_failed
from reconciler.sandbox.emulators.github.world import World

KEYS, IN_USE = "github.deploy-keys", "github.deploy-keys-in-use"
TYPES = (
    "ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
)  # fmt: skip
INVALID = "key is invalid. You must supply a key in OpenSSH public key format"
Document = dict[str, Any]


def all_of(world: World, repository_id: int) -> list[Document]:
    """Return a repository's deploy keys, oldest first."""
    return [key for _, key in world.store.items(KEYS, f"{repository_id}/")]


def find(world: World, repository_id: int, number: int) -> Document | None:
    """Return one deploy key."""
    return world.store.get(KEYS, f"{repository_id}/{number:012d}")


def create(
    world: World, repository_id: int, text: object, title: str, user: str, *, read_only: bool
) -> Document:
    """Add a key; one that is in use in any repository is refused."""
    key = _normal(text)
    if world.store.get(IN_USE, key) is not None:
        raise validation_failed("PublicKey", "custom", field="key", message="key is already in use")
    document: Document = {
        "id": 90_000_000 + world.store.next_number(KEYS),
        "key": key,
        "title": title,
        "readOnly": read_only,
        "addedBy": user,
        "createdAt": world.now(),
    }
    world.store.put(KEYS, f"{repository_id}/{document['id']:012d}", document)
    world.store.put(IN_USE, key, {"repository": repository_id})
    return document


def delete(world: World, repository_id: int, document: Document) -> None:
    """Remove a key; it may then be used elsewhere."""
    world.store.delete(KEYS, f"{repository_id}/{document['id']:012d}")
    world.store.delete(IN_USE, document["key"])


def _normal(text: object) -> str:
    parts = text.split() if isinstance(text, str) else []
    try:
        well_formed = len(parts) >= 2 and parts[0] in TYPES and base64.b64decode(parts[1], validate=True)
    except binascii.Error:
        well_formed = False
    if not well_formed:
        raise validation_failed("PublicKey", "custom", field="key", message=INVALID)
    return f"{parts[0]} {parts[1]}"
