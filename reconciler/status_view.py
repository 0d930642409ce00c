"""`reconcile status`: what the status files say, without asking any system but git."""

from __future__ import annotations

import json
import time

from rich.live import Live

from reconciler import display
from reconciler.cycle import Cycle
from reconciler.errors import UsageError
from reconciler.model.json import Object
from reconciler.model.loaded import Loaded
from reconciler.model.outcome import Status


def show_status(cycle: Cycle, slug: str | None, *, form: str, watch: bool) -> None:
    """Print it once, or again and again until interrupted."""
    out = display.console()
    if not watch:
        _print(cycle.load(), slug, form, out)
        return
    with Live(console=out, auto_refresh=False, screen=out.is_terminal) as live:
        while True:
            live.update(display.table_of(display.status_rows(_documents(cycle.load(), slug))), refresh=True)
            time.sleep(2)


def _print(loaded: Loaded, slug: str | None, form: str, out: display.Console) -> None:
    documents = _documents(loaded, slug)
    if form == "json":
        rows = [{"slug": name, **document} for name, document in documents.items()]
        print(json.dumps(rows[0] if slug else rows, indent=2, ensure_ascii=False))  # noqa: T201
        return
    for error in (*loaded.broken, *loaded.unreadable_statuses.values()):
        out.print(f"error: {error}", style="red")
    if slug:
        display.one_status(out, slug, documents[slug])
    else:
        display.status_table(out, documents)


def _documents(loaded: Loaded, slug: str | None) -> dict[str, Object]:
    slugs = {*loaded.statuses, *(project.slug for project in loaded.projects)}
    if slug is not None and slug not in slugs:
        raise UsageError(f"no project called {slug}", remedy="`reconcile status` without a name lists them")
    unseen: Object = {"status": str(Status.PENDING)}
    return {name: loaded.statuses.get(name, unseen) for name in sorted(slugs) if slug is None or name == slug}
