"""Many repositories in few requests: batches, halves of batches, and when to give up asking.

Knows what a fault means for the other repositories, and nothing of the query.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from reconciler.clients.github.models import GitHubRepository, RepositoryName
from reconciler.clients.github.refusals import TooHeavy
from reconciler.clients.retry import LONGEST_WAIT, Retry
from reconciler.model.errors import Denied, Missing, SystemFault, Unavailable

BATCH = 40
"""Repositories per query: 3 points, and far from the ten seconds that GitHub gives a query."""
PATIENCE = 8
"""Failed requests in a row after which the rest is not asked any more; halving 40 down to one takes seven."""

Found: TypeAlias = GitHubRepository | SystemFault
Ask: TypeAlias = Callable[[Sequence[RepositoryName]], dict[RepositoryName, Found]]


def read_all(wanted: Sequence[RepositoryName], ask: Ask, retry: Retry) -> dict[RepositoryName, Found]:
    """Ask in batches; a batch that is too much for GitHub is halved, and a dead GitHub is left alone."""
    waiting = deque(list(wanted[start : start + BATCH]) for start in range(0, len(wanted), BATCH))
    found: dict[RepositoryName, Found] = {}
    failures = 0
    while waiting:
        batch = waiting.popleft()
        try:
            found |= _patiently(ask, batch, retry)
            failures = 0
        except SystemFault as fault:
            failures += 1
            if isinstance(fault, TooHeavy) and len(batch) > 1 and failures < PATIENCE:
                middle = len(batch) // 2
                waiting.extendleft((batch[middle:], batch[:middle]))
                continue
            found |= dict.fromkeys(batch, fault)
            if failures >= PATIENCE or _concerns_all(fault):
                found |= {name: fault for rest in waiting for name in rest}
                break
    return found


def _patiently(ask: Ask, batch: Sequence[RepositoryName], retry: Retry) -> dict[RepositoryName, Found]:
    """Ask again when GitHub is not available; but a batch that is too heavy is better halved at once."""
    if len(batch) == 1:
        return retry.repeat(ask, batch)

    def once() -> dict[RepositoryName, Found] | TooHeavy:
        try:
            return ask(batch)
        except TooHeavy as heavy:
            return heavy

    answer = retry.repeat(once)
    if isinstance(answer, TooHeavy):
        raise answer
    return answer


def fault_of_all(found: Mapping[RepositoryName, Found]) -> SystemFault | None:
    """Return a fault when there is nothing else: one and the same for all, or no answer to any."""
    faults = [
        each for each in found.values() if isinstance(each, SystemFault) and not isinstance(each, Missing)
    ]
    if len(faults) < len(found) or not faults:
        return None
    same = len({id(fault) for fault in faults}) == 1
    return faults[0] if same or all(isinstance(fault, Unavailable) for fault in faults) else None


def _concerns_all(fault: SystemFault) -> bool:
    return isinstance(fault, Denied) or (fault.retry_after or 0.0) > LONGEST_WAIT
