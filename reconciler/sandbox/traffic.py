"""The request log: one line of JSON for every request that a client sent to the sandbox.

It knows no system and no secret: paths come here already free of query values, bodies and SQL literals.
"""

from __future__ import annotations

import json
import time
from bisect import bisect_right
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path


@dataclass(frozen=True)
class LoggedRequest:
    """One request as it was answered.

    `time` is epoch seconds. `path` is the HTTP path with the names of its query, for GraphQL followed by the
    operation and its first field; for PostgreSQL the statement without literals. `status` is the HTTP status
    of the server, for PostgreSQL 200 or 500; 0 when the server never saw the request. `wrote` says whether it
    changed what the system keeps. `fault` is the kind of the injected fault, or empty.
    """

    number: int
    time: float
    system: str
    method: str
    path: str
    status: int
    wrote: bool
    fault: str = ""


class RequestLog:
    """Writes the log; only the gateway has one. Numbers go on where the file ended."""

    def __init__(self, path: Path) -> None:
        earlier = LogReader(path).since(0)
        self._number = earlier[-1].number if earlier else 0
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def add(self, *, system: str, method: str, path: str, status: int, wrote: bool, fault: str = "") -> None:
        """Append one request. Called before the client sees its answer, so that a reader never misses it."""
        self._number += 1
        request = LoggedRequest(
            self._number, round(time.time(), 3), system, method, path, status, wrote, fault
        )
        self._file.write(json.dumps(asdict(request)) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class LogReader:
    """Reads the log, each line once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._requests: list[LoggedRequest] = []

    def since(self, number: int) -> list[LoggedRequest]:
        """Return the requests with a higher number, oldest first."""
        try:
            with self._path.open("rb") as file:
                if file.seek(0, 2) < self._offset:
                    self._offset, self._requests = 0, []
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            self._offset, self._requests, data = 0, [], b""
        # A line that is still being written is left for the next time.
        complete = data[: data.rfind(b"\n") + 1]
        self._offset += len(complete)
        self._requests += [LoggedRequest(**json.loads(line)) for line in complete.splitlines()]
        return self._requests[bisect_right(self._requests, number, key=attrgetter("number")) :]
