"""Plans and carries out what is taken away of items that are on their way out, the last made thing first.

Which items those are is `leaving`'s; how a thing is disabled or deleted is its resource's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from reconciler.engine.contract import AnyResource, Target
from reconciler.engine.deciding import safely
from reconciler.engine.loss import LEAST
from reconciler.engine.result import KindView
from reconciler.engine.stages.apply import Announce, LookAgain, carry_out, guarded, not_done, outcome_of
from reconciler.model.decision import Failed, Needed, Settled, Skipped
from reconciler.model.item import ItemId
from reconciler.model.loaded import Loaded
from reconciler.model.observation import Absent, Finding, Seen, Unconfigured, Unknown
from reconciler.model.outcome import Condition, ItemReport, Outcome, Status
from reconciler.model.plan import Blocked, ItemPlan, Planned
from reconciler.model.removal import Leaving, OnRemove, Step, stamp
from reconciler.settings.giving import Writing

STAYS = (" stays", " stay")
"""So ends what is said of things that are kept."""
EMPTY = (
    "projects/ has no file any more, and status/ has {count} that were asked for there: nothing is done "
    "about these. Restore projects/ from its last commit, or confirm each by name with "
    "`reconcile offboard SLUG...`"
)
DONE = {Condition.OK, Condition.CHANGED, Condition.SKIPPED}


def wished(resource: AnyResource | type[AnyResource], spec: Any) -> OnRemove:  # noqa: ANN401 - a kind's own
    """Return what is to become of a thing in the end: what the file says, or else the resource."""
    named = (spec.on_remove or {}).get(resource.name)
    return OnRemove(named) if named in resource.on_remove else resource.on_remove[0]


def plan(view: KindView, slugs: Mapping[str, Leaving]) -> list[ItemPlan]:
    """Return the plans of items of one kind that are on their way out."""
    return [
        ItemPlan(ItemId(view.kind.name, slug), _plan_item(view, slug, each)) for slug, each in slugs.items()
    ]


def _plan_item(view: KindView, slug: str, leaving: Leaving) -> dict[str, Planned]:
    planned: dict[str, Planned] = {}
    for resource in reversed(view.resources):
        target = view.targets[resource.name][slug]
        wish = wished(resource, target.spec)
        if wish is OnRemove.KEEP:
            note = f"{resource.kept}{STAYS[0]}" if resource.kept and target.remembered else ""
            planned[resource.name] = Settled(target.remembered, note=note)
            continue
        last = leaving.step is Step.REMOVING
        now = wish if last else OnRemove.DISABLE
        answer = _answer(resource, target, view.findings[resource.name][slug], now)
        stuck = _needed_by(resource, view, planned) if isinstance(answer, Needed) else None
        planned[resource.name] = stuck or answer
    return planned


def _answer(resource: AnyResource, target: Target[Any], finding: Finding[Any], wish: OnRemove) -> Planned:
    if isinstance(finding, Unknown):
        return finding
    if isinstance(finding, Unconfigured):
        if not (finding.half or target.remembered or target.section):
            return Skipped(f"{finding.reason}: {finding.remedy}", unconfigured=True)
        remedy = f"{finding.remedy}; what it has there can only be taken away through it"
        return Failed(finding.reason, remedy, outputs=target.remembered)
    if isinstance(finding, Absent):
        return Settled(note="nothing of it is there")
    seen: Seen[Any] = finding
    return safely(resource, target, lambda: resource.plan_removal(target, seen, wish))


def _needed_by(resource: AnyResource, view: KindView, planned: Mapping[str, Planned]) -> Blocked | None:
    """Return what still stands on a thing, and could not be looked at or changed: it goes first."""
    for other in view.resources:
        if resource.name in other.needs and isinstance(
            answer := planned.get(other.name), Unknown | Failed | Blocked
        ):
            unknown = answer.because_unknown if isinstance(answer, Blocked) else isinstance(answer, Unknown)
            return Blocked(other.name, because_unknown=unknown)
    return None


def apply(
    plan: ItemPlan,
    view: KindView,
    write: Writing,
    *,
    stopping: Callable[[], bool],
    announce: Announce,
    look_again: LookAgain,
) -> tuple[Outcome, ...]:
    """Run one item's removals; one outcome for every resource, in the order in which the kind has them."""
    outcomes: dict[str, Outcome] = {}
    resources = {resource.name: resource for resource in view.resources}

    def outcome(resource: AnyResource, target: Target[Any], answer: Planned) -> Outcome:
        stuck = _stands(resource, view, outcomes)
        if not isinstance(answer, Needed):
            return outcome_of(resource, answer, target.remembered)
        if stuck is not None:
            return outcome_of(resource, stuck, target.remembered)
        if stopping():
            return not_done(resource, "not done, because the pass had to stop")
        announce(answer.change)
        finding = view.findings[resource.name][plan.id.slug]
        return carry_out(resource, target, answer.change, finding, {}, write, look_again)

    for name, answer in plan.planned.items():
        resource, target = resources[name], view.targets[name][plan.id.slug]
        outcomes[name] = guarded(resource, target, partial(outcome, resource, target, answer))
    return tuple(outcomes[resource.name] for resource in view.resources)


