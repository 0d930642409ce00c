"""Lengths of time as people write them: 90s, 5m, 2h, 1d."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_WRONG = 'not a length of time: write it like "90s", "5m" or "2h"'


def parse_duration(text: object) -> timedelta:
    """Return the length; ValueError for anything that is not a positive number and a unit."""
    length = parse_duration_or_zero(text)
    if not length:
        raise ValueError(_WRONG)
    return length


def parse_duration_or_zero(text: object) -> timedelta:
    """Return the length; ValueError for anything that is not a number and a unit."""
    if isinstance(text, timedelta):
        return text
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([smhd])", str(text).strip())
    if not found:
        raise ValueError(_WRONG)
    return timedelta(**{_UNITS[found[2]]: float(found[1])})


def format_duration(length: timedelta) -> str:
    """Return it in the largest unit that leaves no more than one decimal: 3s, 1.5m, 2h."""
    seconds = length.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{round(seconds / size, 1):g}{unit}"
    return f"{round(seconds, 1):g}s"


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
DurationOrZero = Annotated[timedelta, BeforeValidator(parse_duration_or_zero)]
