"""Time and place: clocks that jump, full disks, systems that go away in the middle, being told to stop.

Whatever happens to a pass, it ends by itself and says what is wrong; and when all is well again, the next
ones leave what nobody disturbed left.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import httpx

from reconciler.sandbox import processes
from reconciler.sandbox.faults import Fault
from reconciler.sandbox.layout import SandboxState, Secrets
from tests.kinds.everyone import EVERYONE
from tests.prove.apart import Told, passed
from tests.prove.figures import Figures
from tests.prove.ground import Ground, provable_kinds
from tests.prove.judging import Wrong, judge, unlike
from tests.prove.world import World, unforeseen
from tests.support.doomed import WRITES, running_pass, wait_until
from tests.support.evidence import Made
from tests.support.forked import PROCESSES

JUMPS = {"forward": timedelta(days=400), "backward": timedelta(days=-400)}
FILE_SIZES = (0, 100, 1_000, 4_000, 16_000, 64_000)
DISKS = ("40k", "64k", "100k", "160k", "256k", "400k")
DESCRIPTORS = (16, 20, 24, 28, 32, 40, 48, 64)
MOMENTS = 8
"""Moments in the middle of a pass at which something happens."""
MOST_OF_A_SHORT_RUN = 2
PATIENCE = 60.0
HELD = 1.0
"""Seconds for which a pass is held up at a write, while something happens."""


def jobs() -> list[str]:
    """Return the jobs of each kind that this machine has the rights for."""
    names = [*JOBS, *(["disks"] if _can_mount() else [])]
    return [f"{kind.name}/{name}" for kind in provable_kinds() for name in names]


def run(job: str, ground: Ground) -> Figures:
    """Do one of the jobs."""
    kind, _, name = job.partition("/")
    figures = Figures("place", job, "conditions")
    with World(ground.sandbox, EVERYONE[kind]) as world:
        {**JOBS, "disks": _disks}[name](world, ground, figures)
    return figures


class _Trial:
    """Items that are onboarded under some condition, one item for each."""

    def __init__(self, world: World, figures: Figures) -> None:
        self.world = world
        self._figures = figures
        self._scenario = world.provable.scenarios[0]
        (undisturbed,) = world.new(1)
        world.begin([undisturbed], self._scenario)
        assert world.settle([undisturbed], self._scenario) == []
        self._model = world.inventory(undisturbed)
        self._points: dict[str, str] = {}
        self._wrong: dict[str, list[Wrong]] = {}

    def item(self, point: str) -> str:
        """Return a new item's slug, for which there is all to do."""
        (name,) = self.world.new(1)
        self.world.begin([name], self._scenario)
        self._points[name] = point
        self._wrong[name] = []
        self._last = name
        return str(self.world.id(name))

    def told(self, told: Told) -> None:
        """Take note of what a pass over the last item said."""
        if told.raised:
            self._wrong[self._last].append(("broken", f"the pass ended with {told.raised}"))
        self._wrong[self._last] += [("broken", each) for each in unforeseen(told.said)]

    def judge(self) -> None:
        """See what becomes of all items now that all is well."""
        judge(self.world, self._scenario, self._points, self._model, self._figures, self._wrong)


# -- clocks ----------------------------------------------------------------------------------------


def _clock(jump: str, world: World, ground: Ground, figures: Figures) -> None:
    """Have passes at a wrong time; then what people take away is put back as soon as it is otherwise."""
    scenario = world.provable.scenario("login")
    usual, item = world.new(2)
    world.bring([usual, item], scenario)
    world.begin([usual, item], scenario)
    assert world.settle([usual, item], scenario) == []
    made = [
        each for each in world.kind.resources if isinstance(world.evidence.resources[each.name].made, Made)
    ]
    names = [each.name for each in made if each.audited] or [made[0].name]
    names = ground.some(names, MOST_OF_A_SHORT_RUN)
    wanted = {name: _repaired(world, usual, name) for name in names}
    status = world.status(item)
    world.ahead += JUMPS[jump]
    world.passes(2, [item])
    if world.status(item) != status:
        figures.fall_short(jump, [("false", "the status of a settled item was written anew")])
    world.ahead -= JUMPS[jump]
    for name in names:
        figures.judge(f"{jump}, then {name} taken away", unlike(_repaired(world, item, name), wanted[name]))


def _repaired(world: World, item: str, resource: str) -> dict[str, object]:
    """Take something away that only an audit sees; return what there is of the item after the next audit."""
    world.evidence.resources[resource].take_away(world.systems, item)
    world.ahead += timedelta(days=2)
    world.passes(3, [item])
    return world.inventory(item)


# -- what a process is to do without ---------------------------------------------------------------


def _lower(which: int, limit: int) -> None:
    # Otherwise the process is ended by a signal, and not told by an error.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(which, (limit, resource.getrlimit(which)[1]))


def _limits(
    which: int, limits: Sequence[int], what: str, world: World, ground: Ground, figures: Figures
) -> None:
    trial = _Trial(world, figures)
    for limit in ground.some(limits, MOST_OF_A_SHORT_RUN):
        for anew in (False, True):
            if anew:
                shutil.rmtree(world.systems.layout.work, ignore_errors=True)
            item = trial.item(f"{what} {limit}{', clones to be made' if anew else ''}")
            limited = partial(_lower, which, limit)
            trial.told(passed(world.sandbox, ground.folder / "told", item, limit=limited, ahead=world.ahead))
    trial.judge()


