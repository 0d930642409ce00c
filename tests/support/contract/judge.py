"""Says what is wrong with what was seen of resources; nothing here looks or does anything itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.engine.contract import AnyResource
from reconciler.engine.kind import Kind
from reconciler.model.decision import Failed
from reconciler.model.item import ItemId
from reconciler.model.observation import Unknown
from reconciler.model.outcome import Condition, Outcome
from tests.support.contract.record import Looked, added
from tests.support.contract.walk import Peek, Walk
from tests.support.evidence import Evidence, Made, MakesNothing, Neighbour, Rival, Shown

_NOTHING = "shows no evidence"


@dataclass(frozen=True)
class Complaint:
    """What is wrong with one resource of a kind."""

    kind: str
    resource: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.resource} {self.what}"


@dataclass(frozen=True)
class Meeting:
    """A foreign thing before and after a resource met it, and what the pass said.

    `state`: what was written into the status file. `adopting`: what was said once the file had `adopt: true`,
    and `adopted` the thing then; None where that was not tried.
    """

    id: ItemId
    resource: str
    before: Any
    after: Any
    said: Outcome
    state: str
    adopting: Outcome | None = None
    adopted: Any = None


def lacking(kind: Kind, evidence: Evidence | None) -> Iterator[Complaint]:
    """What a kind does not show."""
    names, place = _names(kind.resources), f"tests/kinds/{kind.name}/evidence"
    if evidence is None:
        yield from (Complaint(kind.name, name, f"{_NOTHING}: there is no {place}") for name in names)
        return
    for name in names:
        if name not in evidence.resources:
            yield Complaint(kind.name, name, f"{_NOTHING}: {place} has nothing of it")
        elif missing := _unsaid(evidence.resources[name]):
            yield Complaint(kind.name, name, f"shows in {place} no {missing}")
    for name in evidence.resources.keys() - set(names):
        yield Complaint(kind.name, name, "shows evidence, and is no resource")


def _unsaid(shown: Shown) -> str:
    if isinstance(shown.made, MakesNothing):
        if not shown.made.why:
            return "inventory, nor a reason why it makes nothing"
    elif not shown.made.inventory:
        return "inventory of any system"
    if isinstance(shown.foreign, Neighbour) and not shown.foreign.no_rival:
        return "reason why nothing foreign can have its name"
    return ""


def walked(walk: Walk, evidence: Evidence) -> Iterator[Complaint]:
    """What is wrong with anything that an item's resources did on its way."""
    yield from looking(walk.id, walk.looked)
    yield from _doing(walk, evidence)
    for change in walk.left:
        yield Complaint(walk.id.kind, change.resource, f"still wants what was just applied: {change.summary}")


def looking(item: ItemId, looked: Iterable[Looked]) -> Iterator[Complaint]:
    """Looking writes nothing, what could not be read is unknown, and the same seen is the same decided."""
    for each in looked:
        if each.wrote:
            yield Complaint(item.kind, each.resource, f"writes when it should only look: {dict(each.wrote)}")
        if each.wavering is not None:
            yield Complaint(item.kind, each.resource, f"decides otherwise the second time: {each.wavering}")
        finding = each.findings.get(item.slug)
        if each.refused and finding is not None and not isinstance(finding, Unknown):
            said = type(finding).__name__
            yield Complaint(item.kind, each.resource, f"could not read, and takes that for {said}")


def _doing(walk: Walk, evidence: Evidence) -> Iterator[Complaint]:
    for each in walk.done:
        made = evidence.resources[each.resource].made
        if isinstance(made, MakesNothing):
            yield Complaint(walk.id.kind, each.resource, f"is said to make nothing, and wrote {each.wrote}")
            continue
        if unknown := sorted(each.wrote.keys() - made.inventory.keys()):
            yield Complaint(
                walk.id.kind,
                each.resource,
                f"wrote to {', '.join(unknown)}, of which it shows no inventory: {each.wrote}",
            )
        if isinstance(each.second, Failed):
            yield Complaint(walk.id.kind, each.resource, f"cannot be applied twice: {each.second.reason}")
        if each.twice is not None and each.twice != each.once:
            yield Complaint(
                walk.id.kind,
                each.resource,
                f"does another thing when it is applied twice: {_difference(each.once, each.twice)}",
            )


def settled(walk: Walk, evidence: Evidence) -> Iterator[Complaint]:
    """What is wrong with an item that had a whole way without any disturbance."""
    for name, outcome in walk.outcomes.items():
        if not (walk.settled and outcome.condition is Condition.OK):
            yield Complaint(walk.id.kind, name, f"does not settle: {outcome.condition} {outcome.reason}")
        made = evidence.resources[name].made
        if isinstance(made, Made):
            if not walk.of(name):
                yield Complaint(walk.id.kind, name, "was never applied, so that nothing is proven of it")
            elif all(each.after.inventory == each.before.inventory for each in walk.of(name)):
                yield Complaint(walk.id.kind, name, "was applied, and its inventory tells nothing of that")
            grown = added(walk.before[name].totals, walk.found[name].totals)
            if grown != made.each:
                yield Complaint(walk.id.kind, name, f"added {grown} in all, and not {made.each}")


