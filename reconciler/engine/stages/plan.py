"""Stage three: desired against observed. Pure: no clock, no network, no client in sight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog

from reconciler.engine.contract import AnyResource, Target
from reconciler.engine.deciding import being_committed, safely
from reconciler.engine.kind import Kind, Proof
from reconciler.engine.result import KindView
from reconciler.model.decision import Failed, Needed, Settled, Skipped, Waiting
from reconciler.model.errors import ReconcilerError
from reconciler.model.item import ItemId
from reconciler.model.json import Json, Later, Object
from reconciler.model.observation import Finding, Seen, Unconfigured, Unknown
from reconciler.model.plan import Blocked, ItemPlan, Planned
from reconciler.model.status_file import status_path

log = structlog.get_logger()


def plan(view: KindView, slugs: Sequence[str]) -> list[ItemPlan]:
    """Return the plans of these items of one kind."""
    return [ItemPlan(ItemId(view.kind.name, slug), _plan_item(view, slug)) for slug in slugs]


def proofs(view: KindView) -> dict[str, str]:
    """Return, by slug, what the items are proven to be; without those of which nothing says it.

    The view has got no further than the resource that proves it. What that could not read is taken from its
    status file: nothing is written on such ground (`_answer`), and nothing that is settled comes undone.
    """
    proof = view.kind.proof
    assert proof is not None  # noqa: S101 - the caller asked
    found: dict[str, str] = {}
    for slug, target in view.targets[proof.resource].items():
        if target.leaving:
            continue
        planned = _plan_item(view, slug)[proof.resource]
        given = _given(view.resources[0], planned, target) or {}
        if (value := given.get(proof.output)) is not None and not isinstance(value, Later):
            found[slug] = str(value)
    return found


def _plan_item(view: KindView, slug: str) -> dict[str, Planned]:
    planned: dict[str, Planned] = {}
    outputs: dict[str, Object] = {}
    barred: Blocked | None = None
    for resource in view.resources:
        target = view.targets[resource.name][slug]
        finding = view.findings[resource.name][slug]
        answer: Planned = barred or _answer(view, resource, target, finding, planned, outputs)
        given = _given(resource, answer, target)
        if view.kind.proof and view.proves(resource):
            another = _another(view.kind.proof, target, given or {})
            barred = _barred(view.kind, target, another or answer)
            answer, given = (another, None) if another else (answer, given)
        planned[resource.name] = answer
        if given is not None:
            outputs[resource.name] = given
    return planned


def _answer(
    view: KindView,
    resource: AnyResource,
    target: Target[Any],
    finding: Finding[Any],
    planned: Mapping[str, Planned],
    outputs: Mapping[str, Object],
) -> Planned:
    early = _left_out(resource, planned) or _unanswerable(finding, target)
    if early is not None:
        return early
    assert not isinstance(finding, Unknown | Unconfigured)  # noqa: S101 - answered above
    seen: Seen[Any] = finding
    inputs = {name: outputs[name] for name in (*resource.needs, *resource.uses) if name in outputs}
    unread = _unread((*inputs, *resource.trusts), planned)
    return safely(
        resource,
        target,
        lambda: (
            resource.unwanted(target)
            or _held_back(resource, view, planned, outputs)
            or _distrusted(resource, planned, outputs)
            or _decided(resource, target, seen, inputs, unread)
        ),
    )


def _unread(names: Iterable[str], planned: Mapping[str, Planned]) -> Blocked | None:
    """Return what a resource has to wait for while others are only known from the status file."""
    for name in names:
        if isinstance(before := planned.get(name), Unknown | Failed):
            return Blocked(name, because_unknown=isinstance(before, Unknown))
    return None


def _decided(
    resource: AnyResource,
    target: Target[Any],
    seen: Seen[Any],
    inputs: Mapping[str, Object],
    unread: Blocked | None,
) -> Planned:
    """Return what a resource answers.

    What is not read now, for an outage or for a credential that was taken away, is what its status file says:
    people can write that as well. It is no ground for changing anything, and need not even make sense.
    """
    if unread is None:
        return resource.plan(target, seen, inputs)
    try:
        answer = resource.plan(target, seen, inputs)
    except ReconcilerError:
        raise
    except Exception as error:
        log.info("what is remembered makes no sense", item=str(target.id), error=type(error).__name__)
        log.debug("traceback", exc_info=True)
        return unread
    return unread if isinstance(answer, Needed) else answer


def _another(proof: Proof, target: Target[Any], given: Object) -> Failed | None:
    """Refuse an item that turned out to be another thing than its status file says."""
    written, found = target.identity, given.get(proof.output)
    if written is None or not written.proof or found is None or isinstance(found, Later):
        return None
    if str(found) == written.proof:
        return None
    return Failed(
        f"{target.spec.claim()} is another one than before: "
        f"{proof.noun} is {found}, and it was {written.proof}",
        remedy=f"have {target.item.source.path} name the one that it named before; to start afresh with this "
        f"one, give it a file with another `slug:`; if only the status file was edited, delete "
        f"{status_path(target.id)}",
        conflict=True,
    )


def _barred(kind: Kind, target: Target[Any], answer: Planned) -> Blocked | None:
    """Return why nothing else of an item is looked at: it is another thing, or may be one.

    A file that names something else by now is believed only once that is proven to be the same thing.
    """
    assert kind.proof is not None  # noqa: S101 - the caller asked
    if isinstance(answer, Failed) and answer.conflict:
        return Blocked(kind.proof.resource)
    renamed = target.identity is not None and target.identity.claim != target.spec.claim()
    if renamed and not isinstance(answer, Settled | Needed):
        return Blocked(kind.proof.resource, because_unknown=isinstance(answer, Unknown))
    return None


def _left_out(resource: AnyResource, planned: Mapping[str, Planned]) -> Skipped | None:
    for name in resource.needs:
        answer = planned.get(name)
        if isinstance(answer, Skipped):
            return Skipped(f"needs {name}, which is skipped: {answer.reason}")
    return None


def _unanswerable(finding: Finding[Any], target: Target[Any]) -> Planned | None:
    if isinstance(finding, Unknown):
        return finding
    if isinstance(finding, Unconfigured):
        if finding.half or target.remembered or target.section:
            used = "" if finding.half else f" any more, and this {target.item.kind} already uses it"
            # A credential taken away says nothing of what it was for: those that need that go on.
            return Failed(f"{finding.reason}{used}", finding.remedy, outputs=target.remembered)
        return Skipped(f"{finding.reason}: {finding.remedy}", unconfigured=True)
    return None


def _held_back(
    resource: AnyResource, view: KindView, planned: Mapping[str, Planned], outputs: Mapping[str, Object]
) -> Planned | None:
    """Return why a resource cannot be decided yet, from what was decided of those that it needs or uses."""
    deferred = {each.name for each in view.resources if each.deferred}
    for name in (*resource.needs, *resource.uses):
        answer = planned.get(name)
        if isinstance(answer, Blocked):
            return Blocked(name, answer.because_unknown)
        if isinstance(answer, Unknown) and name not in outputs:
            return Blocked(name, because_unknown=True)
        if isinstance(answer, Waiting) or (isinstance(answer, Failed) and not answer.outputs):
            return Blocked(name)
        if isinstance(answer, Needed) and name in deferred:
            return being_committed(view.kind, name)
    return None


def _distrusted(
    resource: AnyResource, planned: Mapping[str, Planned], outputs: Mapping[str, Object]
) -> Blocked | None:
    """Return why a resource is not to go on: some thing is not proven to be the item's own."""
    for name in resource.trusts:
        answer = planned.get(name)
        if isinstance(answer, Blocked):
            return Blocked(name, answer.because_unknown)
        if isinstance(answer, Unknown | Failed) and name not in outputs:
            return Blocked(name, because_unknown=isinstance(answer, Unknown))
    return None


def _given(resource: AnyResource, answer: Planned, target: Target[Any]) -> Object | None:
    """Return what others may read of it: a fact, a `Later`, or what is remembered of an unread one."""
    if isinstance(answer, Settled):
        return answer.outputs
    if isinstance(answer, Failed):
        return answer.outputs or None
    if isinstance(answer, Needed):
        later: dict[str, Json] = {field: Later(resource.name, field) for field in resource.provides}
        return {**later, **answer.outputs}
    if (
        isinstance(answer, Unknown)
        and target.remembered
        and target.remembered.keys() >= set(resource.provides)
    ):
        return target.remembered
    return None
