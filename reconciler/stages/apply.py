"""Stage four: run the changes, project by project. A failure stops only what depends on it there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from datetime import timedelta
from typing import Any

import structlog

from reconciler.errors import Collision, ReconcilerError, Unavailable
from reconciler.model.decision import Awaits, Change, Decision, Failed, Needed, Settled, Skipped, Waiting
from reconciler.model.json import Object, resolve
from reconciler.model.observation import Finding, Unconfigured, Unknown
from reconciler.model.outcome import Condition, Outcome
from reconciler.model.plan import Blocked, Planned, ProjectPlan
from reconciler.resources.contract import Resource, Target
from reconciler.systems import Writing

log = structlog.get_logger()

Announce = Callable[[Change], None]


def apply(
    plan: ProjectPlan,
    resources: Sequence[Resource[Any, Any]],
    targets: Mapping[str, Mapping[str, Target[Any]]],
    findings: Mapping[str, Mapping[str, Finding[Any]]],
    write: Writing,
    *,
    stopping: Callable[[], bool],
    announce: Announce,
) -> tuple[Outcome, ...]:
    """Run one project's changes in order; one outcome for every resource of the plan.

    Once `stopping` says so, no further change is begun. `announce` hears of each change before it is made.
    """
    outcomes: dict[str, Outcome] = {}
    unchanged: set[str] = set()
    for resource in resources:
        target = targets[resource.name][plan.slug]
        answer = plan.planned[resource.name]
        if _is_open(resource, answer, unchanged) and _held_back(resource, resources, outcomes) is None:
            again = _again(resource, target, findings[resource.name][plan.slug], outcomes)
            # What the plan did not show is left to the next pass.
            if not isinstance(again, Needed):
                answer = again
                unchanged.add(resource.name)
        if isinstance(answer, Needed):
            outcome = _held_back(resource, resources, outcomes)
            if outcome is None and stopping():
                outcome = _unknown(resource, "not done, because the pass had to stop")
            if outcome is None:
                outcome = _change(resource, target, answer.change, outcomes, write, announce)
        else:
            outcome = outcome_of(resource, answer, target.remembered)
        outcomes[resource.name] = outcome
    return tuple(outcomes.values())


def _is_open(resource: Resource[Any, Any], answer: Planned, unchanged: Set[str]) -> bool:
    """Tell whether a change may turn out to be none, or something need not wait for one that was none.

    Only what is deferred: a commit is compared whole with what is there, and only for it others wait a pass.
    """
    if isinstance(answer, Needed):
        return resource.deferred
    waits = isinstance(answer, Waiting | Blocked)
    return waits and not unchanged.isdisjoint((*resource.needs, *resource.uses))


def _again(
    resource: Resource[Any, Any],
    target: Target[Any],
    finding: Finding[Any],
    outcomes: Mapping[str, Outcome],
) -> Decision:
    """Plan once more, with what is known by now of what had to be made first."""
    assert not isinstance(finding, Unknown | Unconfigured)  # noqa: S101 - neither waits nor changes anything
    inputs = (*resource.needs, *resource.uses)
    given = {name: outcomes[name] for name in inputs if outcomes[name].condition is not Condition.SKIPPED}
    return resource.plan(target, finding, {name: outcome.outputs for name, outcome in given.items()})


def outcome_of(resource: Resource[Any, Any], answer: Planned, remembered: Object) -> Outcome:
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


def _outcome(resource: Resource[Any, Any], answer: Settled | Waiting | Failed, settled: Condition) -> Outcome:
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


def _change(
    resource: Resource[Any, Any],
    target: Target[Any],
    change: Change,
    outcomes: Mapping[str, Outcome],
    write: Writing,
    announce: Announce,
) -> Outcome:
    announce(change)
    try:
        after = resolve(change.after, {name: outcome.outputs for name, outcome in outcomes.items()})
        assert isinstance(after, Mapping)  # noqa: S101 - `after` is an object, and so is what it resolves to
        ready = Change(change.slug, change.resource, change.action, change.summary, change.before, after)
        return _outcome(resource, resource.apply(target, ready, write), Condition.CHANGED)
    except Unavailable as error:
        reason = f"may or may not have happened: {error.message}"
        return _unknown(resource, reason, error.retry_after, error.remedy)
    except Collision as error:
        return _unknown(resource, f"{error.message}; the next pass looks again")
    except ReconcilerError as error:
        return Outcome(
            resource.name, resource.phase, Condition.ERROR, reason=error.message, remedy=error.remedy
        )
    except Exception as error:  # one change's bug must not stop the others (design, house rules)
        log.error(
            "apply failed unexpectedly", resource=resource.name, slug=target.slug, error=type(error).__name__
        )
        log.debug("traceback", exc_info=True)
        return Outcome(
            resource.name,
            resource.phase,
            Condition.ERROR,
            reason=f"unexpected {type(error).__name__}",
            remedy="this is a defect: report it with the debug log",
        )


def _unknown(
    resource: Resource[Any, Any], reason: str, retry_after: float | None = None, remedy: str = ""
) -> Outcome:
    wait = timedelta(seconds=5.0 if retry_after is None else retry_after)
    return Outcome(
        resource.name, resource.phase, Condition.UNKNOWN, reason=reason, remedy=remedy, again_in=wait
    )


def _held_back(
    resource: Resource[Any, Any], resources: Sequence[Resource[Any, Any]], outcomes: Mapping[str, Outcome]
) -> Outcome | None:
    deferred = {each.name for each in resources if each.deferred}
    for name in (*resource.needs, *resource.uses):
        before = outcomes[name]
        stuck = before.condition in {Condition.WAITING, Condition.BLOCKED}
        empty = before.condition in {Condition.UNKNOWN, Condition.ERROR} and not before.outputs
        if stuck or empty:
            return outcome_of(resource, Blocked(name, before.unreadable), {})
        if name in deferred and before.condition is Condition.CHANGED:
            waiting = Waiting(f"{name} is being committed", Awaits.SYNC, again_in=timedelta(seconds=1))
            return _outcome(resource, waiting, Condition.OK)
    return None
