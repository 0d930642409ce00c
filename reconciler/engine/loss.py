"""Tells many things of one system that are gone at once from single ones that somebody deleted.

A wrong address, mount or account looks like an empty system. To make everything anew there would rotate every
secret, and leave what is at the right place to rot; so a pass stops there, until a person has looked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from reconciler.engine.result import KindView
from reconciler.model.decision import Action, Needed
from reconciler.model.observation import Absent, Unknown
from reconciler.model.plan import ItemPlan

LEAST = 3
"""So many things that are gone at once are a loss, if they are also more than half of what there was."""


@dataclass(frozen=True)
class Loss:
    """`gone` of `known` things that a kind's items had; `where`: their slugs, by resource.

    `what`: the name of the system that had them; or of the resource, where only things of one sort are gone.
    """

    kind: str
    what: str
    gone: int
    known: int
    where: Mapping[str, frozenset[str]]

    def __str__(self) -> str:
        return (
            f"{self.gone} of {self.known} things of kind {self.kind} are gone from {self.what} at once, and "
            f"none is made anew: check that address and mount are the right ones. If they are really lost: "
            f"reconcile --once --make-anew '{self.what}'"
        )


def losses(view: KindView, plans: Iterable[ItemPlan], accepted: Set[str]) -> list[Loss]:
    """Return what is lost by these plans; `accepted`: systems or resources whose things may be made anew."""
    made = list(plans)
    gone = {resource.name: frozenset(_gone(view, resource.name, made)) for resource in view.resources}
    known = {
        name: sum(bool(target.remembered) for target in targets.values())
        for name, targets in view.targets.items()
    }
    systems: dict[str, list[str]] = {}
    for resource in view.resources:
        if resource.system not in accepted and resource.name not in accepted:
            systems.setdefault(resource.system, []).append(resource.name)
    found: list[Loss] = []
    for system, names in systems.items():
        whole = _loss(view, system, names, gone, known)
        # What one sort of things are kept in besides may be gone while the rest of their system is not.
        found += (
            [whole] if whole else [each for name in names if (each := _loss(view, name, [name], gone, known))]
        )
    return found


def doubting(view: KindView, lost: Iterable[Loss]) -> KindView:
    """Return the view in which what was lost is unknown."""
    findings = dict(view.findings)
    for loss in lost:
        reason = f"gone, with {loss.gone - 1} more things from {loss.what} at once"
        unknown = Unknown(reason, "check that address and mount are the right ones")
        for name, slugs in loss.where.items():
            findings[name] = {**findings[name], **dict.fromkeys(slugs, unknown)}
    return KindView(view.kind, view.resources, view.targets, findings)


def _loss(
    view: KindView,
    what: str,
    names: Iterable[str],
    gone: Mapping[str, frozenset[str]],
    known: Mapping[str, int],
) -> Loss | None:
    where = {name: gone[name] for name in names}
    count, all_of_them = sum(map(len, where.values())), sum(known[name] for name in where)
    if count < LEAST or 2 * count <= all_of_them:
        return None
    return Loss(view.kind.name, what, count, all_of_them, where)


def _gone(view: KindView, resource: str, plans: Iterable[ItemPlan]) -> Iterable[str]:
    for plan in plans:
        slug, answer = plan.id.slug, plan.planned[resource]
        if (
            isinstance(answer, Needed)
            and answer.change.action is Action.CREATE
            and isinstance(view.findings[resource][slug], Absent)
            and view.targets[resource][slug].remembered
        ):
            yield slug
