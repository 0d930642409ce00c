"""`reconcile serve`, `reconcile mcp` and `reconcile token`: the service and who may use it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import click

from reconciler.faces.cli.options import common, cycle_of
from reconciler.faces.cli.terminal import say


@click.command()
@click.option("--verbose", "-v", is_flag=True, help="Log every step.")
@common
def serve(*, verbose: bool, config: Path | None, sandbox: bool) -> None:
    """Run the schedule, the HTTP API and the MCP server, until stopped.

    Where it listens, and who may use it, is in section `serve` of the configuration.
    """
    from reconciler.faces.cli.logs import configure_logs
    from reconciler.faces.http.run import serve

    configure_logs(logging.DEBUG if verbose else logging.INFO)
    serve(cycle_of(config, sandbox=sandbox, merge=True))


@click.command()
@common
def mcp(*, config: Path | None, sandbox: bool) -> None:
    """Serve MCP on standard input and output, for one client.

    It has the rights of whoever runs it, and makes no passes.
    """
    from reconciler.faces.http.run import serve_stdio

    serve_stdio(cycle_of(config, sandbox=sandbox))


@click.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["read", "write", "submit-tokens"]),
    default=("read",),
    show_default=True,
    help="What it may do; may be given several times.",
)
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), help="Its last day.")
def token(*, name: str, scopes: tuple[str, ...], expires: datetime | None) -> None:
    """Make a bearer token for the API.

    Prints the token, which is kept nowhere, and the entry of `serve.tokens` that lets it in.
    """
    import json

    from pydantic import ValidationError

    from reconciler.faces.access import fingerprint, new_token
    from reconciler.model.errors import UsageError
    from reconciler.settings.program import ApiToken

    if expires and expires.date() < datetime.now(UTC).date():
        raise UsageError(f"{expires.date()} is past", remedy="name a day to come with --expires")
    made = new_token()
    values = {"name": name, "scopes": scopes, "sha256": fingerprint(made)}
    try:
        entry = ApiToken(**values, expires=expires.date() if expires else None)
    except ValidationError as error:
        remedy = "write lower-case letters, digits, dots and hyphens"
        raise UsageError(f"{name!r} is no name for a token", remedy=remedy) from error
    say(made.get_secret_value())
    say("Give it to the caller; it cannot be shown again. Entry of serve.tokens:", err=True)
    say(f"  - {json.dumps(entry.model_dump(mode='json', exclude_none=True))}", err=True)
