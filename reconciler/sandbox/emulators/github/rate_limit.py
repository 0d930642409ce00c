"""The primary limit, counted, and both limits on demand.

The primary limit is 5,000 requests and 5,000 GraphQL points an hour and token, 60 requests without a token.
The secondary limit is a mood of the original that nobody can compute: tests switch it on through the admin
seam.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from reconciler.sandbox.emulators.github.errors import Refusal
from reconciler.sandbox.emulators.github.identity import Identity

HOUR = 3600
_SUPPORT = "If you reach out to GitHub Support for help, please include the request ID."
PRIMARY = f"API rate limit exceeded for user ID 1. {_SUPPORT}"
SECONDARY = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. " + _SUPPORT
)


@dataclass(frozen=True)
class Mood:
    """What the next requests meet.

    mode: normal, primary, secondary, or secondary-silent (no retry-after, and remaining is not 0).
    times: how many requests meet it, None until changed. status: 403 or 429, or 200 for GraphQL only.
    """

    mode: str = "normal"
    times: int | None = None
    status: int = 403
    retry_after: int = 60


@dataclass
class _Window:
    used: int
    reset: int


class RateLimits:
    """Counters in memory: they start anew with the process."""

    def __init__(self, clock: Callable[[], datetime], limit: int = 5000) -> None:
        self._clock = clock
        self.limit = limit
        self.mood = Mood()
        self._windows: dict[tuple[str, str], _Window] = {}

    def admit(self, identity: Identity, resource: str) -> None:
        """Raise what GitHub answers when a limit is reached; resource is core or graphql.

        A Refusal of status 200 stands for GraphQL's way: an error inside a successful answer.
        """
        window = self._window(identity, resource)
        mood = self._next_mood()
        if mood.mode == "primary":
            window.used = self._limit(identity)
        if window.used >= self._limit(identity):
            status = 200 if resource == "graphql" else mood.status
            raise Refusal(status, PRIMARY, headers=self.headers(identity, resource))
        if mood.mode.startswith("secondary"):
            named = {"retry-after": str(mood.retry_after)} if mood.mode == "secondary" else {}
            raise Refusal(mood.status, SECONDARY, headers={**self.headers(identity, resource), **named})

    def charge(self, identity: Identity, resource: str, points: int = 1) -> None:
        """Count points against the primary limit."""
        self._window(identity, resource).used += points

    def headers(self, identity: Identity, resource: str) -> dict[str, str]:
        """Return the `x-ratelimit-*` headers."""
        state = self.state(identity, resource)
        return {f"x-ratelimit-{key}": str(value) for key, value in state.items()} | {
            "x-ratelimit-resource": resource
        }

    def state(self, identity: Identity, resource: str) -> dict[str, int]:
        """Return limit, remaining, used, reset (UTC epoch seconds)."""
        window, limit = self._window(identity, resource), self._limit(identity)
        used = min(window.used, limit)
        return {"limit": limit, "remaining": limit - used, "used": used, "reset": window.reset}

    def forget(self) -> None:
        """Start all counters anew."""
        self._windows.clear()

    def _limit(self, identity: Identity) -> int:
        return min(60, self.limit) if identity.anonymous else self.limit

    def _window(self, identity: Identity, resource: str) -> _Window:
        now = math.ceil(self._clock().timestamp())
        window = self._windows.get((identity.token, resource))
        if window is None or window.reset <= now:
            window = self._windows[identity.token, resource] = _Window(used=0, reset=now + HOUR)
        return window

    def _next_mood(self) -> Mood:
        mood = self.mood
        if mood.times is not None:
            left = mood.times - 1
            self.mood = Mood(mood.mode, left, mood.status, mood.retry_after) if left > 0 else Mood()
        return mood
