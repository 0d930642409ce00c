"""Options that several commands share, and what they stand for: a configuration, or the sandbox's."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.faces.cli.terminal import say
from reconciler.model.errors import UsageError

if TYPE_CHECKING:
    from reconciler.engine.cycle import Cycle
    from reconciler.engine.kind import Kinds
    from reconciler.faces.cli.display import Program
    from reconciler.sandbox.supervisor import Sandbox

SANDBOX, PROJECTS = Path(".sandbox"), Path("projects")


class DurationType(click.ParamType[timedelta]):
    """A length of time on the command line."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return it, or fail with what it should look like."""
        from reconciler.model.duration import parse_duration

        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that every command takes which looks at a configuration."""
    config = click.option(
        "--config", type=click.Path(path_type=Path), help="Configuration file (default: ./reconciler.yaml)."
    )
    sandbox = click.option("--sandbox", is_flag=True, help="Use the servers under ./.sandbox; nothing else.")
    return config(sandbox(command))


def format_option(*formats: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --format with these choices, the first being the default."""
    return click.option("--format", "form", type=click.Choice(formats), default=formats[0], show_default=True)


def sandbox_here() -> Sandbox:
    """Return the sandbox of the working directory; UsageError when it is not installed."""
    try:
        from reconciler.sandbox.supervisor import Sandbox
    except ImportError as error:
        remedy = "install it with: pip install 'mesh-six-reconciler[sandbox]'"
        raise UsageError(f"the sandbox is not installed: {error.name} is missing", remedy=remedy) from None
    return Sandbox(SANDBOX)


def cycle_of(config: Path | None, *, sandbox: bool, merge: bool = False) -> Cycle:
    """Return passes over the configuration that the options name; `merge` projects/ before each of them."""
    from reconciler.engine.configuration import load_sections
    from reconciler.engine.cycle import Cycle

    kinds = known_kinds()
    environment = None
    before: Callable[[], None] = lambda: None  # noqa: E731 - nothing to do outside the sandbox
    if sandbox:
        if config:
            raise click.UsageError("--sandbox brings its own configuration: leave out --config")
        servers = sandbox_here()
        servers.up(lambda line: say(line, err=True), kinds.sandbox_settings)
        if merge:
            before = partial(_merge, servers, kinds)
        config, environment = servers.configuration_file(), servers.environment()
        if flow := os.environ.get("OAUTH_FLOW"):
            # the one choice that the sandbox leaves open: a person's tokens, or its own issuer's device flow
            environment["OAUTH_FLOW"] = flow
    return Cycle(load_sections(config, environment), kinds, before=before)


def known_kinds() -> Kinds:
    """Return the kinds that the program was started with."""
    made: Callable[[], Kinds] = click.get_current_context().find_root().obj
    return made()


def _merge(servers: Sandbox, kinds: Kinds) -> None:
    """Do for the sandbox what a merged pull request and a person on GitHub do for the real thing."""
    servers.merge_projects(PROJECTS)
    made_outside(servers, kinds)


def made_outside(servers: Sandbox, kinds: Kinds, directory: Path | None = None) -> None:
    """Make in the sandbox what people have made elsewhere before they write a file.

    For the files in that folder; without one, for those that are merged.
    """
    files = servers.local_files(directory) if directory else servers.merged_files()
    for kind in kinds.values():
        if kind.made_outside:
            kind.made_outside(servers, files)


def tell_unmerged(program: Program, what: str, folder: Path = PROJECTS) -> None:
    """Name the local files that are not in the sandbox yet, because only a pass merges them."""
    names = sandbox_here().unmerged_projects(folder)
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        merging = program.command("--once")
        say(f"note: {what}: {', '.join(names[:3])}{more}; `{merging}` merges", err=True)
