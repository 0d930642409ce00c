"""The page with what came of a run, `docs/reliability.md`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from tests.prove.figures import Figures
from tests.prove.parts import PARTS

ROOT = Path(__file__).parents[2]
COLUMNS = (
    "part", "job", "tried", "converged", "lost", "duplicated", "false", "other", "requests", "usual",
    "seconds",
)  # fmt: skip
_ABOUT = """\
# Reliability

<!-- Written by `make prove`; run it. -->

What came of a run of `make prove`, which anybody can repeat: it needs this checkout and no network. The parts
are in `tests/prove`, a module each, whose first lines say what is promised.

- **tried**: points at which something was made to go wrong; the row says what they are. **converged**: those
  after which the next clean passes left exactly what an undisturbed item has, in every system, and nothing
  else was wrong.
- **lost**: something that was there is gone. **duplicated**: something is there twice. **false**: a status or
  an alarm said what was not so. **other**: any other promise that did not hold; what, is below the table.
- **requests**: the most that one pass sent while something failed; **usual**: how many the same pass sends
  otherwise.
"""


def page(found: Sequence[Figures], *, seed: str, short: bool, seconds: float) -> str:
    """Return the text of the page."""
    form = "a short run" if short else "a whole run"
    took = f"{datetime.now(UTC):%Y-%m-%d}, {seconds / 60:.1f} minutes"
    head = f"Commit `{_commit()}`, seed `{seed}`, {form} on {took}."
    return "\n".join([_ABOUT, head, "", *_table(found), "", *_parts(), *_shortfalls(found)]) + "\n"


def rows(found: Sequence[Figures]) -> Iterator[list[str]]:
    """Yield the rows of the table, and after those of a part their sum."""
    for part, group in groupby(found, key=lambda each: each.part):
        several = list(group)
        for each in several:
            yield _row(part, f"{each.job}: {each.unit}" if each.unit else each.job, [each])
        if len(several) > 1:
            yield _row(part, "in all", several)


def _row(part: str, job: str, several: Sequence[Figures]) -> list[str]:
    worst = max(several, key=lambda each: each.most_requests)
    return [
        part,
        job,
        str(sum(each.tried for each in several)),
        str(sum(each.converged for each in several)),
        *(str(sum(each.count(sort) for each in several)) for sort in ("lost", "duplicated", "false")),
        str(sum(each.count("stuck", "broken") for each in several)),
        str(worst.most_requests or ""),
        str(worst.usual_requests or ""),
        f"{sum(each.seconds for each in several):.0f}",
    ]


def _table(found: Sequence[Figures]) -> Iterator[str]:
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"|{'|'.join('---' if each in COLUMNS[:2] else '---:' for each in COLUMNS)}|"
    for row in rows(found):
        yield f"| {' | '.join(row)} |"


def _parts() -> Iterator[str]:
    for name, module in PARTS.items():
        words = " ".join((module.__doc__ or "").split())
        yield f"- **{name}**: {words.partition(': ')[2]}"
    yield ""


def _shortfalls(found: Sequence[Figures]) -> Iterator[str]:
    several = [(each, shortfall) for each in found for shortfall in each.shortfalls]
    if not several:
        return
    yield "## What fell short"
    yield ""
    for each, shortfall in several:
        yield f"- {each.part} {each.job}, {shortfall.point}: {shortfall.sort}: {shortfall.what}"


def _commit() -> str:
    """Return the commit that is checked out; with a sign where files differ from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--dirty=+changes"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
