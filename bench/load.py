"""Asks one address as fast as it answers, over a few connections that stay open; one socket, one event each.

Made of plain sockets, because every HTTP client of Python takes longer to ask than the server to answer.
"""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

CONNECTIONS = 8
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


@dataclass(frozen=True)
class Measured:
    """Requests a second, and seconds that half and 99 of a hundred of them took at most."""

    rate: float
    p50: float
    p99: float


@dataclass
class _Connection:
    socket: socket.socket
    asked: float = 0.0
    left: int = 0
    """Bytes of the answer that are still to come; 0 while its head is."""
    head: bytes = b""


def measure(url: str, path: str, headers: Mapping[str, str], seconds: float) -> Measured:
    """Ask for so long. RuntimeError for any answer but 200."""
    address = urlsplit(url)
    lines = [f"GET {path} HTTP/1.1", f"Host: {address.netloc}", *(f"{k}: {v}" for k, v in headers.items())]
    request = "\r\n".join([*lines, "", ""]).encode()
    took: list[float] = []
    buffer = bytearray(1 << 20)
    with selectors.DefaultSelector() as selector:
        for _ in range(CONNECTIONS):
            made = socket.create_connection((address.hostname or "", address.port or 80))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(made, selectors.EVENT_READ, _ask(_Connection(made), request))
        begun = time.perf_counter()
        while time.perf_counter() - begun < seconds:
            for key, _ in selector.select(1):
                if _read(key.data, buffer):
                    took.append(time.perf_counter() - key.data.asked)
                    _ask(key.data, request)
        passed = time.perf_counter() - begun
        for key in list(selector.get_map().values()):
            key.data.socket.close()
    took.sort()
    return Measured(len(took) / passed, took[len(took) // 2], took[int(len(took) * 0.99)])


def _ask(connection: _Connection, request: bytes) -> _Connection:
    connection.asked = time.perf_counter()
    connection.socket.sendall(request)
    return connection


def _read(connection: _Connection, buffer: bytearray) -> bool:
    """Take what is there; say whether that was the end of the answer."""
    size = connection.socket.recv_into(buffer)
    if not size:
        raise RuntimeError("the server closed a connection")
    if connection.left:
        connection.left -= size
        return connection.left == 0
    connection.head += bytes(buffer[:size])
    head, end, body = connection.head.partition(b"\r\n\r\n")
    if not end:
        return False
    length = _LENGTH.search(head + b"\r\n")
    if not head.startswith(b"HTTP/1.1 200 ") or length is None:
        raise RuntimeError(head.decode("latin-1"))
    connection.left = int(length[1]) - len(body)
    connection.head = b""
    return connection.left == 0
