"""What a look and a whole pass give back, and what they say of themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from reconciler.engine.contract import AnyResource, Target
from reconciler.engine.kind import Kind
from reconciler.model.errors import InvalidFile
from reconciler.model.item import Item, ItemId
from reconciler.model.loaded import Loaded
from reconciler.model.observation import Finding
from reconciler.model.outcome import Condition, ItemReport
from reconciler.model.plan import Plan
from reconciler.model.removal import Leaving

AGAIN = timedelta(seconds=3)
"""After which to ask whether another pass has ended."""
ALARM = 3
"""The exit code when a pass stopped before something that would destroy much."""
BUSY = "another pass is at work, and this one has done nothing"


@dataclass(frozen=True)
class KindView:
    """What a pass has seen of the items of one kind; nothing else has a resource's name for a key.

    `targets` and `findings` are by resource name, then by slug.
    """

    kind: Kind
    resources: tuple[AnyResource, ...] = ()
    targets: Mapping[str, Mapping[str, Target[Any]]] = field(default_factory=dict)
    findings: Mapping[str, Mapping[str, Finding[Any]]] = field(default_factory=dict)

    def with_(
        self, resource: AnyResource, targets: Sequence[Target[Any]], findings: Mapping[str, Finding[Any]]
    ) -> KindView:
        """Return the view with one resource more."""
        return KindView(
            self.kind,
            (*self.resources, resource),
            {**self.targets, resource.name: {target.slug: target for target in targets}},
            {**self.findings, resource.name: findings},
        )

    def proves(self, resource: AnyResource) -> bool:
        """Tell whether it is the one that proves what the items are."""
        return self.kind.proof is not None and self.kind.proof.resource == resource.name


@dataclass(frozen=True)
class Look:
    """A pass up to and with its plan: what `reconcile plan` shows. Nothing was written."""

    now: datetime
    loaded: Loaded
    views: Mapping[str, KindView]
    plan: Plan
    problems: tuple[str, ...]
    postponed: frozenset[ItemId] = frozenset()
    """Items that this pass leaves alone, because they failed lately."""
    reports: tuple[ItemReport, ...] = ()
    """What a pass with this plan would come to. Empty when a pass follows, which has its own."""
    alarm: bool = False
    """Much of a system is gone at once; what of it, one of the problems says."""
    leaving: Mapping[ItemId, Leaving] = field(default_factory=dict)
    """The items whose file is gone."""
    whole: bool = True
    """No item was left out because others were asked for."""

    @property
    def items(self) -> Mapping[ItemId, Item[Any]]:
        """The items that have a file, and those that had one."""
        gone = {item: each.item for item, each in self.leaving.items() if each.item is not None}
        return {**{item.id: item for item in self.loaded.items}, **gone}

    @property
    def changed_when_audited(self) -> tuple[tuple[ItemId, str], ...]:
        """The changes to what is only read one by one, as item and resource."""
        audited = {
            (view.kind.name, each.name)
            for view in self.views.values()
            for each in view.resources
            if each.audited
        }
        return tuple(
            (change.item, change.resource)
            for change in self.plan.changes
            if (change.item.kind, change.resource) in audited
        )

    @property
    def exit_code(self) -> int:
        """3 on an alarm; 1 when a file is broken, an item has failed or something could not be read."""
        if self.alarm:
            return ALARM
        return 1 if self.problems else _exit_code(self.reports, self.loaded.broken)


@dataclass(frozen=True)
class PassResult:
    """What came of a pass. `problems` are sentences about what concerns no single resource."""

    reports: tuple[ItemReport, ...]
    broken: tuple[InvalidFile, ...]
    problems: tuple[str, ...]
    changes: int
    commits: tuple[str, ...]
    alarm: bool = False
    """Much of a system is gone at once, and nothing of that was made anew; one of the problems says what."""
    busy: bool = False
    """Nothing was done, because another pass is at work."""
    verified: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    """By (kind, resource) read one by one: when the item that it was longest ago for was last read."""

    @property
    def exit_code(self) -> int:
        """0 when nothing is wrong; waiting is not wrong. 3 on an alarm: a person has to look first."""
        if self.alarm:
            return ALARM
        return 1 if self.problems else _exit_code(self.reports, self.broken)

    @property
    def again_in(self) -> timedelta | None:
        """The shortest time until a machine that is awaited should be looked at again."""
        if self.busy:
            return AGAIN
        if self.alarm:
            return None
        return min((each.again_in for each in self.reports if each.again_in is not None), default=None)

    @property
    def waiting_in(self) -> timedelta | None:
        """Like `again_in`, but only of what waits for a machine and not of what could not be read."""
        return min(
            (
                outcome.again_in
                for each in self.reports
                for outcome in each.outcomes
                if outcome.again_in is not None and outcome.condition is Condition.WAITING
            ),
            default=None,
        )

    @property
    def machines_awaited(self) -> tuple[str, ...]:
        """Every resource that waits for a machine, as kind/slug/resource."""
        return tuple(
            f"{each.id}/{outcome.resource}"
            for each in self.reports
            for outcome in each.outcomes
            if outcome.again_in is not None
        )

    @property
    def summary(self) -> str:
        """One line: how many items have which status, what was not read, what was changed and committed.

        A status says what was last seen, so a system that does not answer changes none.
        """
        counts = Counter(str(each.status) for each in self.reports)
        states = ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "no items"
        unread = sum(o.condition is Condition.UNKNOWN for each in self.reports for o in each.outcomes)
        unknown = f"{_count(unread, 'resource')} could not be read; " if unread else ""
        return f"{states}; {unknown}{_count(self.changes, 'change')}, {_count(len(self.commits), 'commit')}"

    def after(self, earlier: PassResult) -> PassResult:
        """Return the result with what earlier passes of the same run changed and committed."""
        commits = (*earlier.commits, *self.commits)
        return replace(self, changes=earlier.changes + self.changes, commits=commits)

    def out_of_time(self) -> PassResult:
        """Return the result with the sentence that `--wait` ran out."""
        if self.busy:
            return self
        names = ", ".join(self.machines_awaited)
        return replace(self, problems=(*self.problems, f"the time of --wait is over; still awaited: {names}"))


def _exit_code(reports: Iterable[ItemReport], broken: Sequence[InvalidFile]) -> int:
    wrong = {Condition.ERROR, Condition.UNKNOWN}
    return int(bool(broken) or any(o.condition in wrong for each in reports for o in each.outcomes))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
