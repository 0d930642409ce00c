"""`python -m tests.fuzz [--seed SEED] [--size SIZE] [RUN…]`: tries hostile input and tells what came."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import click
import structlog
from rich.console import Console
from rich.table import Table

from reconciler.faces.cli.console import console
from tests.fuzz.figures import Figures, figures_of
from tests.fuzz.runs import runs

SIZE = 1_000
TIMES: Mapping[str, int] = {"item files": 4, "lists of files": 8, "sealed entries": 4}
"""Runs whose inputs cost so little that they get more than the others."""


@click.command()
@click.option("--seed", default="1", show_default=True, help="From it follow all inputs.")
@click.option(
    "--size", default=SIZE, show_default=True, help="How many inputs a run tries; cheap ones a multiple."
)
@click.argument("names", nargs=-1, metavar="[RUN]…")
def main(seed: str, size: int, names: Sequence[str]) -> None:
    """Try hostile input; exit code 1 when any of it did harm."""
    # What is logged of an input that is refused as it should be is not what this is about.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    known, out = runs(), console()
    if unknown := [name for name in names if name not in known]:
        raise click.BadParameter(f"{unknown[0]} is none of: {', '.join(known)}")
    found = []
    for name in names or known:
        found.append(figures_of(name, known[name], seed, size * TIMES.get(name, 1)))
        _tell(out, found[-1])
    out.print(_table(found))
    defects = sum(each.found for each in found)
    out.print(f"Seed {seed}, size {size}: {defects or 'no'} defect{'' if defects == 1 else 's'}.")
    raise SystemExit(1 if defects else 0)


def _tell(out: Console, figures: Figures) -> None:
    for defect in figures.defects:
        out.print(f"defect: {figures.name}: {defect.what}", f"  with {defect.given}", sep="\n", style="red")
    if figures.found > len(figures.defects):
        out.print(f"  and {figures.found - len(figures.defects)} more of this run", style="red")


def _table(found: Sequence[Figures]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("run", "inputs", "accepted", "refused", "defects", "seconds", "slowest"):
        table.add_column(heading, justify="left" if heading == "run" else "right", no_wrap=True)
    table.add_column("slowest input", overflow="ellipsis", no_wrap=True, max_width=50)
    for each in found:
        counts = (each.tried, each.accepted, each.refused, each.found)
        table.add_row(each.name, *map(str, counts), f"{each.seconds:.1f}", f"{each.slowest:.2f}", each.slow)
    return table


if __name__ == "__main__":
    main()
