"""The command line. Parses words, calls one thing, shows what came of it; decides nothing.

Everything heavy is imported inside the command that needs it, so that `reconcile --help` answers at once.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.faces.cli.options import (
    PROJECTS,
    DurationType,
    common,
    cycle_of,
    format_option,
    known_kinds,
    made_outside,
    sandbox_here,
    tell_unmerged,
)
from reconciler.faces.cli.removal_commands import offboard, orphans
from reconciler.faces.cli.sandbox_commands import sandbox as sandbox_group
from reconciler.faces.cli.service_commands import mcp, serve, token
from reconciler.faces.cli.terminal import say, say_json, say_markdown
from reconciler.model.errors import ReconcilerError, UnsafeError, UsageError

if TYPE_CHECKING:
    from reconciler.engine.kind import Kinds
    from reconciler.engine.result import PassResult
    from reconciler.faces.cli.display import Program

FAILED, WRONG, UNSAFE, CHANGES = 1, 2, 3, 10
COLLECTOR_THRESHOLDS = (50_000, 10, 10)
EPILOG = """\b
Try it without any setting:      reconcile --once --wait 3m --sandbox
See where everything stands:     reconcile status --sandbox

Exit codes: 0 nothing is wrong (waiting for people is not wrong), 1 something failed or a system could not be
read, 2 wrong usage or configuration, 3 refused as unsafe, 10 `plan --detailed-exitcode` found changes.
"""


@click.group(
    invoke_without_command=True, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option("--once", is_flag=True, help="Do one pass and stop.")
@click.option(
    "--wait", type=DurationType(), help="With --once: go on until only people are awaited, e.g. 10m."
)
@click.option(
    "--make-anew",
    multiple=True,
    metavar="SYSTEM",
    help="With --once: make anew what was in that system (or of that resource); it is really lost.",
)
@click.option("--mcp", "over_stdio", is_flag=True, help="The same as the command mcp.")
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
    make_anew: tuple[str, ...],
    over_stdio: bool,
    form: str,
    verbose: bool,
    config: Path | None,
    sandbox: bool,
) -> None:
    """Make the systems around mesh-six match the files in projects/.

    Without a command it runs on its schedule until it is stopped; with --once it does one pass.
    """
    import logging

    from reconciler.faces.cli.logs import configure_logs

    command = context.invoked_subcommand
    usual = logging.WARNING if once or over_stdio or command else logging.INFO
    configure_logs(logging.DEBUG if verbose else usual)
    if command:
        if once or wait or make_anew or over_stdio or config or sandbox:
            raise click.UsageError(f"options go behind the command: reconcile {command} …")
        return
    if (wait or make_anew) and not once:
        raise click.UsageError(f"{'--wait' if wait else '--make-anew'} goes with --once")
    if over_stdio:
        if once:
            raise click.UsageError("--mcp makes no pass: leave out --once")
        context.invoke(mcp, config=config, sandbox=sandbox)
        return
    from reconciler.engine.loop import run_once
    from reconciler.engine.schedule import run_forever
    from reconciler.faces.cli.display import Program
    from reconciler.faces.cli.progress import progress

    cycle = cycle_of(config, sandbox=sandbox, merge=True)
    if not once:
        sys.exit(run_forever(cycle))
    with progress() as steps:
        result = run_once(cycle, wait=wait, progress=steps, make_anew=frozenset(make_anew))
    _show(result, form, Program.called(sandbox=sandbox, config=config), sandbox=sandbox)
    sys.exit(result.exit_code)


@reconcile.command()
@click.argument("slugs", nargs=-1, metavar="[SLUG]...")
@format_option("text", "json", "markdown")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 10 when there are changes.")
@click.option(
    "--projects",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Plan as if the files of this folder were merged. With --sandbox that is ./projects.",
)
@common
def plan(
    *,
    slugs: tuple[str, ...],
    form: str,
    detailed_exitcode: bool,
    projects: Path | None,
    config: Path | None,
    sandbox: bool,
) -> None:
    """Show what a pass would change. Writes nothing anywhere."""
    from reconciler.engine.repositories import Preview
    from reconciler.engine.validation import as_merged
    from reconciler.faces.cli import plan_view
    from reconciler.faces.cli.console import console
    from reconciler.faces.cli.display import Program
    from reconciler.faces.cli.progress import progress

    cycle = cycle_of(config, sandbox=sandbox)
    if sandbox:
        projects = projects or (PROJECTS if PROJECTS.is_dir() else None)
        if projects:
            # Its GitHub has the repositories that files name, as people would have made them.
            made_outside(sandbox_here(), known_kinds(), projects)
    merged, unreadable = as_merged(projects) if projects else ({}, [])
    with progress() as steps:
        steps.looking()
        look = cycle.look(only=slugs, as_if=Preview(merged) if merged else None)
    if form == "json":
        say_json(plan_view.plan_json(look))
    elif form == "markdown":
        say_markdown(plan_view.plan_markdown(look))
    else:
        plan_view.plan_text(console(), look)
    if sandbox and projects:
        tell_unmerged(Program.called(sandbox=True), "planned as if merged", projects)
    for error in unreadable:
        say(f"error: {error}", err=True)
    if look.exit_code or unreadable:
        sys.exit(look.exit_code or FAILED)
    sys.exit(CHANGES if detailed_exitcode and look.plan.changes else 0)


@reconcile.command()
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
@click.option(
    "--config", type=click.Path(path_type=Path), help="What is allowed; default: reconciler.yaml, if any."
)
def validate(files: tuple[Path, ...], config: Path | None) -> None:
    """Check files for projects/ offline, without any secret. Default: all below ./projects.

    Where there is a reconciler.yaml, also that they ask for nothing that it does not allow.
    """
    from reconciler.engine.configuration import DEFAULT_FILE, load_sections
    from reconciler.engine.validation import files_below, validate_files

    kinds = known_kinds()
    folder = PROJECTS
    chosen = files or files_below(folder)
    if not chosen and not folder.is_dir():
        raise UsageError("no file to check", remedy="name files, or run it where projects/ is")
    sections = load_sections(config) if config or DEFAULT_FILE.exists() else None
    errors = validate_files(chosen, kinds, sections)
    for error in errors:
        say(f"error: {error}", err=True)
    if errors:
        sys.exit(WRONG)
    say(f"{len(chosen)} file{'' if len(chosen) == 1 else 's'} valid")


@reconcile.command()
@click.argument("slug", required=False)
@format_option("text", "json")
@click.option("--watch", is_flag=True, help="Show it again every two seconds, until interrupted.")
@common
def status(*, slug: str | None, form: str, watch: bool, config: Path | None, sandbox: bool) -> None:
    """Show where everything stands, or one thing in full.

    It reads the status files in the config repository and asks no other system.
    """
    from reconciler.faces.cli.display import Program
    from reconciler.faces.cli.status_view import show_status

    program = Program.called(sandbox=sandbox, config=config)
    code = show_status(cycle_of(config, sandbox=sandbox), slug, program, form=form, watch=watch)
    if sandbox and not watch:
        tell_unmerged(program, "not merged yet")
    sys.exit(code)


@reconcile.command()
@click.argument("slug")
@click.argument("secret", type=click.File("rb"), default="-")
@click.option("--print", "only_print", is_flag=True, help="Print the sealed entry instead of committing it.")
@common
def seal(*, slug: str, secret: Any, only_print: bool, config: Path | None, sandbox: bool) -> None:  # noqa: ANN401
    """Hand over a secret that the reconciler waits for, sealed: of a project, the tokens of a login.

    Commits it to the status file, encrypted for the reconciler; its next pass takes it.

    SECRET is a file, or standard input. Tokens are JSON with accessToken, refreshToken and expiresAt, or the
    credentials file of the Claude CLI as it is.
    """
    from reconciler.faces.sealed_entry import seal_for

    if secret.isatty():
        say("Paste the secret, then press Ctrl-D:", err=True)
    say(seal_for(cycle_of(config, sandbox=sandbox), slug, secret.read(), only_print=only_print))


@reconcile.command()
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("reconciler.agekey"), show_default=True
)
def keygen(output: Path) -> None:
    """Make the key pair that secrets are sealed with.

    The secret half goes to a file that only you can read, and is never overwritten.
    """
    from reconciler.crypto.sealing import generate_identity, recipient_of

    identity = generate_identity()
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        remedy = "it is never overwritten; name another file with --output"
        raise UsageError(f"{output} cannot be created: {error.strerror}", remedy=remedy) from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(identity.get_secret_value() + "\n")
    say(f"secret key: {output} (give it to the reconciler as RECONCILER_AGE_IDENTITY_FILE)")
    say(f"public key: {recipient_of(identity)}")


@reconcile.command()
def schema() -> None:
    """Print the JSON Schema of the files in projects/."""
    from reconciler.engine.schema import json_schema

    say_json(json_schema(known_kinds()))


for command in (offboard, orphans, sandbox_group, serve, mcp, token):
    reconcile.add_command(command)


def run(kinds: Callable[[], Kinds]) -> None:
    """Run the command line over these kinds; every error of ours becomes one sentence and an exit code."""
    # What a pass builds lives until its end and has few cycles; to look it through as often as Python does
    # by itself costs a fifth of the pass.
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
    try:
        try:
            _run(kinds)
        finally:
            # What is held back is written now, while somebody can still tell that it cannot be.
            click.echo(nl=False)
    except OSError as error:
        if error.filename is not None:
            raise
        _undelivered(error)


def _run(kinds: Callable[[], Kinds]) -> None:
    try:
        sys.exit(reconcile.main(prog_name="reconcile", standalone_mode=False, obj=kinds))
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
        say("interrupted; the next pass goes on from what is there", err=True)
        sys.exit(130)


def _undelivered(error: OSError) -> None:
    """Tell that standard output takes no more; a reader that has seen enough is told nothing."""
    # Else Python tries to write it once more at the very end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):
        say(f"error: the output cannot be written: {error.strerror}", err=True)
    sys.exit(FAILED)


def _fail(error: ReconcilerError, code: int) -> None:
    say(f"error: {error.message}" if not error.remedy else f"error: {error}", err=True)
    sys.exit(code)


def _show(result: PassResult, form: str, program: Program, *, sandbox: bool) -> None:
    from reconciler.faces.cli import display
    from reconciler.faces.cli.console import console
    from reconciler.faces.cli.progress import brief

    if form == "json":
        say_json(display.reports_json(result.reports, result.broken, result.problems, result.summary))
        return
    out = console()
    display.unconfigured(out, result.reports)
    if not result.busy:
        display.print_rows(out, display.rows_of(result.reports, program), known_kinds())
    display.troubles(out, result.reports)
    display.errors(out, (*result.broken, *result.problems))
    display.next_commands(out, result.reports, known_kinds(), program, sandbox=sandbox)
    if result.machines_awaited and not result.problems:
        waiting = program.command("--once --wait 3m")
        out.print(f"Machines are awaited: {brief(result.machines_awaited)}. Wait with them: {waiting}")
    if not result.busy:
        out.print(result.summary)
