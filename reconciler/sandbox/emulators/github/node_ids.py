"""Global node ids: opaque to clients, decodable for us.

REST still shows a repository's old-style id where GraphQL shows the new one; both are accepted and they are
not string-equal.
"""

from __future__ import annotations

import base64
import binascii

REPOSITORY, ORGANIZATION, USER, BOARD, BOARD_ITEM = "R", "O", "U", "PVT", "PVTI"
FIELD, SELECT_FIELD, ITERATION_FIELD = "PVTF", "PVTSSF", "PVTIF"
_OLD_REPOSITORY = "010:Repository"
_SHAPE = "_kgDO"


def encode(prefix: str, *numbers: int) -> str:
    """Return the new-style id of those numbers."""
    raw = b"".join(number.to_bytes(6, "big") for number in numbers)
    return prefix + _SHAPE + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def old_repository(number: int) -> str:
    """Return the old-style id of a repository."""
    return base64.b64encode(f"{_OLD_REPOSITORY}{number}".encode()).decode()


def decode(node_id: str) -> tuple[str, tuple[int, ...]] | None:
    """Return prefix and numbers of an id of either style, None when it is none."""
    prefix, shape, rest = node_id.partition(_SHAPE)
    try:
        if not shape:
            text = base64.b64decode(node_id, validate=True).decode()
            number = text.removeprefix(_OLD_REPOSITORY)
            return (REPOSITORY, (int(number),)) if number != text else None
        raw = base64.urlsafe_b64decode(rest + "=" * (-len(rest) % 4))
    except (binascii.Error, ValueError):
        return None
    return prefix, tuple(int.from_bytes(raw[i : i + 6], "big") for i in range(0, len(raw), 6))
