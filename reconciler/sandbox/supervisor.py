"""The sandbox as a whole: starts what is down, stops what it started, and says how to reach it."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import psycopg

from reconciler.model.errors import Rejected, Unavailable, UnsafeError
from reconciler.sandbox import environment, ports, processes, repositories
from reconciler.sandbox.faults import Fault
from reconciler.sandbox.layout import Layout, SandboxState, Secrets
from reconciler.sandbox.servers.server import Server
from reconciler.sandbox.system import Site
from reconciler.sandbox.systems import systems
from reconciler.sandbox.traffic import LoggedRequest, LogReader

Report = Callable[[str], None]

_GATEWAY = "gateway"


def _server_kinds() -> list[type[Server]]:
    return [system.server for system in systems() if system.server]


class Sandbox:
    """Real servers and emulators under one directory, usually `.sandbox`; two directories share nothing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._layout = Layout(self.directory)
        self._log = LogReader(self._layout.requests)
        self._saving = threading.Lock()
        self._saying = threading.Lock()

    def up(
        self,
        report: Report = lambda line: None,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Start what is down; quick when nothing is. `report` gets a line for people about each start.

        `settings`: sections of reconciler.yaml beside those of the sandbox's own systems; None for those of
        the last time.
        """
        if self._is_foreign():
            raise UnsafeError(f"{self.directory} holds other things", remedy="name a new or empty folder")
        self._layout.make()
        with self._layout.locked():
            state = SandboxState.load(self._layout) or SandboxState(str(self.directory))
            secrets = Secrets(self._layout)
            secrets.make(environment.secret_makers())
            say = self._one_at_a_time(report)
            servers = [kind(self._layout, state, secrets, say) for kind in _server_kinds()]
            down = [server for server in servers if not self._runs(state, server.name)]
            if self._choose_ports(state, down):
                # The gateway knows the servers by their ports.
                self._stop(state, [_GATEWAY])
            self._seed()
            if settings is not None and settings != state.settings:
                state.settings = settings
                state.save(self._layout)
            environment.write(Site(self._layout, state.ports, secrets), state.settings)
            with ThreadPoolExecutor() as pool:
                started = [pool.submit(self._start_server, state, server, say) for server in down]
                if not self._runs(state, _GATEWAY):
                    started.append(pool.submit(self._start_gateway, state, say))
            for one in started:
                one.result()

    def down(self) -> None:
        """Stop exactly the processes that this sandbox started; everything it keeps stays."""
        if SandboxState.load(self._layout) is None:
            return
        with self._layout.locked():
            if state := SandboxState.load(self._layout):
                # The gateway first: nobody then sees the servers behind it half gone.
                self._stop(state, [_GATEWAY])
                self._stop(state, list(state.processes))

    def reset(self, report: Report = lambda line: None) -> None:
        """Stop it and delete everything it keeps; UnsafeError when the directory is not a sandbox."""
        if self._is_foreign():
            raise UnsafeError(
                f"{self.directory} is not a sandbox", remedy="delete it yourself if you mean to"
            )
        if not self.directory.exists():
            return
        self.down()
        with self._layout.locked():
            for path in self.directory.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name != "lock":
                    path.unlink()
        report(f"deleted what {self.directory} held")

    def clear(self) -> None:
        """Empty every system while the servers stay up, as if freshly made; drops all faults too.

        Whoever is still connected to PostgreSQL is cut off.
        """
        state, secrets = self._state(), Secrets(self._layout)
        self._seed(anew=True)
        shutil.rmtree(self._layout.work, ignore_errors=True)
        with ThreadPoolExecutor() as pool:
            jobs = [pool.submit(kind(self._layout, state, secrets).clear) for kind in _server_kinds()]
            jobs.append(pool.submit(self._control, "POST", "/clear"))
        for job in jobs:
            job.result()

    def environment(self) -> dict[str, str]:
        """Return the variables that point any program at this sandbox."""
        return environment.environment(Site(self._layout, self._state().ports, Secrets(self._layout)))

    def configuration_file(self) -> Path:
        """Return the path of the sandbox's own reconciler.yaml: public settings only."""
        return self._layout[environment.FILE]

    def mark(self) -> int:
        """Return the number of the last request so far, to be given to `requests`."""
        requests = self._log.since(0)
        return requests[-1].number if requests else 0

    def requests(self, since: int = 0) -> list[LoggedRequest]:
        """Return the requests after that mark, oldest first."""
        return self._log.since(since)

    def inject(self, fault: Fault) -> None:
        """Make matching requests fail from now on."""
        self._control("POST", "/faults", asdict(fault))

    def clear_faults(self) -> None:
        """Make everything work again."""
        self._control("DELETE", "/faults")

    def emulator(self, system: str, method: str, path: str, body: Any = None) -> Any:  # noqa: ANN401 - JSON
        """Call an emulator directly, past log and faults; returns the decoded answer."""
        return self._control(method, f"/emulators/{system}/{path.lstrip('/')}", body)

    def merge_projects(self, directory: Path) -> str | None:
        """Commit to the config repository what is new, changed or gone in that folder, as if merged.

        Returns the commit, or None when nothing changed.
        """
        return repositories.merge_projects(self._layout.config, directory)

    def unmerged_projects(self, directory: Path) -> list[str]:
        """Return the files of that folder which the config repository lacks or has otherwise."""
        return repositories.unmerged_projects(self._layout.config, directory)

    def local_files(self, directory: Path) -> list[bytes]:
        """Return the contents of that folder's YAML files, of whatever kind and however broken."""
        return repositories.local_files(directory)

    def merged_files(self) -> list[bytes]:
        """Return the contents of the YAML files that are merged already."""
        return repositories.merged_files(self._layout.config)

    def _control(self, method: str, path: str, body: Any = None) -> Any:  # noqa: ANN401 - JSON as it comes
        """Ask the gateway; returns the decoded answer, None when it is empty."""
        token = Secrets(self._layout)["control_token"]
        url = f"http://127.0.0.1:{self._state().ports['control']}{path}"
        headers = {"x-control-token": token, "content-type": "application/json"}
        try:
            # Plain HTTP: certificates, which take 40 ms to load, are of no use.
            with httpx.Client(headers=headers, timeout=30, trust_env=False, verify=False) as client:  # noqa: S501
                answer = client.request(method, url, json=body)
        except httpx.HTTPError as error:
            raise Unavailable(
                "sandbox", "its gateway does not answer", remedy="reconcile sandbox up"
            ) from error
        if answer.status_code >= 400:
            raise Rejected("sandbox", f"{method} {path} answered {answer.status_code}")
        return answer.json() if answer.content and "json" in answer.headers.get("content-type", "") else None

    def _is_foreign(self) -> bool:
        """Whether the folder holds something and is no sandbox; UnsafeError for another program's state."""
        if SandboxState.load(self._layout) is not None or not self.directory.exists():
            return False
        # A start that was interrupted early leaves a lock, and so does a reset.
        return any(self.directory.iterdir()) and not self._layout["lock"].exists()

    def _state(self) -> SandboxState:
        state = SandboxState.load(self._layout)
        if state is None:
            raise Unavailable("sandbox", "it was never started", remedy="reconcile sandbox up")
        return state

    def _choose_ports(self, state: SandboxState, down: list[Server]) -> bool:
        """Choose ports for what has none, or whose port a stranger took; says whether any changed."""
        offsets = {name: server.twin_offset for server in down for name in server.ports}
        if environment.SERVE not in state.ports:
            # Nothing of the sandbox listens there: it is for `reconcile serve --sandbox`.
            offsets[environment.SERVE] = 0
        if not self._runs(state, _GATEWAY):
            offsets |= dict.fromkeys((*(system.name for system in systems()), "control"), 0)
        before = dict(state.ports)
        for name, offset in offsets.items():
            port = state.ports.get(name)
            wanted = [] if port is None else [port, port + offset]
            if not wanted or not all(ports.is_free(one) for one in wanted):
                taken = set(state.ports.values())
                state.ports[name] = ports.choose(taken, twin_offset=offset)
        if state.ports != before:
            state.save(self._layout)
        return state.ports != before

    def _seed(self, *, anew: bool = False) -> None:
        for path, fixture in ((self._layout.manifests, "manifests"), (self._layout.config, "config")):
            if anew or not path.exists():
                repositories.seed(path, fixture)

    def _start_server(self, state: SandboxState, server: Server, report: Report) -> None:
        report(f"starting {server.title}")
        begun = time.monotonic()
        try:
            process = server.start()
            self._remember(state, server.name, process)
            server.prepare(process)
        except (OSError, httpx.HTTPError, psycopg.Error) as error:
            said = f"cannot be started: {type(error).__name__}"
            raise Unavailable(server.name, said, remedy=f"see {server.log}") from error
        report(f"{server.title} is up ({time.monotonic() - begun:.1f} s)")

    def _start_gateway(self, state: SandboxState, report: Report) -> None:
        begun = time.monotonic()
        command = [sys.executable, "-m", "reconciler.sandbox.gateway", "--directory", str(self.directory)]
        log = self._layout["logs"] / "gateway.log"
        process = processes.start(command, directory=self.directory, log=log)
        self._remember(state, _GATEWAY, process)
        while not self._gateway_answers():
            if process.find() is None or time.monotonic() - begun > 30:
                raise Unavailable("sandbox", "its gateway does not answer", remedy=f"see {log}")
            time.sleep(0.03)
        report(f"the gateway with the emulators is up ({time.monotonic() - begun:.1f} s)")

    def _gateway_answers(self) -> bool:
        try:
            self._control("GET", "/health")
        except Unavailable:
            return False
        return True

    def _runs(self, state: SandboxState, name: str) -> bool:
        return name in state.processes and state.processes[name].find() is not None

    def _one_at_a_time(self, report: Report) -> Report:
        def say(line: str) -> None:
            with self._saying:
                report(line)

        return say

    def _remember(self, state: SandboxState, name: str, process: processes.Process) -> None:
        with self._saving:
            state.processes[name] = process
            state.save(self._layout)

    def _stop(self, state: SandboxState, names: list[str]) -> None:
        processes.stop(state.processes[name] for name in names if name in state.processes)
        for name in names:
            state.processes.pop(name, None)
        state.save(self._layout)
