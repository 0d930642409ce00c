"""What Prometheus is told of passes. No slug, no repository and no secret is in any label.

Every combination of a finite set of labels is written after each pass, so that a state that nobody is in any
more reads 0 and does not stay.
"""

from __future__ import annotations

from collections import Counter as Count
from datetime import datetime

from prometheus_client import Counter, Gauge, Histogram

from reconciler.model.outcome import Condition, Status
from reconciler.result import PassResult

PASSES = Counter(
    "reconciler_passes", "Passes: done, failed, or busy because another instance was at work.", ["result"]
)
CHANGES = Counter("reconciler_changes", "Changes begun.", ["resource", "action"])
_SECONDS = Histogram(
    "reconciler_pass_duration_seconds",
    "How long passes took that ran to their end.",
    buckets=(0.5, 1, 2, 5, 10, 20, 40, 80, 160, 320, 640),
)
_PROJECTS = Gauge("reconciler_projects", "Projects by status, after the last pass.", ["status"])
_RESOURCES = Gauge("reconciler_resources", "Resources by state, after the last pass.", ["resource", "state"])
_BROKEN = Gauge("reconciler_broken_files", "Files of the config repository that the last pass left out.")
_PROBLEMS = Gauge(
    "reconciler_problems", "Problems of the last pass that concern no single project, like a refused push."
)
_LAST = Gauge("reconciler_last_pass_timestamp_seconds", "When the last pass ended that ran to its end.")
_VERIFIED = Gauge(
    "reconciler_oldest_verification_timestamp_seconds",
    "When the project that it was longest ago for was last read one by one, by resource.",
    ["resource"],
)


def passed(result: PassResult, seconds: float, now: datetime) -> None:
    """Take note of a pass that raised nothing."""
    PASSES.labels("busy" if result.busy else "done").inc()
    if result.busy:
        return
    _SECONDS.observe(seconds)
    _LAST.set(now.timestamp())
    _PROBLEMS.set(len(result.problems))
    _BROKEN.set(len(result.broken))
    statuses = Count(each.status for each in result.reports)
    for status in Status:
        _PROJECTS.labels(str(status)).set(statuses[status])
    states = Count((o.resource, o.condition) for each in result.reports for o in each.outcomes)
    for resource in {resource for resource, _ in states}:
        for condition in Condition:
            _RESOURCES.labels(resource, str(condition)).set(states[resource, condition])
    # A resource that no project has any more has no oldest one either, and must not seem forgotten.
    _VERIFIED.clear()
    for resource, moment in result.verified.items():
        _VERIFIED.labels(resource).set(moment.timestamp())
