"""Clones: what a kill leaves in our own clones is thrown away in the very next pass, which does its work.

`halves` puts into a clone what a kill may leave: locks, and files that are empty, cut, or not there. `delays`
kills passes that make their clones anew, at random moments. `calls` kills them at exact system calls on
files, where strace is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.prove.apart import Told, passed
from tests.prove.figures import Figures, Sort
from tests.prove.ground import Ground, provable_kinds
from tests.prove.world import World
from tests.support.doomed import running_pass

ROOT = Path(__file__).parents[2]
CALLS = "rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir"
"""System calls by which files come and go."""
LOCKS = ("shallow.lock", "packed-refs.lock", "refs/reconciler/fetched.lock", "objects/pack/tmp_pack_x")
MOST_OBJECTS = 4
DELAYS, EXACT = 40, 30
PATIENCE = 15.0
"""Seconds that a pass over one item may take, on a busy machine."""
MOST_OF_A_SHORT_RUN = 8
Spoil = Callable[[Path], None]


def jobs() -> list[str]:
    """Return the jobs that this machine has the programs for."""
    return ["halves", "delays", *(["calls"] if _can_trace() else [])]


def run(job: str, ground: Ground) -> Figures:
    """Do one of the jobs, with the kind that has the least to do besides."""
    figures = Figures("clones", job, "kills" if job != "halves" else "halves")
    with World(ground.sandbox, provable_kinds()[-1]) as world:
        item, *_ = world.new(1)
        world.write([item])
        world.passes(3, [item])
        trial = _Trial(world, item, figures, ground.folder)
        if job == "halves":
            trial.halves(ground)
        elif job == "delays":
            trial.delays(ground)
        else:
            trial.calls(ground)
    return figures


class _Trial:
    """One item, whose file is another one before each kill, so that there is always something to push."""

    def __init__(self, world: World, item: str, figures: Figures, folder: Path) -> None:
        self._folder = folder
        self._world = world
        self._item = item
        self._figures = figures
        self._changed = False

    def halves(self, ground: Ground) -> None:
        work = self._world.systems.layout.work
        good = ground.folder / "good"
        shutil.copytree(work, good)
        points = [
            (clone.relative_to(good), *each)
            for clone in sorted(good.rglob("*.git"))
            for each in _halves(clone)
        ]
        for clone, what, spoil in ground.some(points, 2 * MOST_OF_A_SHORT_RUN):
            shutil.rmtree(work)
            shutil.copytree(good, work)
            self._something_to_do()
            spoil(work / clone)
            ground.tell(what)
            self._judge(f"{what} in {clone.name.partition('-')[0]}")

    def delays(self, ground: Ground) -> None:
        begun = time.monotonic()
        self._something_to_do()
        with running_pass(self._world.sandbox) as process:
            process.join()
        whole = time.monotonic() - begun
        for _ in range(MOST_OF_A_SHORT_RUN // 2 if ground.short else DELAYS):
            shutil.rmtree(self._world.systems.layout.work, ignore_errors=True)
            self._something_to_do()
            delay = ground.random.uniform(0, whole)
            with running_pass(self._world.sandbox):
                time.sleep(delay)
            self._judge(f"{len(self._figures.shortfalls)}: after {delay / whole:.0%} of a pass")

    def calls(self, ground: Ground) -> None:
        file = ground.folder / "calls"
        self._traced(["-o", str(file)])
        calls = _calls_of_one_thread(file.read_text(encoding="utf-8", errors="replace").splitlines())
        work = str(self._world.systems.layout.work)
        # strace counts for each system call by itself.
        names = [call.split()[1].partition("(")[0] for call in calls]
        points = [
            (name, names[: number + 1].count(name), call)
            for number, (name, call) in enumerate(zip(names, calls, strict=True))
            if work in call
        ]
        if len(points) > EXACT:
            points = sorted(ground.random.sample(points, EXACT))
        for name, number, call in ground.some(points, 3):
            code = self._traced(["-o", os.devnull, "-e", f"inject={name}:signal=SIGKILL:when={number}"])
            point = f"{name} {number}, of {call.rpartition('/')[2][:40]}"
            if code == 0:
                self._figures.fall_short(point, [("broken", "the pass was not killed")])
            self._judge(point)

    def _traced(self, options: list[str]) -> int:
        """Run a pass that makes its clones anew, under strace; returns the exit code."""
        shutil.rmtree(self._world.systems.layout.work, ignore_errors=True)
        self._something_to_do()
        sandbox = self._world.sandbox
        program = [
            sys.executable,
            "-m",
            "tests.kinds.lamp",
            "--once",
            "--config",
            str(sandbox.configuration_file()),
        ]
        # Without this a first run has calls that a second one has not.
        still = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
        environ = {"PATH": os.environ["PATH"], **still, **sandbox.environment()}
        return subprocess.run(
            ["strace", "-f", "-e", f"trace={CALLS}", *options, *program],
            cwd=ROOT, env=environ, capture_output=True, check=False, timeout=120,
        ).returncode  # fmt: skip

    def _something_to_do(self) -> None:
        self._changed = not self._changed
        (self._world.change if self._changed else self._world.write)([self._item])
        self._world.commit_elsewhere()

    def _judge(self, point: str) -> None:
        """See that the next pass does all, and that the one after it has nothing to say."""
        wrong: list[tuple[Sort, str]] = []
        told, again = self._passed(), self._passed()
        wrong += [("broken", each) for each in (*told.said, told.raised) if each]
        wrong += [("stuck", f"the pass after that: {each}") for each in (*again.said, again.raised) if each]
        self._figures.judge(point, wrong)
        if again.raised or again.said:
            shutil.rmtree(self._world.systems.layout.work, ignore_errors=True)
            self._passed()

    def _passed(self) -> Told:
        world = self._world
        return passed(world.sandbox, self._folder / "told", str(world.id(self._item)), seconds=PATIENCE)


def _halves(clone: Path) -> Iterator[tuple[str, Spoil]]:
    """Yield what a kill may leave in a clone, and what makes it so."""
    files = [path for path in sorted(clone.rglob("*")) if path.is_file() and "hooks" not in path.parts]
    loose = [path for path in files if len(path.parent.name) == 2]
    for path in [each for each in files if each not in loose[MOST_OBJECTS:]]:
        name = path.relative_to(clone)
        if "objects" not in path.parts:
            yield f"{name}.lock", lambda at, name=name: (at / f"{name}.lock").write_bytes(b"")  # type: ignore[misc]
        yield f"empty {name}", lambda at, name=name: _put(at / name, b"")  # type: ignore[misc]
        yield (
            f"half of {name}",
            lambda at, name=name: _put(  # type: ignore[misc]
                at / name, (at / name).read_bytes()[: (at / name).stat().st_size // 2]
            ),
        )
        yield f"no {name}", lambda at, name=name: (at / name).unlink()  # type: ignore[misc]
    for lock in LOCKS:
        yield lock, lambda at, lock=lock: _put(at / lock, b"")  # type: ignore[misc]
    for folder in ("objects", "refs"):
        yield f"no {folder}", lambda at, folder=folder: shutil.rmtree(at / folder)  # type: ignore[misc]


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.chmod(0o644)
    path.write_bytes(content)


def _calls_of_one_thread(lines: list[str]) -> list[str]:
    """Return the lines that begin a call of the busiest thread; strace counts for each by itself."""
    calls = [line for line in lines if "(" in line and "resumed>" not in line]
    ((busiest, _),) = Counter(line.split()[0] for line in calls).most_common(1)
    return [line for line in calls if line.split()[0] == busiest]


def _can_trace() -> bool:
    """Whether strace is installed, and this machine lets it look."""
    found = shutil.which("strace")
    return found is not None and subprocess.run(
        [found, "-o", os.devnull, "true"], capture_output=True, check=False
    ).returncode == 0  # fmt: skip
