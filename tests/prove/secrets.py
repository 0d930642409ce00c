"""Secrets: none is to be seen anywhere, whatever goes wrong.

The program runs as people run it, telling all that it has to tell, through every scenario, with faults and
kills in between. Then what was printed, committed, cloned, logged, stored and counted is searched for every
secret there ever was, and so are the command lines and environments of processes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import httpx

from reconciler.sandbox.faults import Fault, Kind
from reconciler.sandbox.supervisor import Sandbox
from tests.kinds.everyone import EVERYONE
from tests.prove.calls import ANY, GRAPHQL, HTTP
from tests.prove.figures import Figures
from tests.prove.ground import Ground, provable_kinds
from tests.prove.place import program
from tests.prove.world import World
from tests.support.doomed import WRITES, wait_until
from tests.support.forked import PROCESSES
from tests.support.watch import Watch, children_of

PATIENCE = 90.0
SHORT_FAULTS = 3
FAULTS: tuple[Kind, ...] = (*ANY, *HTTP, *GRAPHQL, "429")
LEAST = 10
"""Secrets that have to have been looked for, so that it means something."""


def jobs() -> list[str]:
    """Return a job for each kind."""
    return [kind.name for kind in provable_kinds()]


def run(job: str, ground: Ground) -> Figures:
    """Go through all scenarios of a kind with everything going wrong, and search."""
    figures = Figures("secrets", job, "secrets")
    with World(ground.sandbox, EVERYONE[job]) as world:
        watched = _Watched(world, ground.folder)
        for scenario in world.provable.scenarios:
            names = world.new(1)
            world.bring(names, scenario)
            world.begin(names, scenario)
            for kind in ground.some(FAULTS, SHORT_FAULTS):
                match = WRITES if ground.random.random() < 0.7 else ""
                skip = ground.random.randrange(12)
                world.sandbox.inject(Fault("*", kind, match, skip=skip, times=3, seconds=0.02))
                watched.run(f"{scenario.name} with {kind}", "--once", "-v", "--format", "json")
                world.sandbox.clear_faults()
            watched.run(f"{scenario.name}, killed", "--once", "-v", kill=ground.random.uniform(0.2, 1.0))
            watched.run(f"{scenario.name}, foreseen", "plan", "--format", "json")
            world.settle(names, scenario)
            watched.watch.learn()
        watched.serve()
        leaks = watched.watch.leaks()
        for name in sorted(watched.watch.secrets):
            found = [each for each in leaks if each.startswith(f"{name} in ")]
            figures.judge(name, [("broken", f"found{each.removeprefix(name)}") for each in found])
        if len(watched.watch.secrets) < LEAST:
            figures.fall_short("all together", [("broken", "hardly any secret was looked for")])
    return figures


class _Watched:
    """The program in processes of its own, all of which is kept."""

    def __init__(self, world: World, folder: Path) -> None:
        self._sandbox: Sandbox = world.sandbox
        self._folder = folder
        self.watch = Watch(world.sandbox, lambda: world.provable.secrets(world.systems))

    def run(self, name: str, *words: str, kill: float = PATIENCE) -> None:
        """Run the program until it ends or is killed; keep what it says and what its processes show."""
        file, until = self._folder / "said", time.monotonic() + kill
        process = self._start(words, file)
        while process.is_alive() and time.monotonic() < until:
            self._look(name, process.pid or 0)
            time.sleep(0.02)
        process.kill()
        process.join()
        self.watch.said[name] = file.read_text(encoding="utf-8", errors="replace")
        self.watch.learn()

    def serve(self) -> None:
        """Run the service, and keep what it counts."""
        file = self._folder / "said"
        process = self._start(("serve", "-v"), file)
        url = self.watch.environment["RECONCILER_URL"]
        try:
            wait_until(lambda: _answers(f"{url}/healthz"), PATIENCE)
            self._look("serve", process.pid or 0)
            for path in ("/metrics", "/readyz", "/openapi.json"):
                self.watch.said[path] = httpx.get(f"{url}{path}").text
        finally:
            process.terminate()
            process.join(PATIENCE)
            process.kill()
            process.join()
        self.watch.said["serve"] = file.read_text(encoding="utf-8", errors="replace")

    def _start(self, words: Sequence[str], file: Path) -> BaseProcess:
        arguments = (self._sandbox.configuration_file(), self._sandbox.environment(), words, file)
        process = PROCESSES.Process(target=program, args=arguments)
        process.start()
        return process

    def _look(self, name: str, process: int) -> None:
        for what, text in children_of(process).items():
            kind, _, number = what.partition(" of ")
            if int(number) != os.getpid():
                self.watch.said[f"{kind} of a process of {name} {len(text)}"] = text


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code < 500
    except httpx.HTTPError:
        return False
