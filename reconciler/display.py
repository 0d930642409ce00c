"""What people and machines are shown of a pass: tables at a terminal, plain lines elsewhere, JSON.

Knows reports and nothing of how they came about. Plans are shown by `plan_view`, status files by
`status_view`.
"""

from __future__ import annotations

import json
import os
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

from reconciler.errors import InvalidFile
from reconciler.model.json import Json
from reconciler.model.outcome import Condition, Outcome, ProjectReport, Status

STYLES: Mapping[str, str] = {
    Status.COMPLETED: "green",
    Status.FAILED: "bold red",
    Status.WAITING_AUTH: "yellow",
    Status.WAITING_SYNC: "cyan",
    Status.WAITING_MERGE: "yellow",
    Status.SUSPENDED: "dim",
    Status.OFFBOARDING: "magenta",
    Condition.OK: "green",
    Condition.SKIPPED: "dim",
    Condition.WAITING: "yellow",
    Condition.BLOCKED: "dim",
    Condition.ERROR: "bold red",
}
WIDE = 110
"""Columns of a terminal from which on sentences stand beside what they are about, and not below."""
MOST_ROWS = 100
"""With more projects than fit a screen, a terminal is not shown those that are done."""
MOST_COMMANDS = 5
"""So many projects get their commands written out; the others only differ in the name."""
MADE_UP = '{"accessToken": "a", "refreshToken": "r", "expiresAt": 4102444800000}'
_SEAL = re.compile(r"`reconcile (seal [a-z0-9-]+)`")


def console(*, error: bool = False) -> Console:
    """Return a console; off a terminal it never wraps, so that words stay whole for `grep`."""
    stream = sys.stderr if error else sys.stdout
    lines = not stream.isatty()
    return Console(
        file=stream,
        width=10_000 if lines and "COLUMNS" not in os.environ else None,
        soft_wrap=lines,
        highlight=False,
        emoji=False,
        markup=False,
    )


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
        return _SEAL.sub(lambda found: f"`{self.command(found[1])} < tokens.json`", sentence)


@dataclass(frozen=True)
class Row:
    """One line of the table of projects."""

    slug: str
    status: str
    phase: str
    todo: str


def rows_of(reports: Iterable[ProjectReport], program: Program) -> list[Row]:
    """Return the table's rows by slug: what a person must do next, or why nobody can say."""
    return [
        Row(each.slug, str(each.status), each.phase, program.spell_out(each.todo) or _unread(each))
        for each in sorted(reports, key=lambda each: each.slug)
    ]


def print_rows(out: Console, rows: Sequence[Row]) -> None:
    """Print every project with its status, literally, and what is to be done."""
    if not rows:
        out.print("No project files in projects/. Add one; two lines are enough: repoOwner and repoName.")
    elif out.is_terminal:
        shown = rows
        if len(rows) > MOST_ROWS:
            shown = [row for row in rows if row.status != Status.COMPLETED]
        if shown:
            out.print(table_of(shown, out.width))
        if len(shown) < len(rows):
            out.print(f"and {len(rows) - len(shown)} completed", style="green")
    else:
        wide = max(len(row.slug) for row in rows)
        for row in rows:
            out.print(f"{row.slug:<{wide}}  {row.status:<14} {row.phase:<15} {row.todo}".rstrip())


