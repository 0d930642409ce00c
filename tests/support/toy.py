"""A kind that exists only in tests: things in a dictionary, so that the engine needs no server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar

from reconciler.engine.contract import AnyResource, Resource, Target
from reconciler.engine.kind import Kind, Proof
from reconciler.model.decision import (
    Action,
    Applied,
    Change,
    Decision,
    Failed,
    Needed,
    Settled,
    Waiting,
    WaitingReason,
)
from reconciler.model.item import Item, Source, Spec
from reconciler.model.json import Object
from reconciler.model.observation import Absent, Known, Observation, Seen, State
from reconciler.model.removal import OnRemove
from reconciler.settings.giving import Reading, Sections, Writing

NOW = datetime(2026, 1, 1, tzinfo=UTC)


LOGIN = WaitingReason("waiting_auth", "somebody has to log in", person=True)
SYNC = WaitingReason("waiting_sync", "a machine is not done", person=False)


class ThingSpec(Spec):
    kind: str = "thing"
    name: str
    claimed: str = ""

    def default_slug(self) -> str:
        return self.name

    def claim(self) -> str:
        return f"thing {self.claimed or self.name}"


class Thing(State):
    value: str


class World:
    """What is outside: values by (resource, slug), and faults to raise when it is read or written."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], str] = {}
        self.on_read: dict[str, Exception] = {}
        self.on_write: dict[str, Exception] = {}
        self.rivals: dict[str, str] = {}
        self.proofs: dict[str, str] = {}
        self.reads = 0


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
        on_remove: ClassVar[tuple[OnRemove, ...]] = (OnRemove.KEEP,)

        def observe(
            self, targets: Sequence[Target[ThingSpec]], read: Reading
        ) -> Mapping[str, Observation[Thing]]:
            world.reads += 1
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
                return Needed(Change(target.id, self.name, Action.CREATE, f"make {self.name}", {}, wanted))
            return Settled({"value": seen.state.value})

        def apply(self, target: Target[ThingSpec], change: Change, write: Writing) -> Applied:
            if error := world.on_write.get(self.name):
                if rival := world.rivals.get(self.name):
                    world.values[self.name, target.slug] = rival
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


def clumsy(  # noqa: C901 - one step each
    world: World, resource_name: str, step: str, *slugs: str
) -> Resource[ThingSpec, Thing]:
    """Return a resource with a defect in one step that these items meet."""
    made = type(resource(world, resource_name))

    def stumble(*targets: Target[ThingSpec]) -> None:
        if {target.slug for target in targets} & set(slugs):
            raise ZeroDivisionError("secret detail")

    class Clumsy(made):  # type: ignore[misc, valid-type]
        def unwanted(self, target: Target[ThingSpec]) -> None:
            if step == "unwanted":
                stumble(target)

        def observe(
            self, targets: Sequence[Target[ThingSpec]], read: Reading
        ) -> Mapping[str, Observation[Thing]]:
            if step == "observe":
                stumble(*targets)
            found: Mapping[str, Observation[Thing]] = super().observe(targets, read)
            return {slug: each for slug, each in found.items() if step != "leave out" or slug not in slugs}

        def plan(
            self, target: Target[ThingSpec], seen: Seen[Thing], outputs: Mapping[str, Object]
        ) -> Decision:
            if step == "plan":
                stumble(target)
            decision: Decision = super().plan(target, seen, outputs)
            return decision

        def apply(self, target: Target[ThingSpec], change: Change, write: Writing) -> Applied:
            if step == "apply":
                stumble(target)
            applied: Applied = super().apply(target, change, write)
            return applied

    clumsy_one: Resource[ThingSpec, Thing] = Clumsy(Sections({}, {}))
    return clumsy_one


def kind_of(*resources: AnyResource, proof: Proof | None = None) -> Kind:
    """Return a kind with these resources, which hold their world."""
    return Kind("thing", ThingSpec, tuple(map(type, resources)), (LOGIN, SYNC), SYNC, proof=proof)


def item(name: str, claimed: str = "") -> Item[ThingSpec]:
    spec = ThingSpec(name=name, claimed=claimed)
    return Item(name, "thing", spec, Source(f"projects/{name}.yaml", "0" * 40))


def waiting(*, person: bool) -> Waiting:
    return Waiting("not yet", LOGIN if person else SYNC, todo="log in" if person else "")


def failed() -> Failed:
    return Failed("it is wrong", "mend it")
