"""What one system of the sandbox declares of itself: how it is run, and how programs are pointed at it.

Every package of `emulators` and every server of `servers` declares one `SYSTEM`, and systems.py finds it. The
ports, the secrets, the environment, reconciler.yaml and the gateway follow from that. This module knows no
system by name. It brings no web framework along: that is for the gateway's process alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reconciler.sandbox.layout import Layout, Secrets

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from reconciler.sandbox.emulators.store import Store
    from reconciler.sandbox.servers.server import Server


@dataclass(frozen=True)
class Site:
    """One sandbox, as far as declarations look at it: where it keeps things, its ports and its secrets."""

    layout: Layout
    ports: Mapping[str, int]
    secrets: Secrets

    def url(self, name: str) -> str:
        """Return the address of what listens at the port of that name."""
        return f"http://127.0.0.1:{self.ports[name]}"


@dataclass(frozen=True)
class System:
    """One system of the sandbox: an emulator (`app`), or a real server behind the gateway (`server`)."""

    name: str
    """Names its port, its requests in the log, its faults and its store."""
    environment: Callable[[Site], Mapping[str, str]]
    """The environment variables that point programs at it."""
    sections: Callable[[Site], Mapping[str, Mapping[str, Any]]]
    """What reconciler.yaml says of it, by section; no secret is in there."""
    secrets: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    """The secrets that the sandbox chooses for it, by name, and how each is made."""
    app: Callable[[Store, Site], Starlette] | None = None
    """Makes the emulator over its store; called by the gateway, and again whenever the sandbox is emptied."""
    folders: tuple[str, ...] = ()
    """Folders of the sandbox that an emulator keeps beside its store; emptied with it."""
    server: type[Server] | None = None
    """How the real server is run. The gateway stands before its port `<name>-server`."""

    def __post_init__(self) -> None:
        if (self.app is None) == (self.server is None):
            raise ValueError(f"{self.name} is either an emulator or a server")
