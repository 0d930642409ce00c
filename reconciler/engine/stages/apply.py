"""Stage four: run the changes, item by item. A failure stops only what depends on it there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from reconciler.engine.contract import AnyResource, Target
from reconciler.engine.deciding import being_committed, safely
from reconciler.engine.result import KindView
from reconciler.model.decision import Action, Change, Failed, Needed, Settled, Skipped, Waiting
from reconciler.model.errors import (
    DEFECT,
    Collision,
    ReconcilerError,
    Senseless,
    Unavailable,
    of_this_machine,
)
from reconciler.model.json import Object, resolve
from reconciler.model.observation import Finding, Seen, Unconfigured, Unknown
from reconciler.model.outcome import Condition, Outcome
from reconciler.model.plan import Blocked, ItemPlan, Planned
from reconciler.settings.giving import Writing

log = structlog.get_logger()

Announce = Callable[[Change], None]
LookAgain = Callable[[AnyResource, Target[Any]], Finding[Any]]
"""Reads one resource of one item anew, with clients that remember nothing."""


def apply(
    plan: ItemPlan,
    view: KindView,
    write: Writing,
    *,
    stopping: Callable[[], bool],
    announce: Announce,
    look_again: LookAgain,
) -> tuple[Outcome, ...]:
    """Run one item's changes in order; one outcome for every resource of the plan.

    Once `stopping` says so, no further change is begun. `announce` hears of each change before it is made.
    """
    making = _Making(plan, view, write, stopping, announce, look_again)
    for resource in view.resources:
        target = view.targets[resource.name][plan.id.slug]
        making.outcomes[resource.name] = guarded(resource, target, partial(making.outcome, resource, target))
    return tuple(making.outcomes.values())


@dataclass
class _Making:
    """One item's changes under way. `unneeded`: resources whose change turned out to be none."""

    plan: ItemPlan
    view: KindView
    write: Writing
    stopping: Callable[[], bool]
    announce: Announce
    look_again: LookAgain
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    unneeded: set[str] = field(default_factory=set)

    def outcome(self, resource: AnyResource, target: Target[Any]) -> Outcome:
        """Make a resource's change, if there is one; `outcomes` has those of the resources before it."""
        plan, outcomes = self.plan, self.outcomes
        answer, finding = plan.planned[resource.name], self.view.findings[resource.name][plan.id.slug]
        held_back = _held_back(resource, self.view, outcomes) or _distrusted(resource, plan, outcomes)
        if held_back is None and _may_be_unneeded(resource, answer, self.unneeded):
            again = _planned_again(resource, target, finding, outcomes)
            # What turns out to be another change than the plan has shown is left to the next pass.
            if not isinstance(again, Needed):
                answer = again
                self.unneeded.add(resource.name)
        hoped = isinstance(answer, Waiting) and any(
            isinstance(plan.planned[name], Needed) for name in (*resource.needs, *resource.uses)
        )
        if held_back is not None and (hoped or isinstance(answer, Needed)):
            # Also what was only to wait for a change which then was not made: it would wait in vain.
            return held_back
        if not isinstance(answer, Needed):
            return outcome_of(resource, answer, target.remembered)
        if self.stopping():
            return not_done(resource, "not done, because the pass had to stop")
        self.announce(answer.change)
        return carry_out(resource, target, answer.change, finding, outcomes, self.write, self.look_again)


def guarded(resource: AnyResource, target: Target[Any], make: Callable[[], Outcome]) -> Outcome:
    """Return an outcome; a defect that one resource of one item meets is that one's, and never the pass's."""
    try:
        return make()
    except ReconcilerError as error:
        return Outcome(
            resource.name, resource.phase, Condition.ERROR, reason=error.message, remedy=error.remedy
        )
    except Exception as error:
        if want := of_this_machine(error):
            return not_done(resource, *want)
        log.error(
            "apply failed unexpectedly",
            resource=resource.name,
            item=str(target.id),
            error=type(error).__name__,
        )
        log.debug("traceback", exc_info=True)
        return Outcome(
            resource.name,
            resource.phase,
            Condition.ERROR,
            reason=f"unexpected {type(error).__name__}",
            remedy=DEFECT,
        )


def _may_be_unneeded(resource: AnyResource, answer: Planned, unneeded: Set[str]) -> bool:
    """Tell whether to plan a resource once more, now that what it reads is known and no longer foreseen.

    A plan that has to foresee an output cannot compare, so it plans a change; with the output at hand that
    may turn out to be none. This matters for what is *deferred* only: a commit without a difference is none,
    but whoever needs it was told to wait for it until the next pass. So a deferred resource is planned again,
    and after one that turned out unneeded (`unneeded`) so is everything that was waiting for it.
    """
    if isinstance(answer, Needed):
        return resource.deferred
    waits = isinstance(answer, Waiting | Blocked)
    return waits and not unneeded.isdisjoint((*resource.needs, *resource.uses))


def _planned_again(
    resource: AnyResource, target: Target[Any], finding: Finding[Any], outcomes: Mapping[str, Outcome]
) -> Planned:
    """Plan once more, with what is known by now of what had to be made first."""
    assert not isinstance(finding, Unknown | Unconfigured)  # noqa: S101 - neither waits nor changes anything
    seen: Seen[Any] = finding
    given = _inputs(resource, outcomes)
    return safely(resource, target, lambda: resource.plan(target, seen, given))


