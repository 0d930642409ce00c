"""`reconcile serve` and `reconcile mcp`: wires the service up and runs it until it is stopped."""

from __future__ import annotations

import secrets
import socket

import anyio
import structlog
import uvicorn
from pydantic import SecretStr

from reconciler.config import ServeSettings
from reconciler.cycle import Cycle
from reconciler.errors import ConfigurationError
from reconciler.gitops.settings import config_location
from reconciler.result import PassResult
from reconciler.schedule import Schedule
from reconciler.service import tools
from reconciler.service.access import Access
from reconciler.service.app import Service, application
from reconciler.service.connections import ImpatientProtocol
from reconciler.service.onboarding import Onboarding
from reconciler.service.proposals import Proposals
from reconciler.service.pushes import Pushes
from reconciler.stopping import Stop

log = structlog.get_logger()

MOST_AT_ONCE = 500
"""Connections and requests; what is above is told 503, so that no crowd takes the memory of the passes."""
GRACE = 10
"""Seconds for requests under way at the end; a pass under way has as long as its change takes."""


def serve(cycle: Cycle) -> None:
    """Listen until SIGTERM or SIGINT; then end requests, and the pass under way between two changes."""
    settings = cycle.sections.get(ServeSettings)
    if not settings.tokens:
        log.warning("serve.tokens is empty, so nobody can use the API", remedy="reconcile token makes one")
    app = application(service_of(cycle, settings))
    config = uvicorn.Config(
        app,
        http=ImpatientProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=GRACE,
        limit_concurrency=MOST_AT_ONCE,
    )
    # First of all: what cannot listen must not begin a pass.
    with _listener(settings.host, settings.port) as listener:
        log.info("listening", host=settings.host, port=listener.getsockname()[1])
        # uvicorn raises the signal that stopped it once more at its end; that is no reason to die of it.
        with Stop().on_signals():
            uvicorn.Server(config).run(sockets=[listener])


def _listener(host: str, port: int) -> socket.socket:
    # Named as TCP, else asyncio leaves Nagle's algorithm on and answers wait 40 ms.
    made = socket.socket(
        socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen()
    except OSError as error:
        made.close()
        raise ConfigurationError(
            f"cannot listen on {host}, port {port}: {error.strerror}",
            remedy="set serve.host and serve.port to an address of this machine that is free",
        ) from error
    return made


def service_of(cycle: Cycle, settings: ServeSettings) -> Service:
    """Return the parts of the service, wired to one another; nothing runs yet."""

    def ended(_: PassResult) -> None:
        onboarding.look_again()

    schedule = Schedule(cycle, ended=ended)
    onboarding = Onboarding(cycle.sections, cycle.kinds, wake=schedule.wake)

    def secret() -> SecretStr:
        # One that was taken away meanwhile fits no signature.
        return cycle.sections.get(ServeSettings).webhook_secret or SecretStr(secrets.token_hex())

    if settings.onboard_by == "pull-request":
        try:
            Proposals(cycle.sections, cycle.kinds).repository()
        except ConfigurationError as error:
            log.warning("POST /onboard cannot be used", reason=error.message, remedy=error.remedy)
    branch = config_location(cycle.sections).branch
    return Service(
        settings=settings,
        onboarding=onboarding,
        schedule=schedule,
        access=Access(settings.tokens),
        pushes=Pushes(secret, branch) if settings.webhook_secret else None,
    )


def serve_stdio(cycle: Cycle) -> None:
    """Serve MCP to one client on standard input and output; the passes are somebody else's."""
    config_location(cycle.sections)  # else its client would only learn with its first call that there is none
    onboarding = Onboarding(cycle.sections, cycle.kinds)
    try:
        anyio.run(tools.serve_stdio, onboarding)
    finally:
        onboarding.close()
