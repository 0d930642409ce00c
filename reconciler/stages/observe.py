"""Stage two: every resource kind reads all its projects at once. Never writes, and plans nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import structlog

from reconciler.errors import ConfigurationError, InvalidFile, NotConfigured, ReconcilerError, SystemFault
from reconciler.model.loaded import Loaded
from reconciler.model.observation import Absent, Finding, Known, Remembered, Unconfigured, Unknown
from reconciler.model.outcome import Condition
from reconciler.model.project import Project
from reconciler.model.status_file import entry, mapping, outputs
from reconciler.resources.contract import Resource, Target
from reconciler.resources.one_by_one import STOPPED
from reconciler.systems import Reading

log = structlog.get_logger()


Findings: TypeAlias = Mapping[str, Mapping[str, Finding[Any]]]
"""By resource name, then by slug."""

Verifications: TypeAlias = Mapping[tuple[str, str], datetime]
"""When a (slug, resource) was last read one by one."""


def observe(
    resources: Sequence[Resource[Any, Any]], targets: Mapping[str, Sequence[Target[Any]]], read: Reading
) -> Findings:
    """Return one finding for each resource of each target."""
    return {resource.name: _observe_one(resource, targets[resource.name], read) for resource in resources}


def targets(
    resource: Resource[Any, Any],
    projects: Iterable[Project[Any]],
    loaded: Loaded,
    verifications: Verifications | None,
    *,
    now: datetime,
    verify_within: timedelta,
) -> list[Target[Any]]:
    """Return the projects as one resource is asked about them.

    `verifications` None means that nobody keeps them, so everything is read.
    """
    siblings = {
        slug: mapping(document.get(resource.section))
        for slug, document in loaded.statuses.items()
        if resource.section
    }
    made: list[Target[Any]] = []
    for project in projects:
        document = loaded.statuses.get(project.slug, {})
        verified_at = (verifications or {}).get((project.slug, resource.name))
        trusted = (
            resource.audited
            and verifications is not None
            and entry(document, resource.name).get("state") in (str(Condition.OK), str(Condition.BLOCKED))
            and bool(outputs(document, resource.name))
            and not audit_due(project.slug, resource.name, verified_at, now=now, within=verify_within)
        )
        made.append(
            Target(
                project=project,
                now=now,
                remembered=outputs(document, resource.name),
                section=mapping(document.get(resource.section)) if resource.section else {},
                verify=not trusted,
                verified_at=verified_at,
                siblings=siblings,
            )
        )
    return made


def audit_due(
    slug: str, resource: str, verified_at: datetime | None, *, now: datetime, within: timedelta
) -> bool:
    """Tell whether to read it again: spread by name over the second half of the bound.

    So things that were made together are not all read again in one pass, and nothing is older than the bound.
    """
    if verified_at is None:
        return True
    number = int.from_bytes(hashlib.sha256(f"{slug}/{resource}".encode()).digest()[:4], "big")
    return now - verified_at >= within * (0.5 + 0.5 * number / 2**32)


def verified(resources: Sequence[Resource[Any, Any]], findings: Findings) -> list[tuple[str, str]]:
    """Return the (slug, resource) of all audited resources that were really read in this pass."""
    return [
        (slug, resource.name)
        for resource in resources
        if resource.audited
        for slug, finding in findings[resource.name].items()
        if isinstance(finding, Known)
    ]


def longest_ago(
    kinds: Iterable[Sequence[Resource[Any, Any]]], findings: Findings, now: datetime
) -> dict[str, datetime]:
    """Return, by audited resource, when the project that it was longest ago for was last really read."""
    found: dict[str, datetime] = {}
    for resource in (resource for resources in kinds for resource in resources if resource.audited):
        moments = [
            now if isinstance(finding, Known) else finding.verified_at
            for finding in findings[resource.name].values()
            if isinstance(finding, Known | Remembered)
        ]
        known = [moment for moment in moments if moment is not None]
        if known:
            found[resource.name] = min(known)
    return found


def _observe_one(
    resource: Resource[Any, Any], wanted: Sequence[Target[Any]], read: Reading
) -> Mapping[str, Finding[Any]]:
    if not wanted:
        return {}
    if read.stopping():
        return dict.fromkeys((target.slug for target in wanted), STOPPED)
    everyone: Finding[Any]
    asked = wanted
    unasked: dict[str, Finding[Any]] = {}
    try:
        asked = [target for target in wanted if _is_wanted(resource, target)]
        unasked = dict.fromkeys(
            {target.slug for target in wanted} - {target.slug for target in asked}, Absent()
        )
        return {**unasked, **(_ask(resource, asked, read) if asked else {})}
    except NotConfigured as error:
        everyone = Unconfigured(error.message, error.remedy)
    except ConfigurationError as error:
        everyone = Unconfigured(error.message, error.remedy, half=True)
    except SystemFault as error:
        everyone = Unknown(error.message, error.remedy, error.retry_after)
    except InvalidFile as error:
        everyone = Unknown(f"{error.place}: {error.message}", error.remedy)
    except ReconcilerError as error:
        everyone = Unknown(error.message, error.remedy)
    except Exception as error:  # one resource's bug must not stop the others (design, house rules)
        log.error("observe failed unexpectedly", resource=resource.name, error=type(error).__name__)
        log.debug("traceback", exc_info=True)
        everyone = Unknown(
            f"{resource.name}: unexpected {type(error).__name__}",
            "this is a defect: report it with the debug log",
        )
    return {**unasked, **{target.slug: everyone for target in asked}}


def _ask(
    resource: Resource[Any, Any], asked: Sequence[Target[Any]], read: Reading
) -> Mapping[str, Finding[Any]]:
    for section in resource.settings:
        resource.sections.get(section)  # so that what plans later can rely on them
    return resource.observe(asked, read)


def _is_wanted(resource: Resource[Any, Any], target: Target[Any]) -> bool:
    try:
        return resource.unwanted(target) is None
    except ConfigurationError:
        return True  # which is then said of those only that the settings had to be asked for