def table_of(rows: Sequence[Row], width: int) -> Table:
    """Return the rows as a table for a terminal that is so many columns wide."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    narrow = width < WIDE
    for heading in ("project", "status", "phase", *(() if narrow else ("next",))):
        table.add_column(heading, overflow="fold", no_wrap=heading in {"status", "phase"})
    for row in rows:
        cells = (row.slug, Text(row.status, STYLES.get(row.status, "")), row.phase)
        table.add_row(*cells, *(() if narrow else (row.todo,)))
    if narrow and any(row.todo for row in rows):
        return _with_sentences_below(rows)
    return table


def _with_sentences_below(rows: Sequence[Row]) -> Table:
    wide = max(len(row.slug) for row in rows)
    table = Table(box=None, show_header=False, pad_edge=False, padding=0)
    table.add_column(overflow="fold")
    table.add_row(Text(f"{'project':<{wide}}  {'status':<14} phase", "bold"))
    for row in rows:
        line = Text(f"{row.slug:<{wide}}  ")
        line.append(f"{row.status:<14} ", STYLES.get(row.status, ""))
        table.add_row(line.append(row.phase))
        if row.todo:
            table.add_row(Padding(row.todo, (0, 0, 0, 4)))
    return table


def errors(out: Console, lines: Iterable[object]) -> None:
    """Print each as an error."""
    for line in lines:
        out.print(f"error: {line}", style="red")


def troubles(out: Console, reports: Iterable[ProjectReport]) -> None:
    """Print what went wrong or could not be read, with its remedy; what many share only once."""
    for (condition, reason, remedy), places in _troubles(reports).items():
        word, style = ("error", "red") if condition is Condition.ERROR else ("unknown", "yellow")
        out.print(f"{word}: {_some(places)}: {reason}", style=style)
        if remedy:
            out.print(Padding(f"→ {remedy}", (0, 0, 0, 7), expand=False))


def _troubles(reports: Iterable[ProjectReport]) -> dict[tuple[Condition, str, str], list[str]]:
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


def unconfigured(out: Console, reports: Iterable[ProjectReport]) -> None:
    """Print which systems nobody has set up, once for all projects."""
    seen: dict[str, set[str]] = {}
    for each in reports:
        for outcome in each.outcomes:
            if outcome.unconfigured:
                seen.setdefault(outcome.reason, set()).add(outcome.resource)
    for reason, resources in seen.items():
        out.print(f"skipped: {', '.join(sorted(resources))}: {reason}", style="dim")


def next_commands(out: Console, reports: Iterable[ProjectReport], program: Program, *, sandbox: bool) -> None:
    """Print the commands that bring on the projects which wait for sealed tokens."""
    waiting = [each.slug for each in reports if _takes_tokens(each)]
    if not waiting:
        return
    commands = [f"{program.command(f'seal {slug}')} < tokens.json" for slug in waiting[:MOST_COMMANDS]]
    if len(waiting) > MOST_COMMANDS:
        commands.append(f"… and {len(waiting) - MOST_COMMANDS} more in the same way")
    hint = (
        "tokens.json is what the Claude CLI keeps in ~/.claude/.credentials.json after `claude auth login`, "
        "or any JSON with accessToken, refreshToken and expiresAt."
    )
    out.print("\nTo log a project in, hand over its tokens and run another pass:")
    for command in (*commands, program.command("--once --wait 3m")):
        out.print(f"  {command}", soft_wrap=True)
    out.print(hint, "In the sandbox made-up tokens will do:" if sandbox else "")
    if sandbox:
        out.print(f"  echo '{MADE_UP}' | {program.command(f'seal {waiting[0]}')}", soft_wrap=True)
    out.print("")


def _takes_tokens(report: ProjectReport) -> bool:
    return report.status is Status.WAITING_AUTH and "reconcile seal" in report.todo


def reports_json(
    reports: Iterable[ProjectReport], broken: Iterable[InvalidFile], problems: Sequence[str], summary: str
) -> str:
    """Return the pass for machines: {projects: […], broken: […], problems: […], summary}."""
    projects: list[Json] = [
        {
            "slug": each.slug,
            "kind": each.kind,
            "status": str(each.status),
            "phase": each.phase,
            "next": each.todo,
            "source": each.source,
            "resources": {outcome.resource: outcome_json(outcome) for outcome in each.outcomes},
        }
        for each in reports
    ]
    document = {
        "projects": projects,
        "broken": broken_json(broken),
        "problems": list(problems),
        "summary": summary,
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def outcome_json(outcome: Outcome) -> dict[str, Json]:
    """Return one resource's outcome for machines."""
    return {"state": str(outcome.condition), "reason": outcome.reason, "remedy": outcome.remedy}


def broken_json(errors: Iterable[InvalidFile]) -> list[Any]:
    """Return broken files for machines."""
    return [
        {
            "file": error.path,
            "line": error.line,
            "column": error.column,
            "message": error.message,
            "remedy": error.remedy,
        }
        for error in errors
    ]


def _unread(report: ProjectReport) -> str:
    unread = sum(outcome.unreadable for outcome in report.outcomes)
    return f"As last known: {unread} of {len(report.outcomes)} resources could not be read." if unread else ""
