"""What people and machines are shown: tables at a terminal, plain lines elsewhere, JSON, markdown."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reconciler.errors import InvalidFile
from reconciler.model.decision import Action, Change
from reconciler.model.duration import format_duration
from reconciler.model.json import Json, Object, canonical
from reconciler.model.outcome import Condition, ProjectReport, Status
from reconciler.model.plan import Plan

STYLES: Mapping[str, str] = {
    Status.COMPLETED: "green",
    Status.FAILED: "bold red",
    Status.WAITING_AUTH: "yellow",
    Status.WAITING_SYNC: "cyan",
    Status.WAITING_MERGE: "yellow",
    Status.SUSPENDED: "dim",
    Status.OFFBOARDING: "magenta",
}
SIGNS = {Action.CREATE: "+", Action.UPDATE: "~", Action.DELETE: "-", Action.ADOPT: "="}


def console(*, error: bool = False) -> Console:
    """Return a console; off a terminal it never wraps, so that words stay whole for `grep`."""
    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else 10_000
    return Console(file=stream, width=width, highlight=False, emoji=False, markup=False)


def change_line(change: Change) -> str:
    """Return one change as one line."""
    return f"{SIGNS[change.action]} {change.slug}  {change.resource}  {change.summary}"


def reports_table(out: Console, reports: Sequence[ProjectReport]) -> None:
    """Print every project with its status and what a person must do next."""
    if not reports:
        out.print("No project files found in projects/. Add one: two lines are enough (see README.md).")
        return
    _table(out, [(each.slug, str(each.status), each.phase, each.todo or _machine(each)) for each in reports])


def _table(out: Console, rows: Sequence[tuple[str, str, str, str]]) -> None:
    if not out.is_terminal:
        wide = max((len(row[0]) for row in rows), default=0)
        for slug, status, phase, todo in rows:
            out.print(f"{slug:<{wide}}  {status:<14} {phase:<15} {todo}".rstrip())
        return
    out.print(table_of(rows))


def table_of(rows: Sequence[tuple[str, str, str, str]]) -> Table:
    """Return (project, status, phase, next) rows as a table for a terminal."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("project", "status", "phase", "next"):
        table.add_column(heading, overflow="fold", no_wrap=heading in {"status", "phase"})
    for slug, status, phase, todo in rows:
        table.add_row(slug, Text(status, STYLES.get(status, "")), phase, todo)
    return table


def troubles(out: Console, reports: Iterable[ProjectReport], broken: Iterable[InvalidFile]) -> None:
    """Print everything that went wrong or could not be read, with its remedy."""
    for error in broken:
        out.print(f"error: {error}", style="red")
    unread: dict[tuple[str, str], list[str]] = {}
    for each in reports:
        for outcome in each.outcomes:
            remedy = f"\n       {outcome.remedy}" if outcome.remedy else ""
            if outcome.condition is Condition.ERROR:
                out.print(f"error: {each.slug}: {outcome.resource}: {outcome.reason}{remedy}", style="red")
            if outcome.condition is Condition.UNKNOWN:
                unread.setdefault((outcome.reason, remedy), []).append(f"{each.slug}/{outcome.resource}")
    for (reason, remedy), places in unread.items():
        more = f" and {len(places) - 3} more" if len(places) > 3 else ""
        out.print(f"unknown: {', '.join(places[:3])}{more}: {reason}{remedy}", style="yellow")


def skipped(out: Console, reports: Iterable[ProjectReport]) -> None:
    """Print what was skipped because a system is not configured, once for all projects."""
    seen: dict[str, set[str]] = {}
    for each in reports:
        for outcome in each.outcomes:
            if outcome.condition is Condition.SKIPPED:
                seen.setdefault(outcome.reason, set()).add(outcome.resource)
    for reason, resources in seen.items():
        out.print(f"skipped: {', '.join(sorted(resources))}: {reason}", style="dim")


def reports_json(reports: Iterable[ProjectReport], broken: Iterable[InvalidFile]) -> str:
    """Return the reports for machines: {projects: […], broken: […]}."""
    projects: list[Json] = [
        {
            "slug": each.slug,
            "kind": each.kind,
            "status": str(each.status),
            "phase": each.phase,
            "next": each.todo,
            "source": each.source,
            "resources": {
                outcome.resource: {
                    "state": str(outcome.condition),
                    "reason": outcome.reason,
                    "remedy": outcome.remedy,
                }
                for outcome in each.outcomes
            },
        }
        for each in reports
    ]
    return json.dumps({"projects": projects, "broken": _broken(broken)}, indent=2, ensure_ascii=False)


