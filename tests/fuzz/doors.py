"""Hostile texts in all that the command line shows of files, systems and items: text they stay."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from reconciler.engine.result import Look
from reconciler.model.decision import Action, Change, Needed
from reconciler.model.errors import InvalidFile
from reconciler.model.item import ItemId
from reconciler.model.loaded import Loaded
from reconciler.model.outcome import Condition, ItemReport, Outcome
from reconciler.model.plan import ItemPlan, Plan
from tests.fuzz import hostile, shown
from tests.fuzz.figures import Figures
from tests.fuzz.worlds import NOW
from tests.kinds.everyone import EVERYONE


def run(figures: Figures, random: Random, size: int) -> None:
    """Try so many texts, each in every place at once."""
    for _ in range(size):
        text = hostile.text(random)
        figures.attempt(text, lambda: judge(text))  # noqa: B023 - called at once


def judge(text: str) -> Iterable[str]:
    """Return why the text is not shown as it is; Harm where it is, and somebody would obey it."""
    error = InvalidFile(text, text, line=1, column=1, remedy=text or "mend it")
    shown.errors([error])
    kind = next(iter(EVERYONE.values()))
    item, resource = ItemId(kind.name, "fuzz"), kind.resources[0]
    change = Change(item, resource.name, Action.UPDATE, text, {"value": ""}, {"value": text, "more": [text]})
    outcomes = tuple(
        Outcome(resource.name, resource.phase, condition, reason=text, remedy=text)
        for condition in (Condition.ERROR, Condition.UNKNOWN, Condition.SKIPPED)
    )
    reports = (ItemReport(item, text, text, text, outcomes, text),)
    plan = Plan((ItemPlan(item, {resource.name: Needed(change)}),))
    loaded = Loaded("", (), {}, broken=(error,))
    shown.plans(Look(NOW, loaded, {}, plan, (text,), reports=reports), EVERYONE)
    return () if text.isprintable() else ["it holds signs that are not shown but obeyed"]
