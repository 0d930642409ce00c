"""What people and machines are shown of a pass: tables at a terminal, plain lines elsewhere, JSON.

Knows reports and nothing of how they came about. Plans are shown by `plan_view`, status files by
`status_view`.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reconciler.engine.contract import SealedForm
from reconciler.engine.kind import Kinds
from reconciler.engine.naming import short_names
from reconciler.model.errors import InvalidFile, printable
from reconciler.model.json import Json
from reconciler.model.outcome import Condition, ItemReport, Outcome, Status

STYLES: Mapping[str, str] = {
    Status.COMPLETED: "green",
    Status.FAILED: "bold red",
    Status.SUSPENDED: "dim",
    Status.OFFBOARDING: "magenta",
    Status.REMOVED: "dim",
    Condition.OK: "green",
    Condition.SKIPPED: "dim",
    Condition.WAITING: "yellow",
    Condition.BLOCKED: "dim",
    Condition.ERROR: "bold red",
}
WIDE = 110
"""Columns of a terminal from which on sentences stand beside what they are about, and not below."""
MOST_ROWS = 100
"""With more items than fit a screen, a terminal is not shown those that are done."""
MOST_COMMANDS = 5
"""So many items get their commands written out; the others only differ in the name."""
_SEAL = re.compile(r"`reconcile (seal [a-z0-9/-]+)`")


@dataclass(frozen=True)
class Program:
    """How the program was called, so that the commands which are shown can be typed as they are."""

    name: str = "reconcile"
    options: str = ""

    @classmethod
    def called(cls, *, sandbox: bool, config: Path | None = None) -> Program:
        """Return it as it was called just now."""
        given, found = sys.argv[0], shutil.which("reconcile")
        on_path = found is not None and Path(found).resolve() == Path(given).resolve()
        name = given if Path(given).name == "reconcile" and not on_path else "reconcile"
        return cls(name, " --sandbox" if sandbox else f" --config {config}" if config else "")

    def command(self, words: str) -> str:
        """Return a command to type: `seal acme-widgets`, with how to call it and the options of this call."""
        return f"{self.name} {words}{self.options}"

    def spell_out(self, sentence: str) -> str:
        """Return a sentence of a status file with its command as it is typed here."""
        return _SEAL.sub(lambda found: f"`{self.command(found[1])} < secret.json`", sentence)


@dataclass(frozen=True)
class Row:
    """One line of the table of items."""

    slug: str
    kind: str
    status: str
    phase: str
    todo: str


def rows_of(reports: Iterable[ItemReport], program: Program) -> list[Row]:
    """Return the table's rows by slug: what a person must do next, or why nobody can say."""
    return [
        Row(each.slug, each.kind, each.status, each.phase, program.spell_out(each.todo) or _unread(each))
        for each in sorted(reports, key=lambda each: (each.slug, each.kind))
    ]


def print_rows(out: Console, rows: Sequence[Row], kinds: Kinds) -> None:
    """Print every item with its status, literally, and what is to be done."""
    if not rows:
        out.print("No valid file in projects/. `reconcile schema` says what one may ask for.")
    elif out.is_terminal:
        shown = rows
        if len(rows) > MOST_ROWS:
            shown = [row for row in rows if row.status != Status.COMPLETED]
        if shown:
            out.print(table_of(shown, kinds, out.width))
        if len(shown) < len(rows):
            out.print(f"and {len(rows) - len(shown)} completed", style="green")
    else:
        wide = max(len(row.slug) for row in rows)
        kind = max(len(row.kind) for row in rows)
        for row in rows:
            line = f"{row.slug:<{wide}}  {row.kind:<{kind}}  {row.status:<14} {row.phase:<15} {row.todo}"
            out.print(line.rstrip())


def style_of(status: str, kinds: Kinds) -> str:
    """Return how a status is shown: what waits for a person stands out from what waits for a machine."""
    if reason := kinds.waits.get(status):
        return "yellow" if reason.person else "cyan"
    return STYLES.get(status, "")


