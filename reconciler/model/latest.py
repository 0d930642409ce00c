"""Answers that are dear to work out and mostly the same in the next pass. Only the last one is kept."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Generic, TypeVar

AskedT = TypeVar("AskedT")
AnswerT = TypeVar("AnswerT")


class Latest(Generic[AskedT, AnswerT]):
    """By name, what was asked last and its answer. For functions whose answer is the same to the same."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[AskedT, AnswerT]] = {}

    def get(self, name: str, asked: AskedT, work_out: Callable[[], AnswerT]) -> AnswerT:
        """Return the answer, worked out if something else was asked of that name before."""
        kept = self._kept.get(name)
        if kept is None or kept[0] != asked:
            kept = self._kept[name] = (asked, work_out())
        return kept[1]

    def keep_only(self, names: Collection[str]) -> None:
        """Forget all others."""
        # A service reads beside the pass, so it is not walked through while another thread may add to it.
        self._kept = {name: kept for name, kept in tuple(self._kept.items()) if name in names}
