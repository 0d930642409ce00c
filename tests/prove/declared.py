"""What a kind declares so that it can be proven: `PROVE` in `tests/kinds/<kind>/prove.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeAlias

from reconciler.engine.kind import Kind
from tests.support.systems import Systems

if TYPE_CHECKING:
    from tests.prove.world import World

Act: TypeAlias = "Callable[[World, Sequence[str]], None]"


@dataclass(frozen=True)
class Scenario:
    """Something that happens to items, and what passes make of it.

    `act`: does it to the items of these names, all at once. `ends`: the status that they then come to, ""
    where nothing is left of them. `after`: the scenario at whose end it begins; "" for names that nothing has
    heard of. `later`: how much time goes by before the passes that it is about. `leaves`: the items are on
    their way out in it.
    """

    name: str
    ends: str
    act: Act
    after: str = ""
    later: timedelta = timedelta()
    leaves: bool = False


def leaving(after: str, back: str) -> tuple[Scenario, ...]:
    """Return what follows from taking files away, the same for every kind.

    `after`: the scenario at whose end the files go. `back`: the status to which items come whose file is put
    back in time.
    """
    later = timedelta(days=2), timedelta(days=8), timedelta(hours=2)
    return (
        Scenario(
            "offboarding", "offboarding", lambda world, names: world.take_away(names), after, leaves=True
        ),
        Scenario("restore", back, lambda world, names: world.change(names), "offboarding", later[0]),
        Scenario("notice", "offboarding", lambda world, names: None, "offboarding", later[1], leaves=True),
        Scenario("removal", "", lambda world, names: None, "notice", later[2], leaves=True),
    )


@dataclass(frozen=True)
class Provable:
    """How a kind is proven. Items are known by the names that the kind's evidence makes samples of.

    `scenarios`: in an order in which each comes after the one that it begins at. `changed`: a file like the
    evidence's sample that asks for something else. `prepare`: makes in a cleared sandbox, which the kind's
    evidence has prepared, what the first item of all would make for the others. `more`: what there is of an
    item beside the things of its resources, in words that are equal for equal items; `totals` counts it.
    `uncounted`: totals that differ by nature. `secrets`: those that the systems hold now, by name.
    `words`: by which requests name an item, the most telling one first.
    """

    scenarios: tuple[Scenario, ...]
    changed: Callable[[str], str]
    prepare: Callable[[Systems], None] = lambda systems: None
    more: Callable[[Systems, str], Any] = lambda systems, name: None
    totals: Callable[[Systems], Mapping[str, int]] = lambda systems: {}
    uncounted: frozenset[str] = frozenset()
    secrets: Callable[[Systems], Mapping[str, str]] = lambda systems: {}
    words: Callable[[str], Sequence[str]] = lambda name: (name,)

    def chain(self, scenario: Scenario) -> list[Scenario]:
        """Return the scenarios that come before one, the first one first."""
        by_name = {each.name: each for each in self.scenarios}
        found: list[Scenario] = []
        while scenario.after:
            scenario = by_name[scenario.after]
            found.insert(0, scenario)
        return found

    def scenario(self, name: str) -> Scenario:
        """Return the scenario of that name."""
        (found,) = (each for each in self.scenarios if each.name == name)
        return found


def provable_of(kind: Kind) -> Provable | None:
    """Return how a kind is proven; None where it does not say."""
    place = f"tests.kinds.{kind.name}"
    if find_spec(place) is None or find_spec(f"{place}.prove") is None:
        return None
    found = import_module(f"{place}.prove").PROVE
    assert isinstance(found, Provable)
    return found
