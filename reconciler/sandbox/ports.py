"""Free ports of 127.0.0.1, chosen once and remembered."""

from __future__ import annotations

import random
import socket

# Below the ports that systems hand out for outgoing connections, and so that port + 10000 is as well.
_LOWEST, _HIGHEST, _BLOCK = 10_240, 22_000, 32


def is_free(port: int) -> bool:
    """Return whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose(taken: set[int], *, twin_offset: int = 0) -> int:
    """Return a free port that is not in `taken`; with an offset, port + offset is free as well.

    Ports of one sandbox stand close together, those of another start elsewhere, so that two that start at the
    same moment hardly ever choose the same one.
    """
    start = min(taken) if taken else random.randrange(_LOWEST, _HIGHEST, _BLOCK)  # noqa: S311 - not a secret
    for step in range(_HIGHEST - _LOWEST):
        port = _LOWEST + (start - _LOWEST + step) % (_HIGHEST - _LOWEST)
        if port not in taken and is_free(port) and (not twin_offset or is_free(port + twin_offset)):
            return port
    raise OSError("no free port on this machine")
