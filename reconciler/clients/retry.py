"""The one place that tries again: for reads, and for writes that are proven repeatable.

A create is never retried here: whoever makes one reads first, and the next pass reads again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_exponential,
    wait_random,
)

from reconciler.model.errors import SystemFault, Unavailable

ATTEMPTS = 4
LONGEST_WAIT = 20.0
"""Seconds. A system that asks for more is `unknown` in this pass; no pass sleeps through an hour's limit."""
DEADLINE = 10.0
"""Seconds after which nothing is tried again: a system that lets one attempt time out would let all four."""

P = ParamSpec("P")
T = TypeVar("T")

_backoff = wait_exponential(multiplier=0.2, max=5.0) + wait_random(0, 0.3)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    named = error.retry_after if isinstance(error, Unavailable) else None
    return _backoff(state) if named is None else named


def _stop(state: RetryCallState) -> bool:
    enough = stop_after_attempt(ATTEMPTS) | stop_after_delay(DEADLINE)
    return enough(state) or _wait(state) > LONGEST_WAIT


def repeat(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call until it stops raising Unavailable, at most four times; then raise what it raised last."""
    retrying = Retrying(retry=retry_if_exception_type(Unavailable), wait=_wait, stop=_stop, reraise=True)
    return retrying(call, *args, **kwargs)


class Retry:
    """The retries of one client: a system that failed to the last try gets one a call, until it answers."""

    def __init__(self) -> None:
        self._failed = False

    def repeat(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call, as `repeat` does, what is safe to call again."""
        try:
            answer = call(*args, **kwargs) if self._failed else repeat(call, *args, **kwargs)
        except SystemFault as fault:
            self._failed = isinstance(fault, Unavailable)
            raise
        self._failed = False
        return answer
