"""What a kind shows of its resources so that they can be held to the contract.

A kind's folder in tests has it as `tests/kinds/<kind>/evidence`, called `EVIDENCE`. Functions get a sandbox's
systems and the name of an item: the word that the kind's sample was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeAlias

from reconciler.engine.cycle import Cycle
from reconciler.engine.kind import Kind
from tests.support.systems import Systems

Look: TypeAlias = Callable[[], Any]
"""Returns a thing as it is now."""
Act: TypeAlias = Callable[[Systems, str], None]


@dataclass(frozen=True)
class Made:
    """What a resource makes.

    `inventory`: by system of the sandbox, or `git`, describes all of the item's things of this sort in words
    that are equal for equal items. The resource may write to no other system.
    `totals`: counts all things of this sort whosoever's, so that an orphan shows. `each`: how many of them a
    settled item adds; 0 where none is said.
    """

    inventory: Mapping[str, Callable[[Systems, str], Any]]
    totals: Callable[[Systems], Mapping[str, int]]
    each: Mapping[str, int]


@dataclass(frozen=True)
class MakesNothing:
    """It only reads."""

    why: str


@dataclass(frozen=True)
class Rival:
    """A thing of somebody else's that has the very name which the item's own would have.

    `overwrite`: only where even `adopt: true` must not make it ours: does to the thing what is forbidden.
    """

    plant: Callable[[Systems, str], Look]
    overwrite: Act | None = None


@dataclass(frozen=True)
class Neighbour:
    """Where nothing can have the name of the item's own: a thing of somebody else's beside it.

    `no_rival`: why. `overwrite`: does to the thing what the resource must never do.
    """

    no_rival: str
    plant: Callable[[Systems, str], Look]
    overwrite: Act


@dataclass(frozen=True)
class Shown:
    """The evidence of one resource.

    `more`: makes one more of what it makes or, if it makes nothing, something in its system; it counts as
    written, and is the item's as far as that can be. `take_away`: takes from a settled item what the resource
    says `ok` of, and nothing that those before it say `ok` of. `left`: what is left when the item is removed
    although the thing is to be taken away, and why; "" where nothing is.
    """

    made: Made | MakesNothing
    foreign: Rival | Neighbour
    more: Act
    take_away: Act
    left: str = ""


@dataclass(frozen=True)
class Evidence:
    """The evidence of a kind; `resources` by their names.

    `sample`: a file that asks for all that the kind has. `slug`: the slug of the item that it asks for.
    `prepare`: makes a cleared sandbox so that every resource comes to its turn. `time_passes`: what happens
    by itself between two passes. `people`: does what the item now waits for people to do.
    """

    sample: Callable[[str], str]
    slug: Callable[[str], str]
    resources: Mapping[str, Shown]
    people: Callable[[Systems, Cycle, str], None]
    prepare: Callable[[Systems], None] = lambda systems: None
    time_passes: Callable[[Systems], None] = lambda systems: None


def evidence_of(kind: Kind) -> Evidence | None:
    """Return what a kind shows; None when it has nothing to show."""
    place = f"tests.kinds.{kind.name}"
    if find_spec(place) is None or find_spec(f"{place}.evidence") is None:
        return None
    found = import_module(f"{place}.evidence").EVIDENCE
    assert isinstance(found, Evidence)
    return found