def unlike(walk: Walk, model: Walk) -> Iterator[Complaint]:
    """What an item has otherwise than the model, which was settled."""
    for name in walk.outcomes:
        for mine, other in zip(walk.of(name), model.of(name), strict=False):
            if mine.after.inventory != other.after.inventory:
                yield Complaint(
                    walk.id.kind,
                    name,
                    f"has made something else: {_difference(other.after, mine.after)}",
                )
            if mine.added != other.added:
                yield Complaint(walk.id.kind, name, f"added {mine.added} in all, and not {other.added}")
        if walk.settled and walk.found[name].inventory != model.found[name].inventory:
            yield Complaint(
                walk.id.kind,
                name,
                f"ends with something else: {_difference(model.found[name], walk.found[name])}",
            )


def trusting(peek: Peek, resource: str) -> Iterator[Complaint]:
    """A resource whose thing was taken away does not say that all is well."""
    outcome = peek.outcomes[resource]
    if outcome.condition is Condition.OK:
        yield Complaint(peek.id.kind, resource, "says ok, and what it says that of was taken away")


def restless(peek: Peek) -> Iterator[Complaint]:
    """A settled item wants nothing."""
    for change in peek.changes:
        yield Complaint(peek.id.kind, change.resource, f"is settled, and wants more: {change.summary}")


def meeting(met: Meeting, shown: Shown) -> Iterator[Complaint]:
    """Somebody else's thing stays as it is; one in the way is a conflict, until the file says to adopt it.

    Where nothing makes it ours, it is one then as well.
    """
    rival = shown.foreign if isinstance(shown.foreign, Rival) else None
    untouchable = rival is not None and rival.overwrite is not None
    for what in (
        *_met(met, in_the_way=rival is not None),
        *(_advised(met.said.remedy, untouchable=untouchable) if rival else ()),
        *(_told_to_adopt(met, met.adopting, untouchable=untouchable) if met.adopting else ()),
    ):
        yield Complaint(met.id.kind, met.resource, what)


def _met(met: Meeting, *, in_the_way: bool) -> Iterator[str]:
    if met.after != met.before:
        yield f"changed a thing of somebody else's: {met.before} became {met.after}"
    if not in_the_way:
        if met.said.condition is Condition.ERROR:
            yield f"says of a thing that is not in its way: {met.said.reason}"
        return
    if not _is_conflict(met.said):
        yield f"says of a foreign thing: {met.said.condition} {met.said.reason}"
    if met.state != "error":
        yield f"is in the status file as {met.state} where a foreign thing is in the way"


def _advised(remedy: str, *, untouchable: bool) -> Iterator[str]:
    if not remedy:
        yield "does not say what to do about a foreign thing"
    elif untouchable and "adopt: true" in remedy:
        yield f"says to adopt a foreign thing that it must never adopt: {remedy}"
    elif not untouchable and "adopt: true" not in remedy:
        yield f"does not say how to adopt a foreign thing: {remedy}"


def _told_to_adopt(met: Meeting, said: Outcome, *, untouchable: bool) -> Iterator[str]:
    if not untouchable:
        if said.condition is not Condition.OK:
            yield f"does not settle with adopt: {said.condition} {said.reason}"
        return
    if not _is_conflict(said):
        yield f"says with adopt of a foreign thing that it must never adopt: {said.condition} {said.reason}"
    if met.adopted != met.before:
        yield f"changed with adopt what it must never adopt: {met.before} became {met.adopted}"


def _is_conflict(said: Outcome) -> bool:
    return said.condition is Condition.ERROR and said.reason.startswith("conflict: ")


def never_refused(kind: Kind, looked: Iterable[Looked]) -> Iterator[Complaint]:
    """Of which resources it was never seen what they say when nothing answers."""
    asked = {each.resource for each in looked if each.refused}
    for name in _names(kind.resources):
        if name not in asked:
            yield Complaint(kind.name, name, "was never refused anything, so that nothing is proven of it")


def _names(resources: Sequence[type[AnyResource]]) -> list[str]:
    return [resource.name for resource in resources]


def _difference(one: object, other: object) -> str:
    """Return what two things differ in, as far as both are built alike."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        keys = [key for key in {**one, **other} if one.get(key) != other.get(key)]
        return "; ".join(f"{key}: {_difference(one.get(key), other.get(key))}" for key in keys)
    if hasattr(one, "__dict__") and type(one) is type(other):
        return _difference(vars(one), vars(other))
    return f"{one!r} and {other!r}"
