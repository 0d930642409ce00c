"""Pushes to the config repository as GitHub delivers them: which of them are worth a pass. Knows no route.

A delivery proves itself by its signature only. What it says decides nothing but whether a pass begins now and
not a few minutes later: a pass reads everything for itself.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from reconciler.clients.github.deliveries import is_signed
from reconciler.engine.trailers import COMMIT_TRAILER

REMEMBERED = 1_000
OLDEST = 24 * 3600
"""Seconds since the push; GitHub keeps deliveries for longer, and people send them again by mistake."""
_TRAILER = re.compile(rf"^{COMMIT_TRAILER}: [0-9a-f]+\s*\Z", re.MULTILINE)


class Verdict(StrEnum):
    """What becomes of a delivery."""

    BEGINS = "a pass begins"
    IGNORED = "nothing to do"
    UNSIGNED = "the signature does not fit"
    MALFORMED = "not a delivery of GitHub's"
    REPEATED = "delivered before"
    OLD = "pushed more than a day ago"


class _Commit(BaseModel):
    model_config = ConfigDict(extra="ignore")
    message: str


class _Repository(BaseModel):
    model_config = ConfigDict(extra="ignore")
    pushed_at: Annotated[int, Field(ge=0, le=2**53)]
    """Seconds since 1970."""


class _Push(BaseModel):
    model_config = ConfigDict(extra="ignore")
    ref: str
    commits: Sequence[_Commit] = Field(default_factory=list)
    repository: _Repository


@dataclass(frozen=True)
class Delivery:
    """The body as it came, and the headers that say what it is."""

    body: bytes
    event: str
    signature: str


class Pushes:
    """Judges deliveries. `branch` is the one that passes read; None when the server decides.

    `secret` is asked each time, since it may be rotated.
    """

    def __init__(
        self, secret: Callable[[], SecretStr], branch: str | None, clock: Callable[[], float] = time.time
    ) -> None:
        self.secret = secret
        self._branch = branch
        self._clock = clock
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._looking = threading.Lock()

    def judge(self, delivery: Delivery) -> Verdict:
        """Return what becomes of it. Nothing of an unsigned one is even parsed, or remembered."""
        if not is_signed(delivery.body, delivery.signature, self.secret()):
            return Verdict.UNSIGNED
        # Not by GitHub's number of a delivery, which is not signed: one that was overheard could come anew.
        if self._is_repeated(delivery.signature):
            return Verdict.REPEATED
        if delivery.event != "push":
            return Verdict.IGNORED
        try:
            push = _Push.model_validate_json(delivery.body)
        except ValidationError:
            return Verdict.MALFORMED
        if self._clock() - push.repository.pushed_at > OLDEST:
            return Verdict.OLD
        ours = bool(push.commits) and all(_TRAILER.search(each.message) for each in push.commits)
        here = self._branch is None or push.ref == f"refs/heads/{self._branch}"
        return Verdict.BEGINS if here and not ours else Verdict.IGNORED

    def _is_repeated(self, signature: str) -> bool:
        with self._looking:
            if signature in self._seen:
                return True
            self._seen[signature] = None
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
            return False
