"""Takes an item of a kind the whole way, alone, and tells what each of its resources did."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from reconciler.engine.contract import AnyResource
from reconciler.engine.cycle import Cycle
from reconciler.engine.kind import Kind, Kinds
from reconciler.engine.result import PassResult
from reconciler.faces.cli.options import made_outside
from reconciler.git.status_text import load_status
from reconciler.model.decision import Change
from reconciler.model.item import ItemId
from reconciler.model.outcome import Condition, ItemReport, Outcome
from reconciler.model.status_file import entry, status_path
from reconciler.settings.giving import Sections
from reconciler.settings.program import ScheduleSettings
from tests.support.contract.record import Book, Done, Found, Looked, recorded
from tests.support.evidence import Evidence
from tests.support.reconciling import MOST_PASSES, cycle_of
from tests.support.systems import Systems

Replace = Callable[[type[AnyResource]], type[AnyResource]]


@dataclass(frozen=True)
class Peek:
    """One look at an item: what each resource would come to, and what would be changed."""

    id: ItemId
    looked: Sequence[Looked]
    outcomes: Mapping[str, Outcome]
    changes: Sequence[Change]


@dataclass(frozen=True)
class Walk:
    """What was seen of an item on its way.

    `left`: changes that were still planned right after the pass that had made them. `before` and `found`:
    what there was of each resource when it set out, and in the end. `settled`: it came to its end.
    """

    id: ItemId
    looked: Sequence[Looked]
    done: Sequence[Done]
    left: Sequence[Change]
    outcomes: Mapping[str, Outcome]
    before: Mapping[str, Found]
    found: Mapping[str, Found]
    settled: bool

    def of(self, resource: str) -> Sequence[Done]:
        """Return what one resource did, in order."""
        return [each for each in self.done if each.resource == resource]


class World:
    """A sandbox with items of several kinds; `evidence` by kind."""

    def __init__(
        self, systems: Systems, kinds: Kinds, evidence: Mapping[str, Evidence], folder: Path
    ) -> None:
        self.systems = systems
        self.kinds = kinds
        self.evidence = evidence
        self._folder = folder
        # Read once: there are hundreds of cycles.
        self._sections = cycle_of(systems.sandbox, kinds).sections

    def prepare(self) -> None:
        """Make the sandbox so that everything comes to its turn; the schema is another test's matter."""
        for evidence in self.evidence.values():
            evidence.prepare(self.systems)
        assert Cycle(self._sections, self.kinds).run().exit_code == 0

    def merge(self, kind: str, names: Sequence[str], more: str = "") -> None:
        """Merge the samples of these names, and make what people have made before."""
        # A folder for each merge: what is gone from one that was merged before is gone from the repository.
        folder = self._folder / f"{kind}-{names[0]}"
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            text = self.evidence[kind].sample(name) + more
            (folder / f"{kind}-{name}.yaml").write_text(text, encoding="utf-8")
        self.systems.sandbox.merge_projects(folder)
        made_outside(self.systems.sandbox, self.kinds, folder)

    @property
    def sections(self) -> Sections:
        """The sandbox's configuration."""
        return self._sections

    def recording(self, kind: Kind, book: Book | None) -> Kinds:
        """Return the kinds, with the resources of one of them written down in a book."""
        if book is None:
            return self.kinds
        made = tuple(recorded(each, book) for each in kind.resources)
        replaced = replace(kind, resources=made)
        return Kinds(replaced if each.name == kind.name else each for each in self.kinds.values())

    def id(self, kind: str, name: str) -> ItemId:
        """Return the item that the sample of that name asks for."""
        return ItemId(kind, self.evidence[kind].slug(name))

    def settle(self, kind: str, names: Sequence[str]) -> dict[str, ItemReport]:
        """Run passes over these items until nothing is awaited any more; by name."""
        evidence, helped = self.evidence[kind], set[str]()
        cycle = Cycle(self._sections, self.kinds)
        ids = {self.id(kind, name): name for name in names}
        for _ in range(MOST_PASSES):
            evidence.time_passes(self.systems)
            result = cycle.run(only=[str(each) for each in ids])
            reports = {ids[each.id]: each for each in result.reports if each.id in ids}
            asked = {name for name, each in reports.items() if _asks_people(each)} - helped
            for name in asked:
                evidence.people(self.systems, cycle, name)
            helped |= asked
            if not asked and result.again_in is None and not result.changes:
                return reports
        raise AssertionError(f"not settled after {MOST_PASSES} passes: {result.machines_awaited}")

    def walk(
        self,
        kind: str,
        name: str,
        *,
        only: str = "",
        broken: Replace = lambda resource: resource,
        doubled: bool = False,
    ) -> Walk:
        """Take an item the whole way; with `only`, as far as that resource comes to its turn.

        Then the item has nothing but this resource, which `broken` may replace, and those that it needs.
        """
        evidence = self.evidence[kind]
        item, book = self.id(kind, name), Book(self.systems, name, evidence.resources, doubled=doubled)
        cycle, resources = self._cycle(kind, book, only, broken)
        before = {resource.name: book.found(resource.name) for resource in resources}
        left: list[Change] = []
        helped = settled = False
        for _ in range(MOST_PASSES):
            evidence.time_passes(self.systems)
            first = len(book.done)
            result = cycle.run(only=[str(item)])
            book.end_pass(first)
            report = _report(result, item)
            if only and _had_its_turn(book, report, only):
                break
            if not only:
                left += _left(cycle, item, {each.resource for each in book.done[first:]})
            changed = any(each.condition is Condition.CHANGED for each in report.outcomes)
            settled = result.again_in is None and not changed and (helped or not _asks_people(report))
            if settled:
                break
            if not helped and _asks_people(report):
                evidence.people(self.systems, cycle, name)
                helped = True
        return Walk(
            item,
            tuple(book.looked),
            tuple(book.done),
            tuple(left),
            {each.resource: each for each in report.outcomes},
            before,
            {resource.name: book.found(resource.name) for resource in resources},
            settled,
        )

    def peek(
        self,
        kind: str,
        name: str,
        only: str = "",
        broken: Replace = lambda resource: resource,
        environment: Mapping[str, str] = {},
    ) -> Peek:
        """Look at a settled item, so late that all is read one by one again; or only at one resource of it.

        Then only that one is read so, since those that it needs may well see by themselves what it is to see.
        `environment`: variables that are otherwise than the sandbox's.
        """
        item, book = self.id(kind, name), Book(self.systems, name, self.evidence[kind].resources)
        cycle, _ = self._cycle(kind, book, only, broken, late=True, environment=environment)
        look = cycle.look(only=[str(item)])
        (report,) = (each for each in look.reports if each.id == item)
        outcomes = {each.resource: each for each in report.outcomes}
        return Peek(item, tuple(book.looked), outcomes, look.plan.changes)

    def state(self, item: ItemId, resource: str) -> str:
        """Return what the item's status file says of a resource."""
        path = status_path(item)
        blob = self.systems.config.revparse_single(f"main:{path}")
        return str(entry(load_status(path, blob.read_raw()), resource).get("state"))

    @contextmanager
    def failing(self) -> Iterator[Mapping[str, str]]:
        """Have nothing answer; yields the environment for `peek`."""
        with self.systems.failing() as environment:
            yield environment

    def _cycle(
        self,
        kind: str,
        book: Book,
        only: str,
        broken: Replace,
        *,
        late: bool = False,
        environment: Mapping[str, str] = {},
    ) -> tuple[Cycle, Sequence[type[AnyResource]]]:
        wanted = needed_for(self.kinds[kind], only) if only else self.kinds[kind].resources
        made = tuple(
            recorded(broken(each), book, verify=late) if each.name == only else recorded(each, book)
            for each in wanted
        )
        replaced = replace(self.kinds[kind], resources=made)
        kinds = Kinds(replaced if each.name == kind else each for each in self.kinds.values())
        if environment:
            return cycle_of(self.systems.sandbox, kinds, **environment), made
        if late and not only:
            moment = datetime.now(UTC) + self._sections.get(ScheduleSettings).verify_within
            return Cycle(self._sections, kinds, clock=lambda: moment), made
        return Cycle(self._sections, kinds), made


def needed_for(kind: Kind, name: str) -> list[type[AnyResource]]:
    """Return a resource of a kind with all those that come to their turn before it."""
    by_name = {resource.name: resource for resource in kind.resources}
    wanted, asked = {name}, [name]
    while asked:
        resource = by_name[asked.pop()]
        new = {*resource.needs, *resource.uses, *resource.trusts} - wanted
        wanted |= new
        asked += new
    return [resource for resource in kind.resources if resource.name in wanted]


def _had_its_turn(book: Book, report: ItemReport, resource: str) -> bool:
    wrong = {each.resource for each in report.outcomes if each.condition is Condition.ERROR}
    return resource in wrong or any(each.resource == resource for each in book.done)


def _left(cycle: Cycle, item: ItemId, changed: set[str]) -> list[Change]:
    plan = cycle.look(only=[str(item)]).plan
    return [change for change in plan.changes if change.resource in changed]


def _report(result: PassResult, item: ItemId) -> ItemReport:
    (report,) = (each for each in result.reports if each.id == item)
    return report


def _asks_people(report: ItemReport) -> bool:
    return any(
        each.condition is Condition.WAITING and each.awaits is not None and each.awaits.person
        for each in report.outcomes
    )
