"""Items of one kind in a sandbox: what happens to them, passes over them, and all that there is of them."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Self

import pygit2
import pytest

from reconciler.engine.cycle import Cycle
from reconciler.engine.kind import Kind
from reconciler.engine.result import PassResult
from reconciler.engine.trailers import OFFBOARD_TRAILER
from reconciler.git.status_text import load_status
from reconciler.model.item import ItemId
from reconciler.model.outcome import Condition
from reconciler.model.status_file import mapping, status_path
from reconciler.sandbox.supervisor import Sandbox
from tests.kinds.everyone import EVERYONE
from tests.prove.apart import limited
from tests.prove.declared import Provable, Scenario, provable_of
from tests.support.evidence import Made, evidence_of
from tests.support.reconciling import MOST_PASSES, configured, cycle_of, without_kustomize
from tests.support.systems import Systems

AUDITED_WITHIN = timedelta(seconds=1)
WRONG = {Condition.ERROR, Condition.UNKNOWN}


class World:
    """A cleared sandbox for items of one kind; a context manager. Passes know every kind.

    `ahead`: by how much the clock of passes is fast; it only ever grows. `audited`: in every pass all is read
    that is otherwise read one by one now and then.
    """

    def __init__(self, sandbox: Sandbox, kind: Kind, *, audited: bool = False) -> None:
        evidence, provable = evidence_of(kind), provable_of(kind)
        assert evidence is not None, f"tests/kinds/{kind.name} shows no evidence"
        assert provable is not None, f"tests/kinds/{kind.name} does not say how it is proven"
        self.sandbox = sandbox
        self.kind = kind
        self.evidence = evidence
        self.provable: Provable = provable
        self.ahead = timedelta()
        self._audited = audited
        self._made: Mapping[str, Made] = {
            name: shown.made for name, shown in evidence.resources.items() if isinstance(shown.made, Made)
        }
        self._numbers = itertools.count(1)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self.sandbox.clear()
        patched = self._open.enter_context(pytest.MonkeyPatch.context())
        patched.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda seconds: None))
        self._open.enter_context(without_kustomize(self.sandbox))
        if self._audited:
            self._open.enter_context(configured(self.sandbox, "schedule", "verifyWithin: 1s"))
        self.systems = self._open.enter_context(closing(Systems(self.sandbox)))
        self.evidence.prepare(self.systems)
        self.provable.prepare(self.systems)
        # The first pass of all brings the database's schema up to date, which is another matter.
        assert self.run([]).exit_code == 0
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    # -- items and what happens to them -----------------------------------------------------------

    def new(self, count: int) -> list[str]:
        """Return so many names that nothing has heard of."""
        return [f"gear{next(self._numbers):04}" for _ in range(count)]

    def id(self, name: str) -> ItemId:
        """Return the item that the sample of that name asks for."""
        return ItemId(self.kind.name, self.evidence.slug(name))

    def file(self, name: str) -> str:
        """Return where the item's file is."""
        return f"projects/{self.kind.name}-{name}.yaml"

    def write(self, names: Sequence[str]) -> None:
        """Merge a file for each of these names, and make what people have made before."""
        self._merge({name: self.evidence.sample(name) for name in names})

    def change(self, names: Sequence[str]) -> None:
        """Merge the files that ask for something else."""
        self._merge({name: self.provable.changed(name) for name in names})

    def help(self, names: Sequence[str]) -> None:
        """Do what these items wait for people to do."""
        cycle = self.cycle()
        for name in names:
            self.evidence.people(self.systems, cycle, name)

    def take_away(self, names: Sequence[str]) -> None:
        """Merge a commit without the files of these names, which confirms that all of them are to go."""
        files = {self.file(name): None for name in names}
        named = ", ".join(str(self.id(name)) for name in names)
        self.systems.commit(self.systems.config, files, f"Take away\n\n{OFFBOARD_TRAILER}: {named}\n")

    def commit_elsewhere(self) -> dict[str, str]:
        """Commit a new file of somebody else's to both repositories; returns its path and text."""
        name = f"notes/{next(self._numbers)}.md"
        files = {name: f"Mine, {name}.\n"}
        for repository in (self.systems.config, self.systems.manifests):
            self.systems.commit(repository, files, "By hand")
        return files

    def _merge(self, texts: Mapping[str, str]) -> None:
        if self.kind.made_outside:
            self.kind.made_outside(self.sandbox, [text.encode() for text in texts.values()])
        files = {self.file(name): text for name, text in texts.items()}
        self.systems.commit(self.systems.config, files, "Merge")

    def bring(self, names: Sequence[str], scenario: Scenario) -> None:
        """Bring items to where a scenario begins."""
        for each in self.provable.chain(scenario):
            self.begin(names, each)
            assert self.settle(names, each) == [], f"{each.name} does not end as is said"

    def begin(self, names: Sequence[str], scenario: Scenario) -> None:
        """Let a scenario happen, ahead of the passes over it."""
        scenario.act(self, names)
        self.ahead += scenario.later

    # -- passes -----------------------------------------------------------------------------------

    def cycle(self, **environment: str) -> Cycle:
        """Return passes in this process, with the world's clock."""
        sections = cycle_of(self.sandbox, EVERYONE, **environment).sections
        return Cycle(sections, EVERYONE, clock=lambda: datetime.now(UTC) + self.ahead)

    def run(self, names: Sequence[str], **environment: str) -> PassResult:
        """Run one pass over these items alone; over all for none."""
        if self._audited:
            self.ahead += AUDITED_WITHIN
        with limited():
            return self.cycle(**environment).run(only=self.only(names))

    def only(self, names: Sequence[str]) -> list[str]:
        """Return what to tell a pass that is to look at these items only; nothing where one is no more."""
        tree = self.systems.config.revparse_single("main^{tree}")
        assert isinstance(tree, pygit2.Tree)
        if any(self.file(name) not in tree and status_path(self.id(name)) not in tree for name in names):
            return []
        return [str(self.id(name)) for name in names]

    def passes(self, count: int, names: Sequence[str]) -> None:
        """Run so many passes over these items, and let time pass between them."""
        for _ in range(count):
            self.run(names)
            self.evidence.time_passes(self.systems)

    def settle(self, names: Sequence[str], scenario: Scenario) -> list[str]:
        """Run passes until nothing but people is awaited; return what is wrong, a sentence each."""
        result = self.run(names)
        for _ in range(MOST_PASSES):
            if result.again_in is None and not result.changes:
                break
            self.evidence.time_passes(self.systems)
            result = self.run(names)
        wrong = said(result)
        if result.again_in is not None:
            wrong.append(f"still awaited: {', '.join(result.machines_awaited)}")
        if scenario.ends:
            wanted = {self.id(name): name for name in names}
            found = {each.id: each.status for each in result.reports if each.id in wanted}
            wrong += [
                f"{each}: {found.get(each)} and not {scenario.ends}"
                for each in wanted
                if found.get(each) != scenario.ends
            ]
        return wrong

    # -- what there is ----------------------------------------------------------------------------

    def inventory(self, name: str) -> dict[str, Any]:
        """Return everything of an item in every system, in words that are equal for equal items."""
        return {
            **{
                resource: {system: look(self.systems, name) for system, look in made.inventory.items()}
                for resource, made in self._made.items()
            },
            "more": self.provable.more(self.systems, name),
            "status": self._states(name),
        }

    def totals(self) -> dict[str, int]:
        """Count everything in every system, so that an orphan shows."""
        counted = Counter[str]()
        for each in (
            *(made.totals(self.systems) for made in self._made.values()),
            self.provable.totals(self.systems),
        ):
            counted.update(each)
        counted["branches"] = len(list(self.systems.config.references))
        counted["branches"] += len(list(self.systems.manifests.references))
        counted["status files"] = len(self._status_files())
        return {thing: count for thing, count in counted.items() if thing not in self.provable.uncounted}

    def status(self, name: str) -> str:
        """Return an item's status file as it is written now; empty where there is none."""
        try:
            blob = self.systems.config.revparse_single(f"main:{status_path(self.id(name))}")
        except KeyError:
            return ""
        return bytes(blob.read_raw()).decode()

    def _status_files(self) -> list[str]:
        try:
            folder = self.systems.config.revparse_single(f"main:status/{self.kind.name}")
        except KeyError:
            return []
        assert isinstance(folder, pygit2.Tree)
        return [str(file.name) for file in folder]

    def _states(self, name: str) -> dict[str, Any]:
        text = self.status(name)
        if not text:
            return {}
        document = load_status("status", text.encode())
        sections = {key: mapping(document.get(key)).get("state") for key in self.kind.sections.values()}
        states = {each: mapping(entry).get("state") for each, entry in mapping(document["resources"]).items()}
        return {"status": document["status"], "resources": states, "sections": sections}


