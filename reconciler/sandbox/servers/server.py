"""What the supervisor asks of a server."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Literal

from reconciler.model.errors import ConfigurationError, Unavailable
from reconciler.sandbox.layout import Layout, SandboxState, Secrets
from reconciler.sandbox.processes import Process

_PATIENCE_SECONDS = 30.0


class Server(ABC):
    """One server of one sandbox."""

    name: ClassVar[str]
    title: ClassVar[str]
    """As people call it."""
    ports: ClassVar[tuple[str, ...]]
    """The names of the ports it listens on itself."""
    twin_offset: ClassVar[int] = 0
    """Not 0: for every port it also listens on port + this."""
    protocol: ClassVar[Literal["http", "postgres"]] = "http"
    """What clients speak to it; the gateway has a front for each."""
    harmless: ClassVar[str] = r"(?!)"
    """A pattern of the HTTP paths at which nothing is kept, whatever the method; by default of none."""

    def __init__(
        self,
        layout: Layout,
        state: SandboxState,
        secrets: Secrets,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._layout = layout
        self._state = state
        self._secrets = secrets
        self._report = report

    @abstractmethod
    def start(self) -> Process:
        """Start it; it need not answer yet."""

    @abstractmethod
    def prepare(self, process: Process) -> None:
        """Wait until it answers and make what a fresh sandbox has; safe to repeat."""

    @abstractmethod
    def clear(self) -> None:
        """Empty it, as if freshly made."""

    def port(self, name: str) -> int:
        """Return the port of that name."""
        return self._state.ports[name]

    def await_answer(self, process: Process, answers: Callable[[], bool]) -> None:
        """Return once it answers; Unavailable when it ended or takes too long."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not answers():
            if process.find() is None:
                raise Unavailable(self.name, "ended right after its start", remedy=f"see {self.log}")
            if time.monotonic() > deadline:
                raise Unavailable(self.name, "does not answer", remedy=f"see {self.log}")
            time.sleep(0.03)

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self._layout["logs"] / f"{self.name}.log"


def package(name: str) -> Path:
    """Return the folder of an installed package, not imported; ConfigurationError when it is missing."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            f"the sandbox needs {name}", remedy='pip install "mesh-six-reconciler[sandbox]"'
        )
    return Path(spec.origin).parent
