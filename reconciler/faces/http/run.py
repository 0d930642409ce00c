"""`reconcile serve` and `reconcile mcp`: wires the service up and runs it until it is stopped."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Mapping

import anyio
import structlog
import uvicorn
from pydantic import SecretStr

from reconciler.engine.cycle import Cycle
from reconciler.engine.result import PassResult
from reconciler.engine.schedule import Schedule
from reconciler.engine.stopping import Stop
from reconciler.faces.access import Access
from reconciler.faces.catalogue import Catalogue
from reconciler.faces.desk import Desk
from reconciler.faces.http.app import Service, all_tools, application
from reconciler.faces.http.connections import ImpatientProtocol
from reconciler.faces.http.pushes import Pushes
from reconciler.faces.kind_face import KindFace, face_of
from reconciler.faces.mcp.mcp_server import serve_stdio as serve_tools
from reconciler.faces.proposals import Proposals
from reconciler.git.locations import config_location
from reconciler.model.errors import ConfigurationError
from reconciler.settings.program import ServeSettings

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
        desk.catalogue.look_again()

    schedule = Schedule(cycle, ended=ended)
    faces = faces_of(cycle)
    desk = desk_of(cycle, faces, wake=schedule.wake)

    def secret() -> SecretStr:
        # One that was taken away meanwhile fits no signature.
        return cycle.sections.get(ServeSettings).webhook_secret or SecretStr(secrets.token_hex())

    if settings.onboard_by == "pull-request":
        try:
            Proposals(cycle.sections, cycle.kinds).repository()
        except ConfigurationError as error:
            log.warning("nothing can be asked for over the API", reason=error.message, remedy=error.remedy)
    branch = config_location(cycle.sections).branch
    return Service(
        settings=settings,
        desk=desk,
        faces=list(faces.values()),
        schedule=schedule,
        access=Access(settings.tokens),
        pushes=Pushes(secret, branch) if settings.webhook_secret else None,
    )


def serve_stdio(cycle: Cycle) -> None:
    """Serve MCP to one client on standard input and output; the passes are somebody else's."""
    config_location(cycle.sections)  # else its client would only learn with its first call that there is none
    faces = faces_of(cycle)
    desk = desk_of(cycle, faces)
    try:
        anyio.run(serve_tools, all_tools(desk, faces.values()))
    finally:
        desk.catalogue.close()


def faces_of(cycle: Cycle) -> dict[str, KindFace]:
    """Return what kinds show of their own, by kind."""
    return {name: face for name, kind in cycle.kinds.items() if (face := face_of(kind))}


def desk_of(
    cycle: Cycle, faces: Mapping[str, KindFace], wake: Callable[[str], None] = lambda reason: None
) -> Desk:
    """Return where callers ask, over the configuration of these passes."""
    by_pull_request = cycle.sections.get(ServeSettings).onboard_by == "pull-request"
    proposals = Proposals(cycle.sections, cycle.kinds) if by_pull_request else None
    beside = {name: face.beside for name, face in faces.items() if face.beside}
    catalogue = Catalogue(cycle.sections, cycle.kinds, proposals=proposals, beside=beside)
    return Desk(cycle.sections, catalogue, proposals=proposals, wake=wake)
