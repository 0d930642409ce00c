"""The commands about removal: one removes something on purpose, one lists what was left behind."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.faces.cli.options import PROJECTS, common, cycle_of, format_option
from reconciler.faces.cli.terminal import say, say_json

if TYPE_CHECKING:
    from rich.console import Console

    from reconciler.faces.offboarding import Offboarding

FAILED = 1


@click.command()
@click.argument("slugs", nargs=-1, required=True, metavar="SLUG...")
@click.option("--yes", is_flag=True, help="Commit it without asking.")
@format_option("text", "json")
@common
def offboard(*, slugs: tuple[str, ...], yes: bool, form: str, config: Path | None, sandbox: bool) -> None:
    """Remove something: show what goes, what stays and why, then commit it.

    The commit takes its file out of projects/ and names it, which also confirms a removal that is held. What
    it has is disabled by the next pass, and taken away once the time to change one's mind is over
    (docs/removal.md). Where nobody can be asked, nothing is committed without --yes.
    """
    from reconciler.faces.cli.console import console
    from reconciler.faces.cli.display import Program
    from reconciler.faces.cli.progress import progress
    from reconciler.faces.offboarding import commit, prepare

    cycle = cycle_of(config, sandbox=sandbox)
    with progress() as steps:
        steps.looking()
        prepared = prepare(cycle, slugs)
    if form == "text":
        _show(console(), prepared)
    for problem in prepared.problems:
        say(f"error: {problem}", err=True)
    made = ""
    if yes or (form == "text" and sys.stdin.isatty() and click.confirm("Commit this?")):
        made = commit(cycle, prepared)
    if form == "json":
        say_json({**prepared.as_json(), "commit": made or None})
    elif made:
        say(f"Committed as {made[:10]}. The next pass disables what is above; put the file back to undo it.")
        if sandbox:
            files = " ".join(edit.path for edit in prepared.edits if Path(edit.path).exists())
            if files:
                say(
                    f"note: `rm {files}` here too: what is in {PROJECTS}/ is merged when a pass begins",
                    err=True,
                )
    else:
        again = Program.called(sandbox=sandbox, config=config).command(f"offboard {' '.join(slugs)} --yes")
        say(f"Nothing was committed. To do it: {again}")
    sys.exit(FAILED if prepared.problems and not made else 0)


def _show(out: Console, prepared: Offboarding) -> None:
    for each in prepared.going:
        out.print(f"{each.id.slug} ({each.id.kind}) is to be REMOVED", style="bold red")
        _part(out, "disabled by the next pass", each.now, "yellow")
        _part(out, f"taken away after {prepared.grace}", each.later, "red")
        _part(out, "stays", each.stays, "green")
        _part(out, "not clear", each.unclear, "bold red")
        if not (each.now or each.later or each.stays or each.unclear):
            out.print("  nothing was made for it: its file goes, and that is all")


def _part(out: Console, heading: str, lines: tuple[str, ...], style: str) -> None:
    if lines:
        out.print(f"  {heading}:", style=style)
    for line in lines:
        out.print(f"    {line}")


@click.command()
@format_option("text", "json")
@common
def orphans(*, form: str, config: Path | None, sandbox: bool) -> None:
    """List what carries our marks and belongs to no file. Deletes nothing.

    Exit code 1 when there is any, or when something could not be looked through.
    """
    from reconciler.engine.orphans import find
    from reconciler.faces.cli.console import console

    found = find(cycle_of(config, sandbox=sandbox))
    if form == "json":
        say_json(
            {
                "orphans": [
                    {
                        "kind": each.kind,
                        "resource": each.resource,
                        "where": each.where,
                        "slug": each.slug,
                        "identity": each.identity or None,
                    }
                    for each in found.orphans
                ],
                "unread": list(found.unread),
                "unlisted": list(found.unlisted),
            }
        )
    else:
        out = console()
        for each in found.orphans:
            of = f"{each.kind}/{each.slug}" + (f", {each.identity}" if each.identity else "")
            out.print(f"{each.resource:<16} {each.where}  (made for {of})")
        for problem in found.unread:
            out.print(f"error: {problem}", style="red")
        if not found.orphans and not found.unread:
            out.print("No orphans: everything that carries our marks belongs to a file.")
        elif found.orphans:
            out.print(
                "Nothing was deleted. Each belongs to no file and no status file: put its file back to have "
                "it looked after, or remove it where it is."
            )
        if found.unlisted:
            out.print(
                f"Not listed by their systems, so not looked through: {', '.join(found.unlisted)}",
                style="dim",
            )
    sys.exit(FAILED if found.orphans or found.unread else 0)
