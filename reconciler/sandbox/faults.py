"""What can be made to go wrong on purpose, and the rules that say when.

This module decides; the gateway's fronts carry it out. It knows no system by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

from reconciler.sandbox.false_answers import SPOILED

Kind = Literal[
    "timeout-before",
    "timeout-after",
    "reset",
    "reset-after",
    "500",
    "500-after",
    "502",
    "502-after",
    "429",
    "429-soon",
    "429-never",
    "malformed",
    "malformed-after",
    "slow",
    "drip",
    "refuse",
    "403",
    "404-page",
    "404-object",
    "302",
    "307",
    "204",
    "empty",
    "page",
    "empty-object",
    "empty-list",
    "deep",
    "secondary-limit",
    "rate-limited",
    "graphql-null",
    "graphql-partial",
    "truncated",
    "mutated",
]


@dataclass(frozen=True)
class Fault:
    """One rule.

    `system`: the name of one of the sandbox's systems, or `*` for any.
    `match`: a regular expression searched in "METHOD path" as the request log writes them (LoggedRequest);
    for PostgreSQL in the statement without literals, or in "CONNECT" for a new connection.
    `kind`: a plain kind or `…-before` never reaches the server; with `…-after` the effect happens and the
    answer is lost. `refuse` closes connections at once, for ever: a system that is down. `429` has no
    retry-after, `429-soon` a second, `429-never` millions of years. Of `graphql-partial`, `truncated` and
    `mutated` the effect happens and the answer is spoiled, and `drip` answers in fifty pieces; the others are
    answers that the system did not give, and nothing is done (false_answers.py).
    `times`: how often it strikes; `skip`: how many matching requests pass first.
    `seconds`: how long `timeout-…` holds the connection before it drops it, how long `slow` delays, and the
    pause after each piece of `drip`. `seed`: what becomes of an answer that is `mutated`.
    The clients' read timeout is 10 s; a test that does not need the client's own timeout sets less, and the
    client sees a dropped connection.
    """

    system: str
    kind: Kind
    match: str = ""
    times: int = 1
    skip: int = 0
    seconds: float = 30.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"no such kind of fault: {self.kind}")
        re.compile(self.match)

    @property
    def after(self) -> bool:
        """Whether the server sees the request and does what it asks."""
        return self.kind.endswith("-after") or self.kind in {"slow", "drip", *SPOILED}


class Faults:
    """The rules in force. The first that matches strikes."""

    def __init__(self) -> None:
        self._rules: list[_Rule] = []

    def add(self, fault: Fault) -> None:
        """Put a rule in force, behind those that are."""
        self._rules.append(_Rule(fault, skip=fault.skip, left=fault.times))

    def clear(self) -> None:
        """Drop all rules."""
        self._rules.clear()

    def strike(self, system: str, subject: str) -> Fault | None:
        """Return the fault for that request, if any, and count it."""
        struck: Fault | None = None
        for rule in self._rules:
            if struck is None and rule.takes(system, subject):
                struck = rule.fault
        return struck


@dataclass
class _Rule:
    fault: Fault
    skip: int
    left: int

    def takes(self, system: str, subject: str) -> bool:
        if self.fault.system not in {system, "*"} or not re.search(self.fault.match, subject):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.fault.kind == "refuse":
            return True
        self.left -= 1
        return self.left >= 0


def fault_from(document: dict[str, Any]) -> Fault:
    """Build a rule from the JSON that the control API was sent; ValueError or TypeError when it is none."""
    return Fault(**document)
