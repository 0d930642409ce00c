"""What lies where under a sandbox's directory, and what it remembers between runs.

Ports and processes are in `state.json`, secrets in `secrets.json`, which only its owner may read.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from reconciler.model.errors import UnsafeError
from reconciler.sandbox.processes import Process

KIND = "mesh-six reconciler sandbox"


@dataclass(frozen=True)
class Layout:
    """The paths of one sandbox."""

    directory: Path

    def __getitem__(self, name: str) -> Path:
        return self.directory / name

    @property
    def requests(self) -> Path:
        """The request log."""
        return self["requests.jsonl"]

    @property
    def manifests(self) -> Path:
        """The bare repository of the cluster's manifests."""
        return self["git"] / "manifests.git"

    @property
    def config(self) -> Path:
        """The bare repository of project and status files."""
        return self["git"] / "config.git"

    @property
    def work(self) -> Path:
        """The reconciler's own clones."""
        return self["work"]

    def store(self, system: str) -> Path:
        """Return the database of an emulator."""
        return self["emulators"] / f"{system}.db"

    def make(self) -> None:
        """Make the directory; closed to others, except for passing through to the data of PostgreSQL."""
        self.directory.mkdir(parents=True, exist_ok=True)
        # First of all: its lock tells another start at the same moment what this folder is.
        self["lock"].touch()
        self.directory.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for name in ("emulators", "logs", "git"):
            self[name].mkdir(mode=0o700, exist_ok=True)
        self[".gitignore"].write_text("*\n", encoding="utf-8")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from starting, stopping or wiping this sandbox meanwhile."""
        with self["lock"].open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


@dataclass
class SandboxState:
    """What a sandbox remembers: every name's port, the processes it started, and settings it was given."""

    directory: str
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    kind: str = KIND

    @classmethod
    def load(cls, layout: Layout) -> SandboxState | None:
        """Return what is remembered there; None when this is no sandbox yet.

        A copy of another sandbox's directory remembers that one's ports and processes; it gets its own.
        """
        try:
            document = json.loads(layout["state.json"].read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:
            document = {}
        if not isinstance(document, dict) or document.get("kind") != KIND:
            raise UnsafeError(
                f"{layout.directory} holds a state.json that is not a sandbox's",
                remedy="move it away or name another directory",
            )
        if document["directory"] != str(layout.directory):
            return cls(str(layout.directory))
        processes = {name: Process(**process) for name, process in document["processes"].items()}
        return cls(document["directory"], document["ports"], processes, document.get("settings", {}))

    def save(self, layout: Layout) -> None:
        """Write it down, whole or not at all."""
        write_private(layout["state.json"], json.dumps(asdict(self), indent=2) + "\n")


class Secrets:
    """The sandbox's own secrets, made once."""

    def __init__(self, layout: Layout) -> None:
        self._path = layout["secrets.json"]
        self._values: dict[str, str] = {}
        if self._path.exists():
            self._values = json.loads(self._path.read_text(encoding="utf-8"))

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def put(self, **values: str) -> None:
        """Keep these."""
        self._values |= values
        write_private(self._path, json.dumps(self._values, indent=2) + "\n")

    def make(self, makers: Mapping[str, Callable[[], str]]) -> None:
        """Make those that are not there yet."""
        missing = {name: maker() for name, maker in makers.items() if name not in self}
        if missing:
            self.put(**missing)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)
