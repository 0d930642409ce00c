"""What came of a run: its figures, and each defect with the input that shows it."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias

from reconciler.model.errors import DEFECT, InvalidFile

MOST_TOLD = 10
"""Defects of one run that are kept with their inputs; the others are only counted."""
_LONGEST_SHOWN = 300


class Harm(Exception):
    """A promise of the program that an input broke."""


@dataclass(frozen=True)
class Defect:
    """What went wrong, and the input that it went wrong with, as a literal of Python."""

    what: str
    given: str


@dataclass
class Figures:
    """The counts of one run. `seconds`: of all of it; `slowest`: of its slowest input, which is `slow`."""

    name: str
    tried: int = 0
    accepted: int = 0
    refused: int = 0
    found: int = 0
    defects: list[Defect] = field(default_factory=list)
    seconds: float = 0.0
    slowest: float = 0.0
    slow: str = ""

    def attempt(self, given: object, judge: Callable[[], Iterable[InvalidFile | str]]) -> None:
        """Try one input. `judge` returns why it was refused, nothing for one that was accepted, or raises.

        A refusal of a file has to tell its place and what to do about it; one of anything else is a sentence.
        """
        begun = time.perf_counter()
        self.tried += 1
        try:
            refusals = list(judge())
            for refusal in refusals:
                _check(refusal)
        except Harm as harm:
            self._keep(str(harm), given)
        except Exception as error:  # noqa: BLE001 - that nothing unforeseen is raised is what is tried
            last = traceback.extract_tb(error.__traceback__)[-1]
            self._keep(f"{type(error).__name__} in {last.name}, {last.filename}:{last.lineno}", given)
        else:
            self.refused += bool(refusals)
            self.accepted += not refusals
        took = time.perf_counter() - begun
        if took > self.slowest:
            self.slowest, self.slow = took, _short(given)

    def _keep(self, what: str, given: object) -> None:
        self.found += 1
        if len(self.defects) < MOST_TOLD:
            self.defects.append(Defect(what, _short(given)))


Run: TypeAlias = Callable[[Figures, Random, int], None]
"""Tries about so many inputs that follow from the random numbers alone, and counts them."""


def figures_of(name: str, run: Run, seed: str, size: int) -> Figures:
    """Do a run. Each has random numbers of its own, so that one more run changes none of the others."""
    figures = Figures(name)
    begun = time.perf_counter()
    run(figures, Random(f"{seed}/{name}"), size)  # noqa: S311 - repeatable on purpose
    figures.seconds = time.perf_counter() - begun
    return figures


def _short(given: object) -> str:
    text = ascii(given)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}… ({len(text)} signs)"


def _check(refusal: InvalidFile | str) -> None:
    if isinstance(refusal, str):
        if not refusal:
            raise Harm("refused without a word")
        return
    if refusal.remedy == DEFECT:
        raise Harm(f"met a defect: {refusal.message}")
    if not refusal.remedy:
        raise Harm(f"refused without a remedy: {refusal.message}")
    if refusal.line < 0 or refusal.column < 0 or (refusal.line == 0) != (refusal.column == 0):
        raise Harm(f"refused at an impossible place: {refusal.place}")
