"""Fault: every call that passes make fails in every way, and nothing is lost, made twice or said falsely.

Each pair of a call and a fault has an item of its own, which a scenario happens to while the fault is in
force. Beside it a settled one is read from top to bottom in every pass. The job `audit` has only that one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.engine.result import PassResult
from reconciler.model.outcome import Condition
from reconciler.sandbox.faults import Kind
from tests.kinds.everyone import EVERYONE
from tests.prove.calls import ALWAYS, Call, calls_of
from tests.prove.declared import Scenario
from tests.prove.figures import Figures
from tests.prove.ground import Ground, provable_kinds, scenarios
from tests.prove.judging import Wrong, judge, unlike
from tests.prove.world import WRONG, World, lacks, said, unforeseen
from tests.support.doomed import subject
from tests.support.evidence import Made

SHARDS = 3
BATCH, BATCHES = 20, 2
"""Items that are settled together; and so many times in one sandbox."""
MOST_STRUCK = 3
"""Passes in which a fault may strike before it is taken away."""
MOST_OF_A_RUN, MOST_OF_A_SHORT_RUN = 110, 8
"""Pairs of each job, which follow from the seed; with others, others are tried."""
AUDIT = "audit"
MUTATED: Kind = "mutated"
MORE = 4
"""Times as many requests as usual may be sent while something fails: each is tried four times at most."""


@dataclass(frozen=True)
class Pair:
    """One call that fails in one way, once or each time."""

    call: Call
    kind: Kind
    times: int
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.kind}{self.seed or ''}{'' if self.times == ALWAYS else ' once'} at {self.call}"


@dataclass
class Struck:
    """An item while its fault was in force, and what was wrong then."""

    name: str
    pair: Pair
    wrong: list[Wrong] = field(default_factory=list)


def jobs() -> list[str]:
    """Return for each kind its audit and its scenarios, those with many calls in parts."""
    audits = [f"{kind.name}/{AUDIT}" for kind in provable_kinds()]
    return [
        f"{each} {number}/{SHARDS}" for each in [*scenarios(), *audits] for number in range(1, SHARDS + 1)
    ]


def run(job: str, ground: Ground) -> Figures:
    """Strike every call of a scenario, or of the audit of a settled item."""
    where, _, shard = job.rpartition(" ")
    kind, _, name = where.partition("/")
    figures = Figures("fault", job, "pairs")
    number = int(shard.partition("/")[0])
    strike_all(ground, kind, name, figures, lambda calls: _pairs(calls, ground, number, audit=name == AUDIT))
    return figures


def strike_all(
    ground: Ground, kind: str, name: str, figures: Figures, choose: Callable[[Sequence[Call]], Sequence[Pair]]
) -> None:
    """Try the pairs that are chosen of the calls of a scenario, or of the audit."""
    left: list[Pair] | None = None
    while left is None or left:
        with World(ground.sandbox, EVERYONE[kind], audited=name == AUDIT) as world:
            trial = _trial(world, name, figures)
            if left is None:
                left = list(choose(trial.calls))
            # Items are not many at a time, and neither are the requests that the systems allow.
            for _ in range(BATCHES):
                batch, left = left[: trial.at_once], left[trial.at_once :]
                ground.tell(f"{len(left)} left")
                trial.strike(batch)


def _trial(world: World, name: str, figures: Figures) -> _Trial:
    """Bring a bystander and a first item to where the scenario begins."""
    scenario = None if name == AUDIT else world.provable.scenario(name)
    bystander, first = world.new(2)
    mark = world.sandbox.mark()
    chain = world.provable.chain(scenario) if scenario else []
    for each in chain or world.provable.scenarios[:1]:
        # All that goes a part of the way goes it together, so that the clock is the same for all; but what
        # only stands by does not leave.
        together = [bystander, first] if chain else [bystander]
        if each.leaves:
            together = [first]
        world.begin(together, each)
        _settled(world, together, each)
    world.passes(MOST_STRUCK, [bystander])
    known = calls_of(world.sandbox.requests(mark), world.provable.words(bystander))
    trial = _Trial(world, scenario, bystander, first, figures)
    if scenario and scenario != world.provable.scenarios[0]:
        # What was struck on the way there need not be struck again, save that other things are written now.
        written = {each for each in trial.calls if scenario.after and each.is_write}
        trial.calls = [each for each in trial.calls if each not in known or each in written]
    return trial


def _settled(world: World, names: Sequence[str], scenario: Scenario) -> None:
    wrong = world.settle(names, scenario)
    assert wrong == [], wrong


def _kinds(call: Call, ground: Ground, *, audit: bool) -> Sequence[Kind]:
    """Return the faults of a call; of a read only half, for the audit tries the others, too."""
    if call.is_write or audit:
        return call.kinds
    return ground.random.sample(call.kinds, len(call.kinds) // 2)


def _pairs(calls: Sequence[Call], ground: Ground, shard: int, *, audit: bool) -> list[Pair]:
    pairs = [
        Pair(call, kind, ALWAYS if ground.random.random() < 0.5 or not call.is_write else 1)
        for number, call in enumerate(calls)
        for kind in _kinds(call, ground, audit=audit)
        if number % SHARDS == shard - 1
    ]
    if len(pairs) > MOST_OF_A_RUN:
        pairs = [pairs[number] for number in sorted(ground.random.sample(range(len(pairs)), MOST_OF_A_RUN))]
    return ground.some(pairs, MOST_OF_A_SHORT_RUN)


class _Trial:
    """One scenario with one bystander; what is right is what the first item came to."""

    def __init__(
        self, world: World, scenario: Scenario | None, bystander: str, first: str, figures: Figures
    ) -> None:
        self._world = world
        self._scenario = scenario
        self._bystander = bystander
        self._figures = figures
        self._settled_status = world.status(bystander)
        self._settled_things = world.inventory(bystander)
        self._model: Any = self._settled_things
        self._usual = 0
        self.at_once = BATCH
        self.calls: list[Call] = self._taken(first)

    def _taken(self, first: str) -> list[Call]:
        """Take the first item through the scenario, beside the bystander, and return the calls."""
        world = self._world
        mark = world.sandbox.mark()
        if self._scenario is None:
            world.run([self._bystander])
            self._usual = len(world.sandbox.requests(mark))
            requests, words = world.sandbox.requests(mark), world.provable.words(self._bystander)
        else:
            world.begin([first], self._scenario)
            world.run([first, self._bystander])
            self._usual = len(world.sandbox.requests(mark))
            _settled(world, [first], self._scenario)
            self._model = world.inventory(first)
            theirs, words = world.provable.words(self._bystander), world.provable.words(first)
            all_requests = world.sandbox.requests(mark)
            requests = [each for each in all_requests if not any(word in subject(each) for word in theirs)]
        self._figures.usual_requests = self._usual
        connect = [Call("postgres", "CONNECT")] if any(each.system == "postgres" for each in requests) else []
        return [*calls_of(requests, words), *connect]

    def strike(self, pairs: Sequence[Pair]) -> None:
        """Let each pair's fault strike, an item each; then settle all and judge them."""
        world = self._world
        if not pairs:
            return
        if self._scenario is None:
            for pair in pairs:
                struck = Struck(self._bystander, pair)
                self._strike(struck)
                self._recover([struck], self._settled_things)
            return
        all_struck = [Struck(name, pair) for name, pair in zip(world.new(len(pairs)), pairs, strict=True)]
        names = [each.name for each in all_struck]
        world.bring(names, self._scenario)
        world.begin(names, self._scenario)
        for each in all_struck:
            self._strike(each)
        self._recover(all_struck, self._model)

    def _strike(self, struck: Struck) -> None:
        world, pair = self._world, struck.pair
        mark, before = world.sandbox.mark(), world.status(struck.name)
        names = [*dict.fromkeys((struck.name, self._bystander))]
        world.sandbox.inject(
            pair.call.fault(pair.kind, world.provable.words(struck.name), pair.times, pair.seed)
        )
        try:
            for _ in range(MOST_STRUCK):
                begun = world.sandbox.mark()
                result = world.run(names)
                requests = world.sandbox.requests(begun)
                self._figures.passed(len(requests))
                struck.wrong += self._during(struck, result, len(requests))
                if any(each.fault for each in requests) or result.again_in is None:
                    break
                world.evidence.time_passes(world.systems)
        except Exception as error:  # noqa: BLE001 - that a pass ends with one is what is looked for
            struck.wrong.append(("broken", f"the pass ended with {type(error).__name__}"))
        finally:
            world.sandbox.clear_faults()
        struck.wrong += self._deleted(mark)
        if pair.kind == MUTATED:
            # What looks like an answer is one, whatever it says: it may be wrong, and do no harm for that.
            struck.wrong = [each for each in struck.wrong if each[0] != "false"]
            self._settled_status = world.status(self._bystander)
        else:
            struck.wrong += self._falsely(struck, before)

    def _during(self, struck: Struck, result: PassResult, requests: int) -> list[Wrong]:
        wrong: list[Wrong] = [("broken", each) for each in unforeseen(said(result))]
        if requests > MORE * self._usual:
            wrong.append(("broken", f"{requests} requests, where {self._usual} are usual"))
        if result.alarm:
            wrong.append(("false", "an alarm"))
        beside = [each for each in result.reports if each.id == self._world.id(self._bystander)]
        if struck.pair.call.is_own and struck.pair.kind != MUTATED and struck.name != self._bystander:
            wrong += [
                ("broken", f"what another item has of {outcome.resource} was not done")
                for each in beside
                for outcome in each.outcomes
                if outcome.condition in (WRONG if struck.pair.call.is_write else {Condition.ERROR})
            ]
        return wrong

    def _deleted(self, mark: int) -> list[Wrong]:
        """Return what was deleted that nobody deletes where all is well."""
        world = self._world
        usual = {each.text for each in self.calls}
        gone = [each for each in world.sandbox.requests(mark) if each.wrote and each.method == "DELETE"]
        return [
            ("lost", f"{each.text} was sent")
            for each in calls_of(
                gone, [word for name in (self._bystander,) for word in world.provable.words(name)]
            )
            if not any(text.startswith("DELETE") for text in usual)
        ]

    def _falsely(self, struck: Struck, before: str) -> list[Wrong]:
        """Return what status files say now that is not so; one that is as it was before says nothing new."""
        world = self._world
        wrong: list[Wrong] = []
        if world.status(self._bystander) != self._settled_status:
            wrong.append(("false", "the status of a settled item was written anew"))
            self._settled_status = world.status(self._bystander)
        if struck.name == self._bystander or world.status(struck.name) == before:
            return wrong
        found = world.inventory(struck.name)
        states = found["status"].get("resources", {})
        for resource, shown in world.evidence.resources.items():
            lacking = isinstance(shown.made, Made) and lacks(found[resource], self._model[resource])
            if lacking and states.get(resource) == "ok" == self._model["status"]["resources"].get(resource):
                wrong.append(("false", f"{resource} is said to be ok and is not"))
        return wrong

    def _recover(self, all_struck: Sequence[Struck], model: Any) -> None:
        """Run clean passes over items whose faults are gone, and judge what they came to."""
        world = self._world
        if self._scenario is not None:
            points = {each.name: str(each.pair) for each in all_struck}
            wrong = {each.name: each.wrong for each in all_struck}
            judge(world, self._scenario, points, model, self._figures, wrong)
            return
        world.passes(1, [self._bystander])
        after: list[Wrong] = [("stuck", each) for each in said(world.run([self._bystander]))]
        self._settled_status = world.status(self._bystander)
        for each in all_struck:
            found = unlike(world.inventory(each.name), model)
            self._figures.judge(str(each.pair), [*each.wrong, *after, *found])
