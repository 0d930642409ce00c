"""What one resource does in a pass, written down beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.engine.contract import AnyResource, Target
from reconciler.model.decision import Applied, Change, Decision, Failed
from reconciler.model.errors import SystemFault
from reconciler.model.json import Object
from reconciler.model.observation import Observation, Seen
from reconciler.model.removal import OnRemove
from reconciler.settings.giving import R, Reader, Reading, Writing
from tests.support.evidence import Made, Shown
from tests.support.systems import GIT, Systems

Written = Mapping[str, Sequence[str]]
"""What was written, by system."""


@dataclass(frozen=True)
class Found:
    """A resource's things: the item's own, and how many there are in all."""

    inventory: Mapping[str, Any]
    totals: Mapping[str, int]


@dataclass(frozen=True)
class Looked:
    """One call of `observe`, or two of `plan`.

    `refused`: something that it asked did not answer. `wavering`: the second decision, if it was another.
    """

    resource: str
    wrote: Written
    refused: bool = False
    wavering: Decision | None = None
    findings: Mapping[str, Observation[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """One change, applied once and, where that was wanted, at once a second time.

    `after`: what there was once all that it wanted was published.
    """

    resource: str
    deferred: bool
    before: Found
    once: Found
    after: Found
    wrote: Written
    twice: Found | None = None
    second: Applied | None = None

    @property
    def added(self) -> Mapping[str, int]:
        """How many of the things there are in all were added."""
        return added(self.before.totals, self.after.totals)


@dataclass
class Book:
    """Where it is all written down; of one item of one kind."""

    systems: Systems
    name: str
    shown: Mapping[str, Shown]
    doubled: bool = False
    looked: list[Looked] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)
    refused: set[type[Reader]] = field(default_factory=set)
    """The clients that did not get their answers."""

    def found(self, resource: str) -> Found:
        """Look at what there is of a resource now."""
        made = self.shown[resource].made
        if not isinstance(made, Made):
            return Found({}, {})
        inventory = {system: look(self.systems, self.name) for system, look in made.inventory.items()}
        return Found(inventory, made.totals(self.systems))

    def end_pass(self, first: int) -> None:
        """Look again at what only the end of the pass has published, of what was done from `first` on."""
        for number in range(first, len(self.done)):
            done = self.done[number]
            if done.deferred:
                after = self.found(done.resource)
                moved = {} if after == done.before else {GIT: ["what it wanted was published"]}
                self.done[number] = replace(done, after=after, wrote={**done.wrote, **moved})


def added(before: Mapping[str, int], after: Mapping[str, int]) -> Mapping[str, int]:
    """Return by how much each total has grown, where it has."""
    return {name: count - before[name] for name, count in after.items() if count != before[name]}


def recorded(resource: type[AnyResource], book: Book, *, verify: bool = False) -> type[AnyResource]:
    """Return the resource, every call of which is written down. With `verify`, its audits are always due."""

    def observe(
        self: AnyResource, targets: Sequence[Target[Any]], read: Reading
    ) -> Mapping[str, Observation[Any]]:
        mark, noting = book.systems.mark(), _Noting(read)
        findings: Mapping[str, Observation[Any]] = {}
        asked = [replace(target, verify=verify or target.verify) for target in targets]
        try:
            findings = resource.observe(self, asked, noting)
        finally:
            if noting.failed or book.systems.refused(mark):
                book.refused |= noting.asked
            # Who reads what another one has asked for already is refused as well.
            refused = bool(noting.asked & book.refused)
            wrote = book.systems.written(mark)
            book.looked.append(Looked(self.name, wrote, refused=refused, findings=findings))
        return findings

    def plan(
        self: AnyResource, target: Target[Any], seen: Seen[Any], outputs: Mapping[str, Object]
    ) -> Decision:
        return _planned(self.name, lambda: resource.plan(self, target, seen, outputs), book)

    def apply(self: AnyResource, target: Target[Any], change: Change, write: Writing) -> Applied:
        return _applied(self, target, change, write, resource.apply, book)

    def plan_removal(self: AnyResource, target: Target[Any], seen: Seen[Any], wish: OnRemove) -> Decision:
        return _planned(self.name, lambda: resource.plan_removal(self, target, seen, wish), book)

    def apply_removal(self: AnyResource, target: Target[Any], change: Change, write: Writing) -> Applied:
        return _applied(self, target, change, write, resource.apply_removal, book)

    methods = {
        "observe": observe,
        "plan": plan,
        "apply": apply,
        "plan_removal": plan_removal,
        "apply_removal": apply_removal,
    }
    return type(resource.__name__, (resource,), methods)


def _planned(name: str, decide: Callable[[], Decision], book: Book) -> Decision:
    """Decide twice, and write down what that wrote, and another decision."""
    mark = book.systems.mark()
    decision, again = decide(), decide()
    wavering = None if again == decision else again
    book.looked.append(Looked(name, book.systems.written(mark), wavering=wavering))
    return decision


def _applied(
    resource: AnyResource,
    target: Target[Any],
    change: Change,
    write: Writing,
    act: Callable[[AnyResource, Target[Any], Change, Writing], Applied],
    book: Book,
) -> Applied:
    """Carry out a change once, or twice, and write down what came of it."""
    before, mark = book.found(resource.name), book.systems.mark()
    applied = act(resource, target, change, write)
    wrote, once = book.systems.written(mark), book.found(resource.name)
    done = Done(resource.name, resource.deferred, before, once, once, wrote)
    if book.doubled and not isinstance(applied, Failed):
        second = act(resource, target, change, write)
        done = replace(done, twice=book.found(resource.name), second=second)
    book.done.append(done)
    return applied


class _Noting(Reading):
    """Gives out what another one does, and notes what that was and whether it failed."""

    def __init__(self, inner: Reading) -> None:
        super().__init__(inner.sections, stopping=inner.stopping, clock=inner.clock)
        self._inner = inner
        self.asked: set[type[Reader]] = set()
        self.failed = False

    def get(self, kind: type[R]) -> R:
        self.asked.add(kind)
        try:
            return self._inner.get(kind)
        except SystemFault:
            self.failed = True
            raise
