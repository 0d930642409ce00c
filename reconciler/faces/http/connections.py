"""Connections that do not wait for ever, and do not keep others out.

uvicorn gives up idle ones, but not those that send byte by byte; and it counts both against the number that
it serves at once, so that a crowd which says nothing would have probes be told 503.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class ImpatientProtocol(H11Protocol):
    """Closes a connection whose next request, head and body, is not there within a time.

    Of too many that are awaited, the one that was longest awaited makes room for a new one.
    """

    read_within: ClassVar[float] = 30.0
    """Seconds. How long an answer takes is nobody's matter here."""
    most_awaited: ClassVar[int] = 400
    """Connections whose request is not there yet; below the number that are served at once."""
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect the first request."""
        super().connection_made(transport)
        self._make_room()
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Take what came; be patient from the moment that a request is whole."""
        super().data_received(data)
        if self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}:
            self._expect_nothing()

    def on_response_complete(self) -> None:
        """Expect the next request, or the rest of the one that was answered before it was whole."""
        super().on_response_complete()
        if self.conn.their_state in {h11.IDLE, h11.SEND_BODY}:
            self._expect()

    @property
    def is_awaited(self) -> bool:
        """Whether a request is expected, and not there yet."""
        return self._deadline is not None

    def awaited_until(self) -> float:
        """Return when it is given up, by the loop's clock."""
        return self._deadline.when() if self._deadline else float("inf")

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go."""
        self._expect_nothing()
        super().connection_lost(exc)

    def _make_room(self) -> None:
        awaited = [
            each
            for each in self.connections
            if isinstance(each, ImpatientProtocol) and each.is_awaited and not each.transport.is_closing()
        ]
        if len(awaited) >= self.most_awaited:
            min(awaited, key=ImpatientProtocol.awaited_until).transport.close()

    def _expect(self) -> None:
        self._expect_nothing()
        self._deadline = self.loop.call_later(self.read_within, self.transport.close)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
