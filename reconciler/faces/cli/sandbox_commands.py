"""`reconcile sandbox`: start, stop and reach the servers of --sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reconciler.faces.cli.options import known_kinds, sandbox_here
from reconciler.faces.cli.terminal import say

if TYPE_CHECKING:
    from reconciler.sandbox.supervisor import Sandbox


def _up(servers: Sandbox) -> None:
    servers.up(lambda line: say(line, err=True), known_kinds().sandbox_settings)


@click.group()
def sandbox() -> None:
    """Start, stop and reach the servers of --sandbox."""


@sandbox.command()
def up() -> None:
    """Start whatever is down."""
    _up(sandbox_here())
    say('The sandbox is up. Point other programs at it with: eval "$(reconcile sandbox env)"')


@sandbox.command()
def down() -> None:
    """Stop exactly what this sandbox started; its data stays."""
    sandbox_here().down()
    say("The sandbox is down; its data stays in .sandbox/.")


@sandbox.command()
def env() -> None:
    """Start what is down and print `export NAME='value'` lines."""
    import shlex

    servers = sandbox_here()
    _up(servers)
    for name, value in servers.environment().items():
        quoted = shlex.quote(value)
        say(f"export {name}={quoted if quoted.startswith(chr(39)) else chr(39) + value + chr(39)}")


@sandbox.command()
def reset() -> None:
    """Stop the sandbox and delete everything that it keeps."""
    sandbox_here().reset(lambda line: say(line, err=True))
    say("The sandbox is gone; the next --sandbox pass makes a new one.")
