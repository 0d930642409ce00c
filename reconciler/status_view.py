"""`reconcile status`: what the status files say, without asking any system but git."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.text import Text

from reconciler import display
from reconciler.cycle import Cycle
from reconciler.display import Program, Row
from reconciler.errors import ReconcilerError, UsageError
from reconciler.model.json import Object
from reconciler.model.loaded import Loaded
from reconciler.model.outcome import Status
from reconciler.resources.login import next_step
from reconciler.stages.report import UNREADABLE

EVERY = 2.0
"""Seconds between two looks of `--watch`."""


def show_status(cycle: Cycle, slug: str | None, program: Program, *, form: str, watch: bool) -> int:
    """Print it once, or again and again until interrupted. Return the exit code: 1 when a file is broken."""
    out = display.console()
    if watch:
        _watch(cycle, slug, program, out)
        return 0
    loaded = cycle.load()
    _print(out, loaded, slug, program, form)
    return int(slug in loaded.unreadable_statuses if slug else bool(loaded.broken))


def _print(out: Console, loaded: Loaded, slug: str | None, program: Program, form: str) -> None:
    documents = _documents(loaded, slug)
    if form == "json":
        rows = [{"slug": name, **document} for name, document in documents.items()]
        print(json.dumps(rows[0] if slug else rows, indent=2, ensure_ascii=False))  # noqa: T201
        return
    display.print_rows(out, _rows(documents, program))
    if slug:
        _details(out, documents[slug], program)
        return
    if documents:
        counts = Counter(row.status for row in _rows(documents, program))
        out.print("", ", ".join(f"{count} {status}" for status, count in sorted(counts.items())), sep="\n")
    display.errors(out, loaded.broken)


def _watch(cycle: Cycle, slug: str | None, program: Program, out: Console) -> None:
    """Show it again whenever it changed: in place at a terminal, one below the other elsewhere."""
    before: object = None
    with Live(console=out, auto_refresh=False, screen=out.is_terminal) as live:
        try:
            while True:
                now = _seen(cycle, slug)
                if now != before and out.is_terminal:
                    live.update(_screen(now, program, out.width), refresh=True)
                elif now != before and not isinstance(now, ReconcilerError):
                    display.print_rows(out, _rows(now, program))
                    out.print("")
                before = now
                time.sleep(EVERY)
        except KeyboardInterrupt:
            return


def _seen(cycle: Cycle, slug: str | None) -> dict[str, Object] | ReconcilerError:
    try:
        return _documents(cycle.load(), slug)
    except UsageError:
        raise
    except ReconcilerError as error:
        return error


def _screen(seen: dict[str, Object] | ReconcilerError, program: Program, width: int) -> RenderableType:
    foot = Text("\nCtrl-C ends this.", "dim")
    if isinstance(seen, ReconcilerError):
        return Group(Text(f"error: {seen}; asking again", "red"), foot)
    rows = _rows(seen, program)
    return Group(display.table_of(rows, width) if rows else Text("No project yet."), foot)


def _rows(documents: Mapping[str, Object], program: Program) -> list[Row]:
    return [
        Row(
            slug,
            str(document.get("status", "")),
            str(document.get("phase", "")),
            program.spell_out(next_step(document)),
        )
        for slug, document in documents.items()
    ]


def _details(out: Console, document: Object, program: Program) -> None:
    """Print one project's resources: state, since when, and why."""
    if source := document.get("source"):
        out.print(f"\nfile: {source}")
    resources = document.get("resources")
    entries = {
        str(name): entry
        for name, entry in (resources.items() if isinstance(resources, Mapping) else ())
        if isinstance(entry, Mapping)
    }
    if not entries:
        return
    wide = max(len(name) for name in entries)
    out.print(Text(f"\n{'resource':<{wide}}  {'state':<7}  {'since':<20}", "bold"))
    for name, entry in entries.items():
        state, since = str(entry.get("state", "")), str(entry.get("since", ""))
        line = Text(f"{name:<{wide}}  ").append(f"{state:<7}", display.STYLES.get(state, ""))
        line.append(f"  {since}")
        remedy = program.spell_out(str(entry.get("remedy") or ""))
        sentences = [str(entry.get("reason") or ""), f"→ {remedy}" if remedy else ""]
        if not out.is_terminal or out.width >= display.WIDE:
            out.print(line.append("".join(f"  {sentence}" for sentence in sentences if sentence)))
            continue
        out.print(line)
        for sentence in filter(None, sentences):
            out.print(Padding(sentence, (0, 0, 0, wide + 2), expand=False))


def _documents(loaded: Loaded, slug: str | None) -> dict[str, Object]:
    documents: dict[str, Object] = {
        **{project.slug: {"status": str(Status.PENDING)} for project in loaded.projects},
        **loaded.statuses,
        **{
            name: {"status": str(Status.FAILED), "next": UNREADABLE.format(error=error)}
            for name, error in loaded.unreadable_statuses.items()
        },
    }
    if slug is not None and slug not in documents:
        raise UsageError(f"no project called {slug}", remedy="`reconcile status` without a name lists them")
    return {name: documents[name] for name in sorted(documents) if slug is None or name == slug}
