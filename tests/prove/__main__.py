"""`python -m tests.prove [--seed SEED] [--short] [--folder FOLDER] [--page PAGE] [PART[:JOB]…]`."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from reconciler.faces.cli.console import console
from tests.prove.figures import Figures
from tests.prove.page import COLUMNS, page, rows
from tests.prove.parts import PARTS
from tests.prove.workers import Order, done

MOST_TOLD = 20


@click.command()
@click.option("--seed", default="1", show_default=True, help="From it follow the points of a short run.")
@click.option("--short", is_flag=True, help="Only a few points of each job.")
@click.option("--workers", default=2, show_default=True, help="Processes, each with a sandbox of its own.")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="For `fidelity`: a folder of real repositories.",
)
@click.option("--page", "written", type=click.Path(path_type=Path), help="Write the table there as a page.")
@click.argument("names", nargs=-1, metavar="[PART[:JOB]]…")
def main(
    seed: str, short: bool, workers: int, folder: Path | None, written: Path | None, names: Sequence[str]
) -> None:
    """Prove that nothing is lost; exit code 1 when anything fell short."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    out, begun = console(), time.monotonic()
    orders = [Order(*each, seed, short=short, folder=folder) for each in _chosen(names)]
    found = list(_told(out, orders, done(orders, workers)))
    found.sort(key=lambda each: [(order.part, order.job) for order in orders].index((each.part, each.job)))
    seconds = time.monotonic() - begun
    out.print(_table(found))
    short_of = sum(len(each.shortfalls) for each in found)
    out.print(f"Seed {seed}, {seconds:.0f} s: {short_of or 'no'} shortfall{'' if short_of == 1 else 's'}.")
    if written:
        written.write_text(page(found, seed=seed, short=short, seconds=seconds), encoding="utf-8")
    raise SystemExit(1 if short_of else 0)


def _chosen(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the parts and jobs that are meant; all for no names."""
    found = []
    for name in names or PARTS:
        part, _, job = name.partition(":")
        if part not in PARTS:
            raise click.BadParameter(f"{part} is none of: {', '.join(PARTS)}")
        found += [(part, each) for each in PARTS[part].jobs() if each.startswith(job)]
    return found


def _told(out: Console, orders: Sequence[Order], figures: Iterator[Figures]) -> Iterator[Figures]:
    """Show how far it is, and each job's shortfalls as soon as it is done."""
    with Progress(console=out, disable=not out.is_terminal) as progress:
        bar = progress.add_task("proving", total=len(orders))
        for each in figures:
            progress.update(bar, advance=1, description=f"{each.part} {each.job}")
            if not out.is_terminal:
                out.print(f"{each.part} {each.job}: {each.tried} {each.unit}, {each.seconds:.0f} s")
            for shortfall in each.shortfalls[:MOST_TOLD]:
                out.print(f"  {shortfall.sort}: {shortfall.point}: {shortfall.what}", style="red")
            if len(each.shortfalls) > MOST_TOLD:
                out.print(f"  and {len(each.shortfalls) - MOST_TOLD} more", style="red")
            yield each


def _table(found: Sequence[Figures]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in COLUMNS:
        table.add_column(heading, justify="left" if heading in COLUMNS[:2] else "right", no_wrap=True)
    for row in rows(found):
        table.add_row(*row)
    return table


if __name__ == "__main__":
    main()
