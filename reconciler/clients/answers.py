"""What is believed of an answer before anybody reads it: that it ends, is of bounded size, and is JSON.

Between us and a system stand ingresses, proxies and login pages, and each of them answers in its place. So an
answer without the form that the system gives its own proves nothing (`Senseless`).
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import httpx

from reconciler.model.errors import Senseless, bounded_pause
from reconciler.model.json import decoded

LARGEST = 64 * 1024 * 1024
"""Bytes of one answer, unpacked. The tree of ten thousand environments is half of that."""
LONGEST = 60.0
"""Seconds from the first line of an answer to its end: one that trickles in never meets a read's timeout."""

Own = Callable[[int, str, Mapping[str, Any]], bool]
"""Tells by status, path and JSON object whether that is an error of the system's own making."""


class Endless(Exception):
    """An answer that is too large, or does not come to its end."""


def within_bounds(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the unpacked parts of an answer; raises Endless."""
    until, size = time.monotonic() + LONGEST, 0
    for part in parts:
        size += len(part)
        if size > LARGEST or time.monotonic() > until:
            raise Endless("too large" if size > LARGEST else "too slow")
        yield part


class Raw(Protocol):
    """What urllib3 reads an answer from."""

    def read1(self, amt: int, decode_content: bool) -> bytes:
        """Return what is there, unpacked, as soon as anything is; nothing at the end."""
        ...


def parts_of(raw: Raw) -> Iterator[bytes]:
    """Yield an answer as it comes; what waits for a certain size would wait for a trickle without end."""
    while part := raw.read1(65536, decode_content=True):
        yield part


def bounded(answer: httpx.Response) -> None:
    """Have an answer raise Endless while it is read, as soon as it goes beyond the bounds.

    A hook for httpx clients (`event_hooks`). What was packed is unpacked here, part by part, since a few
    packed kilobytes may be gigabytes.
    """
    packed = httpx.Response(answer.status_code, headers=answer.headers, stream=answer.stream)
    answer.headers.pop("content-encoding", None)
    answer.stream = _Unpacked(packed)


class _Unpacked(httpx.SyncByteStream):
    def __init__(self, packed: httpx.Response) -> None:
        self._packed = packed

    def __iter__(self) -> Iterator[bytes]:
        yield from within_bounds(self._packed.iter_bytes())

    def close(self) -> None:
        self._packed.close()


def body_of(system: str, said: str, content: bytes, content_type: str) -> Any:  # noqa: ANN401 - JSON as it comes
    """Return the decoded body of an answer; Senseless unless it is JSON, and says that it is."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        what = kind if re.fullmatch(r"[a-z0-9.+/-]{1,60}", kind) else "something"
        raise Senseless(system, f"{said} answered with {what} and not JSON, which makes no sense")
    return any_body(system, said, content)


def any_body(system: str, said: str, content: bytes) -> Any:  # noqa: ANN401 - JSON as it comes
    """Return the decoded body whatever it says that it is; Senseless unless it is JSON."""
    try:
        return decoded(content)
    except ValueError:
        # Without its cause, which quotes the body.
        raise Senseless(
            system, f"{said} answered with something that is not JSON, which makes no sense"
        ) from None


def object_in(content: bytes) -> Mapping[str, Any]:
    """Return the object that a body is; an empty one for anything else."""
    try:
        body = decoded(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds, within reason, that a `Retry-After` header asks for; None without sense."""
    value = headers.get("retry-after", "").strip()
    try:
        return bounded_pause(float(value))
    except ValueError:
        pass
    moment, sent = moment_in(value), moment_in(headers.get("date", ""))
    return bounded_pause((moment - sent).total_seconds()) if moment and sent else None


def until_moment(seconds: str, headers: Mapping[str, str]) -> float | None:
    """Return the seconds, within reason, from an answer's `Date` to a moment in seconds since 1970."""
    sent = moment_in(headers.get("date", ""))
    try:
        moment = float(seconds)
    except ValueError:
        return None
    return bounded_pause(moment - sent.timestamp()) if sent and math.isfinite(moment) else None


def moment_in(date: str) -> datetime | None:
    """Return the moment that an HTTP date names; one without a zone is UTC, as all of them should be."""
    try:
        moment = parsedate_to_datetime(date)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