def outcome_of(resource: AnyResource, answer: Planned, remembered: Object) -> Outcome:
    """Return what an answer means for a resource that is not changed in this pass."""
    if isinstance(answer, Blocked):
        return Outcome(
            resource.name,
            resource.phase,
            Condition.BLOCKED,
            reason=f"waits for {answer.by}",
            because_unknown=answer.because_unknown,
        )
    if isinstance(answer, Unknown):
        again = None if answer.retry_after is None else timedelta(seconds=answer.retry_after)
        return Outcome(
            resource.name,
            resource.phase,
            Condition.UNKNOWN,
            reason=answer.reason,
            remedy=answer.remedy,
            again_in=again or timedelta(seconds=10),
            outputs=remembered,
        )
    if isinstance(answer, Skipped):
        return Outcome(
            resource.name,
            resource.phase,
            Condition.SKIPPED,
            reason=answer.reason,
            unconfigured=answer.unconfigured,
        )
    if isinstance(answer, Needed):
        return Outcome(resource.name, resource.phase, Condition.CHANGED, reason=answer.change.summary)
    return _outcome(resource, answer, Condition.OK)


def _outcome(resource: AnyResource, answer: Settled | Waiting | Failed, settled: Condition) -> Outcome:
    if isinstance(answer, Failed):
        return Outcome(
            resource.name,
            resource.phase,
            Condition.ERROR,
            reason=f"conflict: {answer.reason}" if answer.conflict else answer.reason,
            remedy=answer.remedy,
            outputs=answer.outputs,
            section=answer.section,
        )
    if isinstance(answer, Waiting):
        return Outcome(
            resource.name,
            resource.phase,
            Condition.WAITING,
            reason=answer.reason,
            todo=answer.todo,
            awaits=answer.awaits,
            again_in=answer.again_in,
            outputs=answer.outputs,
            section=answer.section,
            consumed=answer.consumed,
        )
    return Outcome(
        resource.name,
        resource.phase,
        settled,
        reason=answer.note,
        outputs=answer.outputs,
        section=answer.section,
        consumed=answer.consumed,
    )


def carry_out(
    resource: AnyResource,
    target: Target[Any],
    change: Change,
    finding: Finding[Any],
    outcomes: Mapping[str, Outcome],
    write: Writing,
    look_again: LookAgain,
) -> Outcome:
    """Make one change, and return what came of it; raises whatever is no answer to that."""
    act = resource.apply_removal if target.leaving else resource.apply
    try:
        after = resolve(change.after, {name: outcome.outputs for name, outcome in outcomes.items()})
        assert isinstance(after, Mapping)  # noqa: S101 - `after` is an object, and so is what it resolves to
        ready = replace(change, after=after)
        return _outcome(resource, act(target, ready, write), Condition.CHANGED)
    except (Unavailable, Senseless) as error:
        reason = f"may or may not have happened: {error.message}"
        return not_done(resource, reason, error.remedy, error.retry_after)
    except Collision as error:
        return _collided(resource, target, error, finding, look_again)


def _collided(
    resource: AnyResource, target: Target[Any], error: Collision, before: Finding[Any], look_again: LookAgain
) -> Outcome:
    """Tell a race from a refusal: whoever lost a race sees another world now; a refusal comes for ever."""
    if look_again(resource, target) != before:
        return not_done(resource, f"{error.message}; the next pass looks again")
    return Outcome(
        resource.name,
        resource.phase,
        Condition.ERROR,
        reason=f"{error.message}, and yet nothing of it is to be seen",
        remedy=error.remedy or "find out who has that name or key, and remove or rename it there",
    )


def _inputs(resource: AnyResource, outcomes: Mapping[str, Outcome]) -> dict[str, Object]:
    names = (*resource.needs, *resource.uses)
    return {
        name: outcomes[name].outputs for name in names if outcomes[name].condition is not Condition.SKIPPED
    }


def not_done(
    resource: AnyResource, reason: str, remedy: str = "", retry_after: float | None = None
) -> Outcome:
    """Return the outcome of a change of which nobody knows whether it was made."""
    wait = timedelta(seconds=5.0 if retry_after is None else retry_after)
    return Outcome(
        resource.name, resource.phase, Condition.UNKNOWN, reason=reason, remedy=remedy, again_in=wait
    )


def _held_back(resource: AnyResource, view: KindView, outcomes: Mapping[str, Outcome]) -> Outcome | None:
    """Return the outcome of a resource that cannot be changed yet, by what came of those that it reads."""
    deferred = {each.name for each in view.resources if each.deferred}
    for name in (*resource.needs, *resource.uses):
        before = outcomes[name]
        stuck = before.condition in {Condition.WAITING, Condition.BLOCKED}
        empty = before.condition in {Condition.UNKNOWN, Condition.ERROR} and not before.outputs
        if stuck or empty:
            return outcome_of(resource, Blocked(name, before.unreadable), {})
        if name in deferred and before.condition is Condition.CHANGED:
            return _outcome(resource, being_committed(view.kind, name), Condition.OK)
    return None


def _distrusted(resource: AnyResource, plan: ItemPlan, outcomes: Mapping[str, Outcome]) -> Outcome | None:
    """Return the outcome of a resource that is not to go on, since a thing was not proven to be the item's.

    What was only to be updated was proven before, whatever became of the update.
    """
    for name in resource.trusts:
        before, answer = outcomes[name], plan.planned[name]
        own = isinstance(answer, Needed) and answer.change.action is Action.UPDATE
        failed = before.condition in {Condition.UNKNOWN, Condition.ERROR} and not before.outputs
        if (failed and not own) or before.condition is Condition.BLOCKED:
            return outcome_of(resource, Blocked(name, before.unreadable), {})
    return None
