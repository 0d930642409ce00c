"""What Prometheus is told of passes. No slug, no name of a thing and no secret is in any label.

Every combination of a finite set of labels is written after each pass, so that a state that nobody is in any
more reads 0 and does not stay.
"""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Mapping
from datetime import datetime

from prometheus_client import Counter, Gauge, Histogram

from reconciler.engine.kind import Kind
from reconciler.engine.result import PassResult
from reconciler.model.outcome import Condition, Status

PASSES = Counter(
    "reconciler_passes", "Passes: done, failed, or busy because another instance was at work.", ["result"]
)
CHANGES = Counter("reconciler_changes", "Changes begun.", ["kind", "resource", "action"])
_SECONDS = Histogram(
    "reconciler_pass_duration_seconds",
    "How long passes took that ran to their end.",
    buckets=(0.5, 1, 2, 5, 10, 20, 40, 80, 160, 320, 640),
)
_ITEMS = Gauge("reconciler_items", "Items by kind and status, after the last pass.", ["kind", "status"])
_RESOURCES = Gauge(
    "reconciler_resources", "Resources by state, after the last pass.", ["kind", "resource", "state"]
)
_BROKEN = Gauge("reconciler_broken_files", "Files of the config repository that the last pass left out.")
_PROBLEMS = Gauge(
    "reconciler_problems", "Problems of the last pass that concern no single item, like a refused push."
)
_LAST = Gauge("reconciler_last_pass_timestamp_seconds", "When the last pass ended that ran to its end.")
_VERIFIED = Gauge(
    "reconciler_oldest_verification_timestamp_seconds",
    "When the item that it was longest ago for was last read one by one, by kind and resource.",
    ["kind", "resource"],
)


def passed(result: PassResult, kinds: Mapping[str, Kind], seconds: float, now: datetime) -> None:
    """Take note of a pass that raised nothing."""
    PASSES.labels("busy" if result.busy else "done").inc()
    if result.busy:
        return
    _SECONDS.observe(seconds)
    _LAST.set(now.timestamp())
    _PROBLEMS.set(len(result.problems))
    _BROKEN.set(len(result.broken))
    statuses = Count((each.kind, str(each.status)) for each in result.reports)
    for kind in kinds.values():
        for status in (*map(str, Status), *(reason.status for reason in kind.waits)):
            _ITEMS.labels(kind.name, status).set(statuses[kind.name, status])
    states = Count(
        (each.kind, o.resource, str(o.condition)) for each in result.reports for o in each.outcomes
    )
    for kind_name, resource in {(kind_name, resource) for kind_name, resource, _ in states}:
        for condition in Condition:
            number = states[kind_name, resource, str(condition)]
            _RESOURCES.labels(kind_name, resource, str(condition)).set(number)
    # A resource that no item has any more has no oldest one either, and must not seem forgotten.
    _VERIFIED.clear()
    for (kind_name, resource), moment in result.verified.items():
        _VERIFIED.labels(kind_name, resource).set(moment.timestamp())
