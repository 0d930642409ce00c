"""The command line (design §8). Parses words, calls one thing, shows what came of it; decides nothing.

Everything heavy is imported inside the command that needs it, so that `reconcile --help` answers at once.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.errors import ReconcilerError, UnsafeError, UsageError

if TYPE_CHECKING:
    from reconciler.cycle import Cycle
    from reconciler.display import Program
    from reconciler.result import PassResult
    from reconciler.sandbox.supervisor import Sandbox

FAILED, WRONG, UNSAFE, CHANGES = 1, 2, 3, 10
COLLECTOR_THRESHOLDS = (50_000, 10, 10)
EPILOG = """\b
Try it without any setting:      reconcile --once --wait 3m --sandbox
See where every project stands:  reconcile status --sandbox

Exit codes: 0 nothing is wrong (waiting for people is not wrong), 1 a project failed or a system could not be
read, 2 wrong usage or configuration, 3 refused as unsafe, 10 `plan --detailed-exitcode` found changes.
"""
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


@click.group(
    invoke_without_command=True, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option("--once", is_flag=True, help="Do one pass and stop.")
@click.option(
    "--wait", type=DurationType(), help="With --once: go on until only people are awaited, e.g. 10m."
)
@format_option("text", "json")
@click.option("--verbose", "-v", is_flag=True, help="Log every step to standard error.")
@common
@click.version_option(package_name="mesh-six-reconciler")
@click.pass_context
def reconcile(
    context: click.Context,
    *,
    once: bool,
    wait: timedelta | None,
    form: str,
    verbose: bool,
    config: Path | None,
    sandbox: bool,
) -> None:
    """Make GitHub, Vault, Postgres, S3, LiteLLM and Argo CD match the files in projects/.

    Without a command it runs on its schedule until it is stopped; with --once it does one pass.
    """
    import logging

    from reconciler.logs import configure_logs

    command = context.invoked_subcommand
    usual = logging.WARNING if once or command else logging.INFO
    configure_logs(logging.DEBUG if verbose else usual)
    if command:
        if once or wait or config or sandbox:
            raise click.UsageError(f"options go behind the command: reconcile {command} …")
        return
    if wait and not once:
        raise click.UsageError("--wait goes with --once")
    from reconciler.display import Program
    from reconciler.loop import run_once
    from reconciler.progress import progress
    from reconciler.schedule import run_forever

    cycle = _cycle(config, sandbox=sandbox, merge=True)
    if not once:
        sys.exit(run_forever(cycle))
    with progress() as announce:
        result = run_once(cycle, wait=wait, announce=announce)
    _show(result, form, Program.called(sandbox=sandbox, config=config), sandbox=sandbox)
    sys.exit(result.exit_code)


@reconcile.command()
@click.argument("slugs", nargs=-1, metavar="[SLUG]...")
@format_option("text", "json", "markdown")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 10 when there are changes.")
@common
def plan(
    *, slugs: tuple[str, ...], form: str, detailed_exitcode: bool, config: Path | None, sandbox: bool
) -> None:
    """Show what a pass would change. Writes nothing anywhere."""
    from reconciler import display, plan_view
    from reconciler.display import Program
    from reconciler.progress import LOOKING, progress

    cycle = _cycle(config, sandbox=sandbox)
    with progress() as announce:
        announce(LOOKING)
        look = cycle.look(only=slugs)
    if form == "json":
        click.echo(plan_view.plan_json(look))
    elif form == "markdown":
        click.echo(plan_view.plan_markdown(look))
    else:
        plan_view.plan_text(display.console(), look)
    if sandbox:
        _tell_unmerged(Program.called(sandbox=True))
    if look.exit_code:
        sys.exit(look.exit_code)
    sys.exit(CHANGES if detailed_exitcode and look.plan.changes else 0)


@reconcile.command()
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
def validate(files: tuple[Path, ...]) -> None:
    """Check project files offline, without any secret. Default: all below ./projects."""
    from reconciler.validation import validate_files

    folder = PROJECTS
    chosen = files or tuple(
        sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".yaml", ".yml"})
    )
    if not chosen and not folder.is_dir():
        raise UsageError("no file to check", remedy="name files, or run it where projects/ is")
    errors = validate_files(chosen)
    for error in errors:
        click.echo(f"error: {error}", err=True)
    if errors:
        sys.exit(WRONG)
    click.echo(f"{len(chosen)} file{'' if len(chosen) == 1 else 's'} valid")


@reconcile.command()
@click.argument("slug", required=False)
@format_option("text", "json")
@click.option("--watch", is_flag=True, help="Show it again every two seconds, until interrupted.")
@common
def status(*, slug: str | None, form: str, watch: bool, config: Path | None, sandbox: bool) -> None:
    """Show where all projects stand, or one in full.

    It reads the status files in the config repository and asks no other system.
    """
    from reconciler.display import Program
    from reconciler.status_view import show_status

    program = Program.called(sandbox=sandbox, config=config)
    show_status(_cycle(config, sandbox=sandbox), slug, program, form=form, watch=watch)
    if sandbox and not watch:
        _tell_unmerged(program)


@reconcile.command()
@click.argument("slug")
@click.argument("tokens", type=click.File("rb"), default="-")
@click.option("--print", "only_print", is_flag=True, help="Print the sealed entry instead of committing it.")
@common
def seal(*, slug: str, tokens: Any, only_print: bool, config: Path | None, sandbox: bool) -> None:  # noqa: ANN401
    """Hand over the tokens of a login, sealed.

    Commits them to the project's status file, encrypted for the reconciler; its next pass stores them.

    TOKENS is a file, or standard input: JSON with accessToken, refreshToken and expiresAt, or the credentials
    file of the Claude CLI as it is.
    """
    from reconciler.seal_command import seal_tokens

    if tokens.isatty():
        click.echo("Paste the tokens as JSON, then press Ctrl-D:", err=True)
    click.echo(seal_tokens(_cycle(config, sandbox=sandbox), slug, tokens.read(), only_print=only_print))


@reconcile.command()
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("reconciler.agekey"), show_default=True
)
def keygen(output: Path) -> None:
    """Make the key pair that tokens are sealed with.

    The secret half goes to a file that only you can read, and is never overwritten.
    """
    from reconciler.sealing import generate_identity, recipient_of

    identity = generate_identity()
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        remedy = "it is never overwritten; name another file with --output"
        raise UsageError(f"{output} cannot be created: {error.strerror}", remedy=remedy) from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(identity.get_secret_value() + "\n")
    click.echo(f"secret key: {output} (give it to the reconciler as RECONCILER_AGE_IDENTITY_FILE)")
    click.echo(f"public key: {recipient_of(identity)}")


@reconcile.command()
def schema() -> None:
    """Print the JSON Schema of project files."""
    import json

    from reconciler.kinds import KINDS, json_schema

    click.echo(json.dumps(json_schema(KINDS), indent=2))


@reconcile.group(name="sandbox")
def sandbox_group() -> None:
    """Start, stop and reach the servers of --sandbox."""


@sandbox_group.command()
def up() -> None:
    """Start whatever is down."""
    _sandbox().up(lambda line: click.echo(line, err=True))
    click.echo('The sandbox is up. Point other programs at it with: eval "$(reconcile sandbox env)"')


@sandbox_group.command()
def down() -> None:
    """Stop exactly what this sandbox started; its data stays."""
    _sandbox().down()
    click.echo("The sandbox is down; its data stays in .sandbox/.")


@sandbox_group.command()
def env() -> None:
    """Start what is down and print `export NAME='value'` lines."""
    import shlex

    sandbox = _sandbox()
    sandbox.up(lambda line: click.echo(line, err=True))
    for name, value in sandbox.environment().items():
        quoted = shlex.quote(value)
        click.echo(f"export {name}={quoted if quoted.startswith(chr(39)) else chr(39) + value + chr(39)}")


@sandbox_group.command()
def reset() -> None:
    """Stop the sandbox and delete everything that it keeps."""
    _sandbox().reset(lambda line: click.echo(line, err=True))
    click.echo("The sandbox is gone; the next --sandbox pass makes a new one.")


def main() -> None:
    """Run the command line; every error of ours becomes one sentence and an exit code."""
    # What a pass builds lives until its end and has few cycles; to look it through as often as Python does
    # by itself costs a fifth of the pass.
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
    try:
        sys.exit(reconcile.main(prog_name="reconcile", standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except UsageError as error:
        _fail(error, WRONG)
    except UnsafeError as error:
        _fail(error, UNSAFE)
    except ReconcilerError as error:
        _fail(error, FAILED)
    except click.Abort:
        click.echo("interrupted; the next pass goes on from what is there", err=True)
        sys.exit(130)


def _fail(error: ReconcilerError, code: int) -> None:
    click.echo(f"error: {error.message}" if not error.remedy else f"error: {error}", err=True)
    sys.exit(code)


def _sandbox() -> Sandbox:
    try:
        from reconciler.sandbox.supervisor import Sandbox
    except ImportError as error:
        remedy = "install it with: pip install 'mesh-six-reconciler[sandbox]'"
        raise UsageError(f"the sandbox is not installed: {error.name} is missing", remedy=remedy) from None
    return Sandbox(SANDBOX)


def _cycle(config: Path | None, *, sandbox: bool, merge: bool = False) -> Cycle:
    from reconciler.config import load_sections
    from reconciler.cycle import Cycle
    from reconciler.kinds import KINDS

    environment = None
    before: Callable[[], None] = lambda: None  # noqa: E731 - nothing to do outside the sandbox
    if sandbox:
        if config:
            raise click.UsageError("--sandbox brings its own configuration: leave out --config")
        servers = _sandbox()
        servers.up(lambda line: click.echo(line, err=True))
        if merge:
            before = partial(_merge, servers)
        config, environment = servers.configuration_file(), servers.environment()
        if flow := os.environ.get("OAUTH_FLOW"):
            # the one choice that the sandbox leaves open: a person's tokens, or its own issuer's device flow
            environment["OAUTH_FLOW"] = flow
    return Cycle(load_sections(config, environment), KINDS, before=before)


def _merge(servers: Sandbox) -> None:
    """Do for the sandbox what a merged pull request and a person on GitHub do for the real thing."""
    servers.merge_projects(PROJECTS)
    servers.github_repositories(PROJECTS)


def _show(result: PassResult, form: str, program: Program, *, sandbox: bool) -> None:
    from reconciler import display
    from reconciler.progress import brief

    if form == "json":
        click.echo(display.reports_json(result.reports, result.broken, result.problems, result.summary))
        return
    out = display.console()
    display.unconfigured(out, result.reports)
    if not result.busy:
        display.print_rows(out, display.rows_of(result.reports, program))
    display.troubles(out, result.reports)
    display.errors(out, (*result.broken, *result.problems))
    display.next_commands(out, result.reports, program, sandbox=sandbox)
    if result.machines_awaited and not result.problems:
        waiting = program.command("--once --wait 3m")
        out.print(f"Machines are awaited: {brief(result.machines_awaited)}. Wait with them: {waiting}")
    if not result.busy:
        out.print(result.summary)


def _tell_unmerged(program: Program) -> None:
    """Say which local files a look at the sandbox cannot see, because only a pass merges them."""
    names = _sandbox().unmerged_projects(PROJECTS)
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        merging = program.command("--once")
        click.echo(f"note: not merged yet: {', '.join(names[:3])}{more}; `{merging}` merges", err=True)