def table_of(rows: Sequence[Row], kinds: Kinds, width: int) -> Table:
    """Return the rows as a table for a terminal that is so many columns wide."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    narrow = width < WIDE
    for heading in ("name", "kind", "status", "phase", *(() if narrow else ("next",))):
        table.add_column(heading, overflow="fold", no_wrap=heading in {"kind", "status", "phase"})
    for row in rows:
        cells = (row.slug, row.kind, Text(row.status, style_of(row.status, kinds)), row.phase)
        table.add_row(*cells, *(() if narrow else (row.todo,)))
    if narrow and any(row.todo for row in rows):
        return _with_sentences_below(rows, kinds)
    return table


def _with_sentences_below(rows: Sequence[Row], kinds: Kinds) -> Table:
    wide = max(len(row.slug) for row in rows)
    kind = max(len(row.kind) for row in rows)
    table = Table(box=None, show_header=False, pad_edge=False, padding=0)
    table.add_column(overflow="fold")
    table.add_row(Text(f"{'name':<{wide}}  {'kind':<{kind}}  {'status':<14} phase", "bold"))
    for row in rows:
        line = Text(f"{row.slug:<{wide}}  {row.kind:<{kind}}  ")
        line.append(f"{row.status:<14} ", style_of(row.status, kinds))
        table.add_row(line.append(row.phase))
        if row.todo:
            table.add_row(Padding(row.todo, (0, 0, 0, 4)))
    return table


def errors(out: Console, lines: Iterable[object]) -> None:
    """Print each as an error."""
    for line in lines:
        out.print(f"error: {line}", style="red")


def troubles(out: Console, reports: Iterable[ItemReport]) -> None:
    """Print what went wrong or could not be read, with its remedy; what many share only once."""
    for (condition, reason, remedy), places in _troubles(reports).items():
        word, style = ("error", "red") if condition is Condition.ERROR else ("unknown", "yellow")
        out.print(f"{word}: {_some(places)}: {reason}", style=style)
        if remedy:
            out.print(Padding(f"→ {remedy}", (0, 0, 0, 7), expand=False))


def _troubles(reports: Iterable[ItemReport]) -> dict[tuple[Condition, str, str], list[str]]:
    found: dict[tuple[Condition, str, str], list[str]] = {}
    for each in reports:
        for outcome in each.outcomes:
            if outcome.condition in {Condition.ERROR, Condition.UNKNOWN}:
                key = (outcome.condition, outcome.reason, outcome.remedy)
                found.setdefault(key, []).append(f"{each.slug}/{outcome.resource}")
    return found


def _some(places: Sequence[str]) -> str:
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return ", ".join(places[:3]) + more


def unconfigured(out: Console, reports: Iterable[ItemReport]) -> None:
    """Print which systems nobody has set up, once for all items."""
    seen: dict[str, set[str]] = {}
    for each in reports:
        for outcome in each.outcomes:
            if outcome.unconfigured:
                seen.setdefault(outcome.reason, set()).add(outcome.resource)
    for reason, resources in seen.items():
        out.print(f"skipped: {', '.join(sorted(resources))}: {reason}", style="dim")


def next_commands(
    out: Console, reports: Iterable[ItemReport], kinds: Kinds, program: Program, *, sandbox: bool
) -> None:
    """Print the commands that bring on the items which wait for something sealed."""
    everyone = list(reports)
    names = short_names(each.id for each in everyone)
    asking = [(names[each.id], form) for each in everyone if (form := _asked_for(each, kinds))]
    if not asking:
        return
    waiting = [name for name, _ in asking]
    commands = [f"{program.command(f'seal {name}')} < secret.json" for name in waiting[:MOST_COMMANDS]]
    if len(waiting) > MOST_COMMANDS:
        commands.append(f"… and {len(waiting) - MOST_COMMANDS} more in the same way")
    out.print("\nWhat is waited for is handed over sealed; then another pass goes on:")
    for command in (*commands, program.command("--once --wait 3m")):
        out.print(f"  {command}", soft_wrap=True)
    for form in dict.fromkeys(form for _, form in asking):
        out.print(f"secret.json is {form.what}.", "In the sandbox a made-up one will do:" if sandbox else "")
        if sandbox:
            name = next(name for name, each in asking if each is form)
            out.print(f"  echo '{form.made_up}' | {program.command(f'seal {name}')}", soft_wrap=True)
    out.print("")


def _asked_for(report: ItemReport, kinds: Kinds) -> SealedForm | None:
    """Return what a person is to seal next for an item that waits, if it is that."""
    reason = kinds[report.kind].waiting(report.status) if report.kind in kinds else None
    if reason is None or not reason.person or "reconcile seal" not in report.todo:
        return None
    waiting = {each.resource for each in report.outcomes if each.awaits == reason}
    forms = [each.sealed for each in kinds[report.kind].resources if each.name in waiting and each.sealed]
    return forms[0] if forms else None


def reports_json(
    reports: Iterable[ItemReport], broken: Iterable[InvalidFile], problems: Sequence[str], summary: str
) -> dict[str, Json]:
    """Return the pass for machines: {items: […], broken: […], problems: […], summary}."""
    items: list[Json] = [
        {
            "slug": each.slug,
            "kind": each.kind,
            "status": each.status,
            "phase": each.phase,
            "next": each.todo,
            "source": each.source,
            "resources": {outcome.resource: outcome_json(outcome) for outcome in each.outcomes},
        }
        for each in reports
    ]
    return {
        "items": items,
        "broken": broken_json(broken),
        "problems": list(problems),
        "summary": summary,
    }


def outcome_json(outcome: Outcome) -> dict[str, Json]:
    """Return one resource's outcome for machines."""
    return {"state": str(outcome.condition), "reason": outcome.reason, "remedy": outcome.remedy}


def broken_json(errors: Iterable[InvalidFile]) -> list[Any]:
    """Return broken files for machines."""
    return [
        {
            "file": printable(error.path),
            "line": error.line,
            "column": error.column,
            "message": error.message,
            "remedy": error.remedy,
        }
        for error in errors
    ]


def _unread(report: ItemReport) -> str:
    unread = sum(outcome.unreadable for outcome in report.outcomes)
    return f"As last known: {unread} of {len(report.outcomes)} resources could not be read." if unread else ""
