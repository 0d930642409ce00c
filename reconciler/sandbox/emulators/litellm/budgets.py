"""Budgets: which are refused, and when they start anew."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from typing import Any

from reconciler.sandbox.emulators.litellm.calls import bad

_WORDS = {"hourly": "1h", "daily": "24h", "weekly": "7d", "monthly": "30d"}
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def problem(given: dict[str, Any]) -> str | None:
    """Say what is wrong with the budget among the given fields, if anything."""
    budget, soft, duration = (given.get(name) for name in ("max_budget", "soft_budget", "budget_duration"))
    if budget is not None and (budget < 0 or not math.isfinite(budget)):
        return f"max_budget must be a non-negative finite number. Received: {budget}"
    if budget is not None and soft is not None and soft >= budget:
        return f"soft_budget ({soft}) must be strictly lower than max_budget ({budget})"
    if duration is not None and _parse(duration) is None:
        return f"Invalid budget_duration '{duration}'. Use a format like '1h', '24h', '7d', or '30d'."
    return None


def check(given: dict[str, Any]) -> None:
    """Refuse a wrong budget as most routes do."""
    if (wrong := problem(given)) is not None:
        raise bad(wrong)


def reset_at(duration: str | None, now: datetime) -> str | None:
    """Return when a budget of that duration starts anew.

    Thirty days are the calendar month, seven days end on Monday, other days count from today; hours, minutes
    and seconds are cut from midnight on.
    """
    parsed = _parse(duration) if duration else None
    if parsed is None:
        return None
    value, unit = parsed
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit in _SECONDS:
        step = timedelta(seconds=value * _SECONDS[unit])
        return _text(midnight + ((now - midnight) // step + 1) * step)
    days = value * 7 if unit == "w" else value
    if unit == "mo" or days == 30:
        return _text((midnight.replace(day=1) + timedelta(days=32)).replace(day=1))
    return _text(midnight + timedelta(days=7 - now.weekday() if days == 7 else days))


def _parse(duration: str) -> tuple[int, str] | None:
    found = re.match(r"([0-9]+)(mo|[smhdw])", _WORDS.get(duration.strip().lower(), duration))
    if not found or int(found[1]) == 0 or (found[2] == "mo" and int(found[1]) != 1):
        return None
    return int(found[1]), found[2]


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