def plan_text(out: Console, plan: Plan, broken: Iterable[InvalidFile]) -> None:
    """Print the plan for people: every change with what it sets, then a count."""
    for error in broken:
        out.print(f"error: {error}", style="red")
    for project in plan:
        if not project.changes:
            continue
        out.print(project.slug, style="bold")
        for change in project.changes:
            out.print(f"  {SIGNS[change.action]} {change.resource}: {change.summary}")
            for line in _differences(change):
                out.print(f"      {line}", style="dim")
    changes = plan.changes
    if not changes:
        out.print("No changes: everything is as the files say, or waits for something.")
        return
    counts = {action: sum(change.action is action for change in changes) for action in Action}
    words = ", ".join(f"{count} to {action}" for action, count in counts.items() if count)
    out.print(f"Plan: {words}. Digest {plan.digest[:12]}. Nothing was written.")


def plan_json(plan: Plan, broken: Iterable[InvalidFile]) -> str:
    """Return the plan for machines: {digest, changes: […], broken: […]}."""
    changes = [
        {
            "project": change.slug,
            "resource": change.resource,
            "action": str(change.action),
            "summary": change.summary,
            "before": json.loads(canonical(change.before)),
            "after": json.loads(canonical(change.after)),
        }
        for change in plan.changes
    ]
    document = {"digest": plan.digest, "changes": changes, "broken": _broken(broken)}
    return json.dumps(document, indent=2, ensure_ascii=False)


def plan_markdown(plan: Plan, broken: Sequence[InvalidFile]) -> str:
    """Return the plan as a comment for a pull request."""
    lines = ["### Onboarding plan", ""]
    lines += [f"- **error** {_cell(str(error))}" for error in broken]
    if not plan.changes:
        return "\n".join([*lines, "No changes.", ""])
    lines += ["| | project | resource | change |", "|---|---|---|---|"]
    for change in plan.changes:
        cells = (f"`{SIGNS[change.action]}`", change.slug, change.resource, change.summary)
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join([*lines, "", f"{len(plan.changes)} changes, digest `{plan.digest[:12]}`.", ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _machine(report: ProjectReport) -> str:
    wait: timedelta | None = report.again_in
    return f"looked at again in {format_duration(wait)}" if wait else ""


def _differences(change: Change) -> list[str]:
    lines: list[str] = []
    for key, value in change.after.items():
        before = change.before.get(key)
        if before == value:
            continue
        shown = _shown(value)
        lines.append(f"{key}: {_shown(before)} → {shown}" if key in change.before else f"{key}: {shown}")
    return lines


def _shown(value: Json) -> str:
    text = value if isinstance(value, str) else canonical(value)
    return text if len(text) <= 160 else f"{text[:157]}…"


def _broken(errors: Iterable[InvalidFile]) -> list[Any]:
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


def status_table(out: Console, documents: Mapping[str, Object]) -> None:
    """Print every project as its status file has it."""
    _table(out, status_rows(documents))


def status_rows(documents: Mapping[str, Object]) -> list[tuple[str, str, str, str]]:
    """Return (project, status, phase, next) of every status file."""
    return [
        (slug, str(document.get("status", "")), str(document.get("phase", "")), str(document.get("next", "")))
        for slug, document in documents.items()
    ]


def one_status(out: Console, slug: str, document: Object) -> None:
    """Print one project's status file in full."""
    status_table(out, {slug: document})
    resources = document.get("resources")
    for name, entry in resources.items() if isinstance(resources, Mapping) else ():
        if isinstance(entry, Mapping):
            reason = entry.get("reason", "")
            out.print(
                f"  {name:<16} {entry.get('state', '')!s:<8} {entry.get('since', '')}  {reason}".rstrip()
            )


def next_commands(out: Console, reports: Iterable[ProjectReport], *, sandbox: bool) -> None:
    """Print the commands that bring the waiting projects on."""
    waiting = [each.slug for each in reports if each.status is Status.WAITING_AUTH]
    if not waiting:
        return
    program = ".venv/bin/reconcile" if Path(".venv/bin/reconcile").exists() else "reconcile"
    option = " --sandbox" if sandbox else ""
    out.print("")
    out.print("To log a project in, seal its tokens and run another pass:")
    for slug in waiting:
        out.print(f"  {program} seal {slug}{option} ~/.claude/.credentials.json")
    out.print(f"  {program} --once{option}")
    out.print("")