def _stands(resource: AnyResource, view: KindView, outcomes: Mapping[str, Outcome]) -> Blocked | None:
    for other in view.resources:
        before = outcomes.get(other.name)
        if before and resource.name in other.needs and before.condition not in {*DONE, Condition.WAITING}:
            return Blocked(other.name, because_unknown=before.unreadable)
    return None


def report(each: Leaving, item: ItemId, loaded: Loaded, outcomes: tuple[Outcome, ...]) -> ItemReport:
    """Return the report of an item that is on its way out; `outcomes` is empty while it is held."""
    done = each.item is None or (bool(outcomes) and all(o.condition in DONE for o in outcomes))
    removed = each.step is Step.REMOVING and done
    return ItemReport(
        item,
        Status.REMOVED if removed else Status.OFFBOARDING,
        "",
        _removed(outcomes) if removed else _todo(each, item, outcomes),
        outcomes,
        str(loaded.status(item).get("source", "")),
        each.identity,
        removal=each.section,
    )


def held(leaving: Mapping[ItemId, Leaving], loaded: Loaded) -> list[ItemReport]:
    """Return the reports of those about which nothing is done, or nothing has to be."""
    return [report(each, item, loaded, ()) for item, each in leaving.items() if not each.goes]


def alarms(leaving: Mapping[ItemId, Leaving], loaded: Loaded) -> list[str]:
    """Say of each kind of which too many are gone at once, and of a folder that was emptied."""
    many = [item for item, each in leaving.items() if each.alarm]
    idle = [item for item, each in leaving.items() if each.step is Step.HELD]
    if not many and not loaded.items and not loaded.broken and len(idle) >= LEAST:
        return [EMPTY.format(count=len(idle))]
    return [
        f"the files of {len(slugs)} of kind {kind} were removed at once ({_some(slugs)}), and nothing is "
        "done about these: put them back, or confirm each by name with `reconcile offboard SLUG...`"
        for kind in dict.fromkeys(item.kind for item in many)
        if (slugs := [item.slug for item in many if item.kind == kind])
    ]


def _some(slugs: list[str]) -> str:
    return ", ".join(slugs[:3]) + (f" and {len(slugs) - 3} more" if len(slugs) > 3 else "")


def _removed(outcomes: tuple[Outcome, ...]) -> str:
    kept = [o.reason.rpartition(" ")[0] for o in outcomes if o.reason.endswith(STAYS)]
    return "Removed, and forgotten here." + (f" What stays: {'; '.join(kept)}." if kept else "")


def _todo(each: Leaving, item: ItemId, outcomes: tuple[Outcome, ...]) -> str:
    if each.step is Step.HELD:
        return f"Its file is gone, and nothing is done about that: {each.reason}. To go on, {each.remedy}."
    if wrong := next((o for o in outcomes if o.condition is Condition.ERROR), None):
        return f"{wrong.resource}: {wrong.reason}" + (f" — {wrong.remedy}" if wrong.remedy else "")
    back = f"Put the file of {item.slug} back to keep it"
    if each.step is Step.REMOVING:
        return f"Its file is gone, and its things are taken away. {back}; what is gone by then is made anew."
    waits = f"; but first {each.remedy}: {each.reason}" if each.reason else ""
    until = f" from {stamp(each.until)} on" if each.until else ""
    return f"Its file is gone: everything is disabled, and is taken away{until}{waits}. {back}."