def said(result: PassResult) -> list[str]:
    """Return all that a pass says is wrong."""
    return [
        *map(str, result.broken),
        *result.problems,
        *(
            f"{each.id}/{outcome.resource}: {outcome.reason}"
            for each in result.reports
            for outcome in each.outcomes
            if outcome.condition in WRONG
        ),
    ]


def unforeseen(texts: Iterable[str]) -> list[str]:
    """Return those that tell of an exception which nobody foresaw, by the name of its type."""
    return [each for each in texts if re.search(r"unexpected [A-Z]\w+", each)]


def lacks(found: Mapping[str, Any], model: Mapping[str, Any]) -> bool:
    """Tell whether a resource has fewer things in some system than the model; how they are does not count."""
    return any(_count(found.get(system)) < _count(things) for system, things in model.items())


def _count(things: Any) -> int:
    return len(things) if isinstance(things, list | Mapping) else int(things is not None)


def differences(found: Any, model: Any, place: str = "") -> list[str]:
    """Return where two inventories differ; the places, and of values that they differ."""
    if isinstance(found, Mapping) and isinstance(model, Mapping):
        keys = [*model, *(key for key in found if key not in model)]
        return [
            each
            for key in keys
            for each in differences(found.get(key), model.get(key), f"{place}/{key}" if place else str(key))
        ]
    if isinstance(found, list) and isinstance(model, list):
        if len(found) != len(model):
            return [f"{place}: {len(found)} instead of {len(model)}"]
        # Some come in the order of names that nobody has chosen.
        found, model = sorted(map(repr, found)), sorted(map(repr, model))
    return [] if found == model else [f"{place} is another"]
