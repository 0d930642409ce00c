"""The calls that passes make, whatever the item: read off the request log, and struck one by one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.sandbox.faults import Fault, Kind
from reconciler.sandbox.traffic import LoggedRequest
from tests.support.doomed import WRITES, subject

_WORD, _NUMBER = "<item>", re.compile(r"\d+")
_HOLD = 0.02
"""Seconds; a client sees a connection that is dropped, and not its own timeout, which others test."""
ALWAYS = 10_000
_LONGEST_SHOWN = 90

ANY: tuple[Kind, ...] = (
    "reset", "timeout-before", "timeout-after", "500", "502-after", "malformed", "403", "slow",
)  # fmt: skip
HTTP: tuple[Kind, ...] = (
    "404-page", "302", "307", "204", "page", "empty-object", "empty-list", "429-soon", "429-never",
    "truncated", "deep", "drip",
)  # fmt: skip
GRAPHQL: tuple[Kind, ...] = ("rate-limited", "graphql-null", "graphql-partial", "secondary-limit")
POSTGRES: tuple[Kind, ...] = ("429",)


@dataclass(frozen=True)
class Call:
    """One call: its system, and what the log says of it without the item's own words and numbers."""

    system: str
    text: str

    @property
    def is_own(self) -> bool:
        """Whether it names the item; else it may be another's, or all items' together."""
        return _WORD in self.text

    @property
    def is_write(self) -> bool:
        """Whether it is known as one that changes something."""
        return re.search(WRITES, self.text) is not None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of faults that it can meet."""
        if self.system == "postgres":
            return (*ANY, *POSTGRES)
        graphql = "graphql" in self.text
        return (*ANY, *HTTP, *(GRAPHQL if graphql else GRAPHQL[-1:] if self.system == "github" else ()))

    def fault(self, kind: Kind, words: Sequence[str], times: int = ALWAYS, seed: int = 0) -> Fault:
        """Return the fault that strikes this call for the item that requests name by these words."""
        pattern = _NUMBER.sub("0", self.text)
        pattern = re.escape(pattern).replace("0", r"\d+").replace(re.escape(_WORD), _alternatives(words))
        return Fault(self.system, kind, f"^{pattern}$", times=times, seconds=_HOLD, seed=seed)

    def __str__(self) -> str:
        text = f"{self.system} {self.text}"
        return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def calls_of(requests: Iterable[LoggedRequest], words: Sequence[str]) -> list[Call]:
    """Return the different calls among requests about the item with these words, in order."""
    found: dict[Call, None] = {}
    for request in requests:
        text = re.sub(_alternatives(words), _WORD, subject(request))
        found[Call(request.system, _NUMBER.sub("0", text))] = None
    return [*found]


def _alternatives(words: Sequence[str]) -> str:
    # The longest first: one may be a part of another.
    return f"(?:{'|'.join(re.escape(each) for each in sorted(words, key=len, reverse=True))})"
