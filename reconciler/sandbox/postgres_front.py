"""The TCP proxy in front of PostgreSQL: logs statements and carries out faults.

It reads just enough of the frontend/backend protocol, version 3: startup, Query, Parse, Bind, Execute and
Sync one way, the end of each command the other. Authentication and data pass through untouched.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from reconciler.sandbox import sql
from reconciler.sandbox.faults import Fault, Faults
from reconciler.sandbox.sockets import drop
from reconciler.sandbox.traffic import RequestLog

_SSL_REQUEST, _ENCRYPTION_REQUEST, _CANCEL_REQUEST = 80877103, 80877104, 80877102
_CHUNK = 65_536
_ERRORS = {"500": "XX000", "502": "57P01", "429": "53300", "403": "42501"}


class PostgresFront:
    """Accepts clients and connects each to the server."""

    def __init__(self, system: str, port: int, faults: Faults, log: RequestLog) -> None:
        self._system = system
        self._port = port
        self._faults = faults
        self._log = log

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until one side hangs up."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._serve(reader, writer)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        startup = await _startup(reader, writer)
        if fault := self._faults.strike(self._system, "CONNECT"):
            self._log.add(
                system=self._system, method="CONNECT", path="", status=0, wrote=False, fault=fault.kind
            )
            if fault.kind != "slow":
                return await _fail(fault, writer, reader)
            await asyncio.sleep(fault.seconds)
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._port)
        server_writer.write(startup)
        session = _Session(self._system, self._faults, self._log, writer, server_writer)
        pumps = {
            asyncio.create_task(session.from_client(reader)),
            asyncio.create_task(session.from_server(server_reader)),
        }
        done, pending = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pending:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        server_writer.close()
        for pump in done:
            pump.result()
        return None


@dataclass
class _Pending:
    """A statement that the server was sent and has not finished."""

    statement: str
    fault: Fault | None
    skipped: int = 0


class _Session:
    """One client's conversation with the server."""

    def __init__(
        self,
        system: str,
        faults: Faults,
        log: RequestLog,
        client: asyncio.StreamWriter,
        server: asyncio.StreamWriter,
    ) -> None:
        self._system = system
        self._faults = faults
        self._log = log
        self._client = client
        self._server = server
        self._prepared: dict[bytes, str] = {}
        self._portals: dict[bytes, str] = {}
        # None stands for the end of a round trip: a Query's end, or a Sync.
        self._pending: deque[_Pending | None] = deque()
        self._lost: Fault | None = None

    async def from_client(self, reader: asyncio.StreamReader) -> None:
        """Pass on what the client sends until it hangs up or a fault ends it."""
        while True:
            header = await reader.readexactly(5)
            body = await reader.readexactly(struct.unpack("!I", header[1:])[0] - 4)
            if fault := self._note(header[:1], body):
                if not fault.after:
                    return await _fail(fault, self._client, reader)
                if fault.kind == "slow":
                    await asyncio.sleep(fault.seconds)
                else:
                    self._lost = fault
            self._server.write(header + body)
            await self._server.drain()

    def _note(self, kind: bytes, body: bytes) -> Fault | None:
        """Remember what a message means; returns the fault that strikes it."""
        parts = body.split(b"\0")
        if kind == b"P":
            self._prepared[parts[0]] = parts[1].decode(errors="replace")
        elif kind == b"B":
            self._portals[parts[0]] = self._prepared.get(parts[1], "")
        elif kind == b"E":
            return self._expect(sql.statements(self._portals.get(parts[0], ""))[:1])
        elif kind == b"Q":
            fault = self._expect(sql.statements(parts[0].decode(errors="replace")))
            self._pending.append(None)
            return fault
        elif kind == b"S":
            self._pending.append(None)
        return None

    def _expect(self, statements: list[str]) -> Fault | None:
        struck: Fault | None = None
        for statement in statements:
            fault = self._faults.strike(self._system, statement)
            struck = struck or fault
            if fault and not fault.after:
                self._add(_Pending(statement, fault), status=0)
            else:
                self._pending.append(_Pending(statement, fault))
        return struck

    async def from_server(self, reader: asyncio.StreamReader) -> None:
        """Pass on what the server answers until it hangs up or a fault swallows it."""
        buffer = b""
        while data := await reader.read(_CHUNK):
            buffer += data
            used = 0
            for kind, body in _messages(buffer):
                used += 5 + len(body)
                self._settle(kind, body)
                if kind == b"Z" and self._lost and not self._pending:
                    return await _fail(self._lost, self._client)
            if not self._lost:
                self._client.write(buffer[:used])
                await self._client.drain()
            buffer = buffer[used:]
        return None

    def _settle(self, kind: bytes, body: bytes) -> None:
        """Log the statement that a message of the server ends."""
        first = self._pending[0] if self._pending else None
        if kind == b"N" and first and _field(body, b"M").endswith("skipping"):
            first.skipped += 1
        elif kind in {b"C", b"s"} and first:
            tag = body.rstrip(b"\0").decode(errors="replace")
            self._add(first, status=200, wrote=sql.wrote(first.statement, tag, first.skipped))
            self._pending.popleft()
        elif kind == b"E" and first:
            self._add(first, status=500)
            self._pending.popleft()
        elif kind == b"Z" and self._pending:
            # What an error made the server leave out never happened.
            while self._pending.popleft() is not None:
                pass

    def _add(self, pending: _Pending, *, status: int, wrote: bool = False) -> None:
        self._log.add(
            system=self._system,
            method=sql.verb(pending.statement),
            path=sql.shortened(pending.statement),
            status=status,
            wrote=wrote,
            fault=pending.fault.kind if pending.fault else "",
        )


async def _startup(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Return the client's startup message, after refusing every encryption it asks for."""
    while True:
        header = await reader.readexactly(4)
        body = await reader.readexactly(struct.unpack("!I", header)[0] - 4)
        if struct.unpack("!I", body[:4])[0] not in {_SSL_REQUEST, _ENCRYPTION_REQUEST}:
            return header + body
        writer.write(b"N")
        await writer.drain()


def _messages(buffer: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the complete messages at the start of the buffer: (type, body)."""
    at = 0
    while len(buffer) >= at + 5:
        end = at + 1 + struct.unpack_from("!I", buffer, at + 1)[0]
        if len(buffer) < end:
            return
        yield buffer[at : at + 1], buffer[at + 5 : end]
        at = end


def _field(body: bytes, code: bytes) -> str:
    """Return one field of a notice or an error."""
    for part in body.split(b"\0"):
        if part[:1] == code:
            return part[1:].decode(errors="replace")
    return ""


async def _fail(
    fault: Fault, client: asyncio.StreamWriter, reader: asyncio.StreamReader | None = None
) -> None:
    """Do to the client what the fault says, and hang up. `reader` None: somebody else hears it go away."""
    kind = fault.kind.removesuffix("-before").removesuffix("-after")
    if kind == "timeout":
        with suppress(TimeoutError):
            await asyncio.wait_for(reader.read() if reader else asyncio.sleep(fault.seconds), fault.seconds)
    elif kind in _ERRORS:
        fields = f"SFATAL\0VFATAL\0C{_ERRORS[kind]}\0Mthe sandbox made this fail on purpose\0\0".encode()
        client.write(b"E" + struct.pack("!I", len(fields) + 4) + fields)
        await client.drain()
        client.close()
        return
    elif kind == "malformed":
        client.write(b"?" * 64)
        await client.drain()
        client.close()
        return
    drop(client.transport)
