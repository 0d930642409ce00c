"""A kind that exists only in tests: things in a dictionary, so that the engine needs no server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar

from reconciler.engine.contract import Resource, Target
from reconciler.model.decision import (
    Action,
    Applied,
    Awaits,
    Change,
    Decision,
    Failed,
    Needed,
    Settled,
    Waiting,
)
from reconciler.model.item import Item, Source, Spec
from reconciler.model.json import Object
from reconciler.model.observation import Absent, Known, Observation, Seen, State
from reconciler.settings.giving import Reading, Sections, Writing

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class ThingSpec(Spec):
    name: str

    def default_slug(self) -> str:
        return self.name

    def identity(self) -> str:
        return f"thing {self.name}"

    def same_thing(self, status: Object) -> bool:
        return False


class Thing(State):
    value: str


class World:
    """What is outside: values by (resource, slug), and faults to raise when it is read or written."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], str] = {}
        self.on_read: dict[str, Exception] = {}
        self.on_write: dict[str, Exception] = {}


def resource(
    world: World,
    resource_name: str,
    *,
    needs: tuple[str, ...] = (),
    uses: tuple[str, ...] = (),
    is_deferred: bool = False,
    decide: Callable[[Target[ThingSpec]], Decision | None] = lambda target: None,
) -> Resource[ThingSpec, Thing]:
    """Return a resource whose desired value is made of its name and of what it needs."""

    class ToyResource(Resource[ThingSpec, Thing]):
        name: ClassVar[str] = resource_name
        phase: ClassVar[str] = "only"
        system: ClassVar[str] = "World"
        state: ClassVar[type[State]] = Thing
        provides: ClassVar[tuple[str, ...]] = ("value",)
        deferred: ClassVar[bool] = is_deferred

        def observe(
            self, targets: Sequence[Target[ThingSpec]], read: Reading
        ) -> Mapping[str, Observation[Thing]]:
            if error := world.on_read.get(self.name):
                raise error
            found = {target.slug: world.values.get((self.name, target.slug)) for target in targets}
            return {
                slug: Absent() if value is None else Known(Thing(value=value))
                for slug, value in found.items()
            }

        def plan(
            self, target: Target[ThingSpec], seen: Seen[Thing], outputs: Mapping[str, Object]
        ) -> Decision:
            if (answer := decide(target)) is not None:
                return answer
            wanted: Object = {"from": {name: each.get("value") for name, each in outputs.items()}}
            if isinstance(seen, Absent) or seen.state.value != self._value(wanted):
                return Needed(Change(target.slug, self.name, Action.CREATE, f"make {self.name}", {}, wanted))
            return Settled({"value": seen.state.value})

        def apply(self, target: Target[ThingSpec], change: Change, write: Writing) -> Applied:
            if error := world.on_write.get(self.name):
                raise error
            value = self._value(change.after)
            world.values[self.name, target.slug] = value
            return Settled({"value": value})

        def _value(self, wanted: Object) -> str:
            inputs = wanted["from"]
            assert isinstance(inputs, Mapping)
            return "+".join([self.name, *(str(item) for item in inputs.values())])

    ToyResource.needs = needs
    ToyResource.uses = uses
    return ToyResource(Sections({}, {}))


def project(name: str) -> Item[ThingSpec]:
    return Item(name, "thing", ThingSpec(name=name), Source(f"projects/{name}.yaml", "0" * 40))


def waiting(*, person: bool) -> Waiting:
    return Waiting("not yet", Awaits.AUTH if person else Awaits.SYNC, todo="log in" if person else "")


def failed() -> Failed:
    return Failed("it is wrong", "mend it")
