"""What a pass said of its resources, sorted by what it said."""

from __future__ import annotations

from reconciler.engine.result import PassResult
from reconciler.model.outcome import Condition, Outcome


def of(result: PassResult, condition: Condition) -> dict[str, set[str]]:
    """Return, by slug, the resources in that condition."""
    return {
        each.slug: {outcome.resource for outcome in each.outcomes if outcome.condition is condition}
        for each in result.reports
    }


def outcomes(result: PassResult, condition: Condition) -> list[Outcome]:
    return [each for report in result.reports for each in report.outcomes if each.condition is condition]
