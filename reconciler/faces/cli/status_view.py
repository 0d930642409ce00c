"""`reconcile status`: what the status files say, without asking any system but git."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.text import Text

from reconciler.engine.cycle import Cycle
from reconciler.engine.kind import Kinds
from reconciler.engine.naming import chosen_item
from reconciler.engine.stages.report import UNREADABLE
from reconciler.faces.cli import display
from reconciler.faces.cli.console import console
from reconciler.faces.cli.display import Program, Row
from reconciler.faces.cli.terminal import say_json
from reconciler.faces.sealed_entry import next_step
from reconciler.model.errors import ReconcilerError, UsageError
from reconciler.model.item import ItemId
from reconciler.model.json import Object
from reconciler.model.loaded import Loaded
from reconciler.model.outcome import Status

Documents = Mapping[ItemId, Object]
EVERY = 2.0
"""Seconds between two looks of `--watch`."""


def show_status(cycle: Cycle, name: str | None, program: Program, *, form: str, watch: bool) -> int:
    """Print it once, or again and again until interrupted. Return the exit code: 1 when a file is broken."""
    out = console()
    if watch:
        _watch(cycle, name, program, out)
        return 0
    loaded = cycle.load()
    documents = _documents(loaded, name)
    if form == "json":
        rows = [{"slug": item.slug, "kind": item.kind, **document} for item, document in documents.items()]
        say_json(rows[0] if name else rows)
    else:
        _print(out, loaded, documents, cycle.kinds, program, whole=name is not None)
    return int(bool(loaded.unreadable_statuses.keys() & documents) if name else bool(loaded.broken))


def _print(
    out: Console, loaded: Loaded, documents: Documents, kinds: Kinds, program: Program, *, whole: bool
) -> None:
    display.print_rows(out, _rows(documents, kinds, program), kinds)
    if whole:
        for document in documents.values():
            _details(out, document, program)
        return
    if documents:
        counts = Counter(row.status for row in _rows(documents, kinds, program))
        out.print("", ", ".join(f"{count} {status}" for status, count in sorted(counts.items())), sep="\n")
    display.errors(out, loaded.broken)


def _watch(cycle: Cycle, name: str | None, program: Program, out: Console) -> None:
    """Show it again whenever it changed: in place at a terminal, one below the other elsewhere."""
    before: object = None
    with Live(console=out, auto_refresh=False, screen=out.is_terminal) as live:
        try:
            while True:
                now = _seen(cycle, name)
                if now != before and out.is_terminal:
                    live.update(_screen(now, cycle.kinds, program, out.width), refresh=True)
                elif now != before and not isinstance(now, ReconcilerError):
                    display.print_rows(out, _rows(now, cycle.kinds, program), cycle.kinds)
                    out.print("")
                before = now
                time.sleep(EVERY)
        except KeyboardInterrupt:
            return


def _seen(cycle: Cycle, name: str | None) -> Documents | ReconcilerError:
    try:
        return _documents(cycle.load(), name)
    except UsageError:
        raise
    except ReconcilerError as error:
        return error


def _screen(seen: Documents | ReconcilerError, kinds: Kinds, program: Program, width: int) -> RenderableType:
    foot = Text("\nCtrl-C ends this.", "dim")
    if isinstance(seen, ReconcilerError):
        return Group(Text(f"error: {seen}; asking again", "red"), foot)
    rows = _rows(seen, kinds, program)
    return Group(display.table_of(rows, kinds, width) if rows else Text("Nothing yet."), foot)


def _rows(documents: Documents, kinds: Kinds, program: Program) -> list[Row]:
    return [
        Row(
            item.slug,
            item.kind,
            str(document.get("status", "")),
            str(document.get("phase", "")),
            program.spell_out(next_step(document, kinds.get(item.kind))),
        )
        for item, document in documents.items()
    ]


def _details(out: Console, document: Object, program: Program) -> None:
    """Print one item's resources: state, since when, and why."""
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


def _documents(loaded: Loaded, name: str | None) -> Documents:
    """Return what the status files say, by slug; of the one thing that is named, or of all."""
    documents: dict[ItemId, Object] = {
        **{item.id: {"status": str(Status.PENDING)} for item in loaded.items},
        **loaded.statuses,
        **{
            item: {"status": str(Status.FAILED), "next": UNREADABLE.format(error=error)}
            for item, error in loaded.unreadable_statuses.items()
        },
    }
    if name is not None:
        chosen = chosen_item(name, documents)
        return {chosen: documents[chosen]}
    return {item: documents[item] for item in sorted(documents, key=lambda item: (item.slug, item.kind))}
