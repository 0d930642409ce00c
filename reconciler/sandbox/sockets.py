"""Hanging up without a goodbye."""

from __future__ import annotations

import asyncio
import socket
import struct


def drop(transport: asyncio.BaseTransport) -> None:
    """Reset the connection: the other side sees "connection reset by peer"."""
    handle = transport.get_extra_info("socket")
    if handle is not None:
        # A linger time of zero makes the system send a reset in place of an orderly end.
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