def _disks(world: World, ground: Ground, figures: Figures) -> None:
    """Have the clones on a small disk, and on one that is read-only."""
    trial, work = _Trial(world, figures), world.systems.layout.work
    for options in ground.some([*(f"size={size}" for size in DISKS), "ro"], MOST_OF_A_SHORT_RUN):
        shutil.rmtree(work, ignore_errors=True)
        item = trial.item(f"a disk with {options}")
        with _mounted(work, options):
            trial.told(passed(world.sandbox, ground.folder / "told", item, ahead=world.ahead))
    trial.judge()


@contextmanager
def _mounted(folder: Path, options: str) -> Iterator[None]:
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "proof", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _can_mount() -> bool:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    probe = ["unshare", "-m", "mount", "-t", "tmpfs", "proof", "/mnt"]
    return (
        shutil.which("unshare") is not None
        and not subprocess.run(probe, check=False, capture_output=True).returncode
    )


def _no_folder(world: World, ground: Ground, figures: Figures) -> None:
    """Have a file where the clones' folder should be."""
    trial, work = _Trial(world, figures), world.systems.layout.work
    shutil.rmtree(work, ignore_errors=True)
    item = trial.item("a file in the place of the folder")
    work.touch()
    trial.told(passed(world.sandbox, ground.folder / "told", item, ahead=world.ahead))
    work.unlink()
    trial.judge()


# -- what happens in the middle --------------------------------------------------------------------


def _middle(happen: Callable[[World], None], mend: Callable[[World], None], what: str,
            world: World, ground: Ground, figures: Figures) -> None:  # fmt: skip
    trial = _Trial(world, figures)
    mark = world.sandbox.mark()
    with running_pass(
        world.sandbox, trial.item(f"{what}, but only afterwards"), ahead=world.ahead
    ) as process:
        process.join()
    count = len([each for each in world.sandbox.requests(mark) if each.wrote])
    moments = sorted(ground.random.sample(range(count), min(count, MOMENTS)))
    for number in ground.some(moments, MOST_OF_A_SHORT_RUN):
        item = trial.item(f"{what} at write {number}")
        mark = world.sandbox.mark()
        # What is delayed is logged once it is over, so the write before tells when it begins.
        world.sandbox.inject(Fault("*", "slow", WRITES, skip=number, seconds=HELD))
        with running_pass(world.sandbox, item, ahead=world.ahead) as process:
            _await_write(world, process, mark, number)
            time.sleep(HELD / 4)
            happen(world)
            process.join(PATIENCE)
            if process.exitcode != 0:
                trial.told(Told(raised=f"exit code {process.exitcode}"))
        world.sandbox.clear_faults()
        mend(world)
    trial.judge()


def _await_write(world: World, process: BaseProcess, mark: int, number: int) -> None:
    def reached() -> bool:
        return len([each for each in world.sandbox.requests(mark) if each.wrote]) >= number

    wait_until(lambda: reached() or not process.is_alive())


def _restart(world: World) -> None:
    state = SandboxState.load(world.systems.layout)
    assert state is not None
    processes.stop([state.processes["postgres"]])
    world.sandbox.up()
    world.systems.connect_again()


def _seal(world: World) -> None:
    world.systems.vault.sys.seal()


def _unseal(world: World) -> None:
    state, key = SandboxState.load(world.systems.layout), Secrets(world.systems.layout)["vault_unseal_key"]
    assert state is not None
    url = f"http://127.0.0.1:{state.ports['vault-server']}/v1/sys"
    httpx.put(f"{url}/unseal", json={"key": key}).raise_for_status()
    wait_until(lambda: httpx.get(f"{url}/health").status_code == 200)


# -- being told to stop ----------------------------------------------------------------------------


def _stop(words: Sequence[str], longest: float, world: World, ground: Ground, figures: Figures) -> None:
    """Send SIGTERM at random moments; the program ends soon, and as it should."""
    trial = _Trial(world, figures)
    for number in range(MOST_OF_A_SHORT_RUN if ground.short else MOMENTS):
        trial.item(f"{words[0]}, moment {number}")
        process = PROCESSES.Process(target=program, args=(world.sandbox.configuration_file(),
                                    world.sandbox.environment(), words, ground.folder / "said"))  # fmt: skip
        process.start()
        time.sleep(ground.random.uniform(0.2, longest))
        process.terminate()
        process.join(PATIENCE)
        if process.exitcode is None:
            trial.told(Told(raised="nothing: it did not end when it was told to"))
        elif process.exitcode not in {0, 1, -signal.SIGTERM}:
            trial.told(Told(raised=f"exit code {process.exitcode}"))
        process.kill()
        process.join()
        if "Traceback" in (ground.folder / "said").read_text(encoding="utf-8", errors="replace"):
            trial.told(Told(raised="a traceback"))
    trial.judge()


def program(configuration: Path, environ: dict[str, str], words: Sequence[str], said: Path) -> None:
    """Be the program, in a process of its own."""
    import sys  # noqa: PLC0415 - of a process of its own

    from reconciler.faces.cli.main import run as run_program  # noqa: PLC0415 - likewise

    os.environ.update(environ)
    with said.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["reconcile", *words, "--config", str(configuration)]
    run_program(lambda: EVERYONE)


_Job = Callable[[World, Ground, Figures], None]
JOBS: dict[str, _Job] = {
    **{f"clock {jump}": partial(_clock, jump) for jump in JUMPS},
    "file size": partial(_limits, resource.RLIMIT_FSIZE, FILE_SIZES, "files of at most"),
    "descriptors": partial(_limits, resource.RLIMIT_NOFILE, DESCRIPTORS, "descriptors of at most"),
    "no folder": _no_folder,
    "database restarted": partial(_middle, _restart, lambda world: None, "database restarted"),
    "vault sealed": partial(_middle, _seal, _unseal, "vault sealed"),
    "told to stop": partial(_stop, ("--once",), 1.5),
    "service told to stop": partial(_stop, ("serve",), 3.0),
}
