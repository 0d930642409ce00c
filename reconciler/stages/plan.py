"""Stage three: desired against observed. Pure: no clock, no network, no client in sight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from reconciler.model.decision import Awaits, Failed, Needed, Settled, Skipped, Waiting
from reconciler.model.json import Later, Object
from reconciler.model.observation import Finding, Unconfigured, Unknown
from reconciler.model.plan import Blocked, Plan, Planned, ProjectPlan
from reconciler.resources.contract import Resource, Target

Targets = Mapping[str, Mapping[str, Target[Any]]]
"""By resource name, then by slug."""
Findings = Mapping[str, Mapping[str, Finding[Any]]]


def plan(
    slugs: Sequence[tuple[str, str]],
    resources: Sequence[Resource[Any, Any]],
    targets: Targets,
    findings: Findings,
) -> Plan:
    """Return the plan for (slug, kind) pairs whose kind has these resources."""
    return Plan(
        tuple(
            ProjectPlan(slug, kind, _plan_project(slug, resources, targets, findings)) for slug, kind in slugs
        )
    )


def _plan_project(
    slug: str, resources: Sequence[Resource[Any, Any]], targets: Targets, findings: Findings
) -> dict[str, Planned]:
    planned: dict[str, Planned] = {}
    outputs: dict[str, Object] = {}
    deferred = {resource.name for resource in resources if resource.deferred}
    for resource in resources:
        target = targets[resource.name][slug]
        finding = findings[resource.name][slug]
        answer = (
            _left_out(resource, planned)
            or _unanswerable(finding, target)
            or resource.unwanted(target)
            or _held_back(resource, planned, outputs, deferred)
        )
        if answer is None:
            assert not isinstance(finding, Unknown | Unconfigured)  # noqa: S101 - answered above
            answer = resource.plan(
                target, finding, {name: outputs[name] for name in _inputs(resource, outputs)}
            )
        planned[resource.name] = answer
        if (given := _given(resource, answer, target)) is not None:
            outputs[resource.name] = given
    return planned


def _inputs(resource: Resource[Any, Any], outputs: Mapping[str, Object]) -> list[str]:
    return [name for name in (*resource.needs, *resource.uses) if name in outputs]


def _left_out(resource: Resource[Any, Any], planned: Mapping[str, Planned]) -> Skipped | None:
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
            used = "" if finding.half else " any more, and this project already uses it"
            # A credential taken away says nothing of what it was for: those that need that go on.
            return Failed(f"{finding.reason}{used}", finding.remedy, outputs=target.remembered)
        return Skipped(f"{finding.reason}: {finding.remedy}", unconfigured=True)
    return None


def _held_back(
    resource: Resource[Any, Any],
    planned: Mapping[str, Planned],
    outputs: Mapping[str, Object],
    deferred: set[str],
) -> Planned | None:
    """Return why a resource cannot be decided yet, from what was decided of those that it needs or uses."""
    for name in (*resource.needs, *resource.uses):
        answer = planned.get(name)
        if isinstance(answer, Blocked):
            return Blocked(name, answer.because_unknown)
        if isinstance(answer, Unknown) and name not in outputs:
            return Blocked(name, because_unknown=True)
        if isinstance(answer, Waiting) or (isinstance(answer, Failed) and not answer.outputs):
            return Blocked(name)
        if isinstance(answer, Needed) and name in deferred:
            return Waiting(f"{name} is being committed", Awaits.SYNC, again_in=timedelta(seconds=1))
    return None


def _given(resource: Resource[Any, Any], answer: Planned, target: Target[Any]) -> Object | None:
    """Return what others may read of it: a fact, a `Later`, or what is remembered of an unread one."""
    if isinstance(answer, Settled):
        return answer.outputs
    if isinstance(answer, Failed):
        return answer.outputs or None
    if isinstance(answer, Needed):
        later = {field: Later(resource.name, field) for field in resource.provides}
        return {**later, **answer.outputs}
    if (
        isinstance(answer, Unknown)
        and target.remembered
        and target.remembered.keys() >= set(resource.provides)
    ):
        return target.remembered
    return None
