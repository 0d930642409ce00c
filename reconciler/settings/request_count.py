"""How many requests this process sent, by system, and what GitHub said is left of its rate limits.

Clients count here at the one place where each of them sends; nobody reads it but metrics and log.
"""

from __future__ import annotations

import structlog
from prometheus_client import Counter, Gauge, disable_created_metrics

log = structlog.get_logger()

# Without this there is a second series for each counter, which only says when the process began.
disable_created_metrics()  # type: ignore[no-untyped-call]

_REQUESTS = Counter("reconciler_requests", "Requests sent, by external system.", ["system"])
_REMAINING = Gauge(
    "reconciler_github_rate_limit_remaining",
    "What GitHub said is left of a rate limit, in its own units.",
    ["resource"],
)


def count(system: str, request: str) -> None:
    """Count one request, and log it for `-v`; PostgreSQL's are statements, and git's are calls to a server.

    `request` names it: no query, no body, no value.
    """
    _REQUESTS.labels(system).inc()
    log.debug("request sent", system=system, request=request)


def remaining(resource: str, left: str) -> None:
    """Take note of GitHub's headers `x-ratelimit-resource` and `x-ratelimit-remaining`."""
    if resource and left.isdigit():
        _REMAINING.labels(resource).set(int(left))
