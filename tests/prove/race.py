"""Race: twenty people commit while passes run, and nobody's commit and no sealed entry is lost.

In the job `…/alone` one reconciler runs, as it should be. In `…/two` there are two without a database, so
that no lock keeps them apart. In the end there is one of each thing for each item all the same.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random

from reconciler.engine.configuration import load_sections
from reconciler.engine.cycle import Cycle
from reconciler.sandbox.supervisor import Sandbox
from tests.kinds.everyone import EVERYONE
from tests.prove.figures import Figures, Sort
from tests.prove.ground import Ground, provable_kinds
from tests.prove.judging import unlike
from tests.prove.world import World
from tests.support.evidence import evidence_of
from tests.support.forked import PROCESSES, quiet
from tests.support.git_server import git
from tests.support.systems import Systems

WRITERS, COMMITS, ITEMS = 20, 12, 4
SHORT_WRITERS, SHORT_COMMITS = 6, 2
PATIENCE = 300.0
WITHOUT_DATABASE = {"DATABASE_URL": ""}
REPOSITORIES = ("CONFIG_REPOSITORY", "MANIFESTS_REPOSITORY")
MOST_ATTEMPTS = 200


@dataclass(frozen=True)
class Written:
    """A commit that its writer saw arrive: in which repository, and a file of it that nobody else writes."""

    repository: str
    commit: str
    path: str
    text: str


def jobs() -> list[str]:
    """Return two jobs for each kind."""
    return [f"{kind.name}/{how}" for kind in provable_kinds() for how in ("alone", "two")]


def run(job: str, ground: Ground) -> Figures:
    """Let writers and reconcilers loose, and count what they wrote."""
    kind, _, how = job.partition("/")
    figures = Figures("race", job, "commits")
    writers, commits = (SHORT_WRITERS, SHORT_COMMITS) if ground.short else (WRITERS, COMMITS)
    with World(ground.sandbox, EVERYONE[kind]) as world:
        onboarding, login = world.provable.scenarios[0], world.provable.scenario("login")
        undisturbed, *items = world.new(1 + ITEMS)
        world.bring([undisturbed], login)
        world.begin([undisturbed], login)
        assert world.settle([undisturbed], login) == []
        base, model = world.totals(), world.inventory(undisturbed)
        world.write(items)
        _race(world, ground, how, _writers(world, ground, writers, commits))
        world.settle(items, onboarding)
        # Now they wait for what people seal, while others go on committing.
        names = [str(world.id(name)) for name in items]
        sealing: list[_Writer] = [(_seal, (kind, name, ground.folder / f"seal-{name}")) for name in items]
        _race(world, ground, how, [*sealing, *_writers(world, ground, writers // 2, commits)])
        wrong = world.settle(items, login)
        for path in sorted(ground.folder.glob("written-*")):
            _count(world, path, figures)
        for name, slug in zip(items, names, strict=True):
            found: list[tuple[Sort, str]] = [("stuck", each) for each in wrong if slug in each]
            figures.judge(f"sealed entry of {name}", [*found, *unlike(world.inventory(name), model)])
        figures.fall_short("all together", _more_than(world.totals(), base, items))
    return figures


_Writer = tuple[Callable[..., None], tuple[object, ...]]


def _writers(world: World, ground: Ground, count: int, commits: int) -> list[_Writer]:
    seeds = [ground.random.getrandbits(32) for _ in range(count)]
    return [(_write, (seed, commits, ground.folder / f"written-{seed}")) for seed in seeds]


def _race(world: World, ground: Ground, how: str, writers: Sequence[_Writer]) -> None:
    """Run reconcilers for as long as writers write, and somewhat longer."""
    environ = {**world.sandbox.environment(), **(WITHOUT_DATABASE if how == "two" else {})}
    stop = ground.folder / f"stop-{len(list(ground.folder.iterdir()))}"
    reconcilers = [
        _started(_reconcile, _configuration(world.sandbox, ground.folder, str(number)), environ, stop)
        for number in range(2 if how == "two" else 1)
    ]
    directory = world.sandbox.directory
    started = [_started(target, directory, *arguments) for target, arguments in writers]
    try:
        _join(started)
    finally:
        stop.touch()
        _join(reconcilers)
    assert [each.exitcode for each in started] == [0] * len(started), "a writer failed"
    assert [each.exitcode for each in reconcilers] == [0] * len(reconcilers), "a reconciler failed"


def _started(target: Callable[..., None], *arguments: object) -> BaseProcess:
    process = PROCESSES.Process(target=target, args=arguments)
    process.start()
    return process


def _join(processes: Sequence[BaseProcess]) -> None:
    until = time.monotonic() + PATIENCE
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
    for process in processes:
        if process.exitcode is None:
            process.kill()
            process.join()


def _configuration(sandbox: Sandbox, folder: Path, name: str) -> Path:
    """Return a configuration whose clones are nobody else's."""
    text = sandbox.configuration_file().read_text(encoding="utf-8")
    work = str(sandbox.directory / "work")
    assert work in text
    path = folder / f"reconciler-{name}.yaml"
    path.write_text(text.replace(work, str(folder / f"work-{name}")), encoding="utf-8")
    return path


def _count(world: World, file: Path, figures: Figures) -> None:
    """Judge every commit that a writer saw arrive."""
    repositories = {
        "CONFIG_REPOSITORY": world.systems.config,
        "MANIFESTS_REPOSITORY": world.systems.manifests,
    }
    for line in file.read_text(encoding="utf-8").splitlines():
        written = Written(*line.split("\t"))
        repository = repositories[written.repository]
        head = repository.references["refs/heads/main"].target
        wrong: list[tuple[Sort, str]] = []
        if str(head) != written.commit and not repository.descendant_of(head, written.commit):
            wrong.append(("lost", "the commit is not in the branch any more"))
        try:
            text = repository.revparse_single(f"main:{written.path}").read_raw().decode()
        except KeyError:
            text = ""
        if text.strip() != written.text:
            wrong.append(("lost", f"{written.path} does not say any more what was committed"))
        figures.judge(f"{written.commit[:10]} by {file.name}", wrong)


def _more_than(found: dict[str, int], base: dict[str, int], items: Sequence[str]) -> list[tuple[Sort, str]]:
    """Return what grew by something else than a whole number of things for each item."""
    return [
        (
            "duplicated" if count > base[thing] else "lost",
            f"{thing}: {count - base[thing]} more for {len(items)} items",
        )
        for thing, count in found.items()
        if (count - base[thing]) % len(items) or count < base[thing]
    ]


# -- in processes of their own ---------------------------------------------------------------------


def _reconcile(configuration: Path, environ: dict[str, str], stop: Path) -> None:
    """Run passes until somebody says stop, and one more."""
    quiet()
    cycle = Cycle(load_sections(configuration, environ), EVERYONE)
    while not stop.exists():
        cycle.run()
    cycle.run()


def _write(directory: Path, seed: int, commits: int, told: Path) -> None:
    """Commit files of one's own, and lines in files that others edit, each in a clone of one's own."""
    random, environment = Random(seed), Sandbox(directory).environment()  # noqa: S311 - repeatable on purpose
    clones = {name: told.parent / f"clone-{seed}-{name}" for name in REPOSITORIES}
    for name, clone in clones.items():
        subprocess.run(["git", "clone", "-q", environment[name], str(clone)], check=True, capture_output=True)
    with told.open("a", encoding="utf-8") as file:
        for number in range(commits):
            name = random.choice(REPOSITORIES)
            path, text = f"notes/{seed}-{number}.md", f"{seed} {number}"
            commit = _pushed(clones[name], path, text, random)
            file.write("\t".join((name, commit, path, text)) + "\n")
    for clone in clones.values():
        shutil.rmtree(clone)


def _pushed(clone: Path, path: str, text: str, random: Random) -> str:
    """Commit on what is there, and begin again where others were faster; returns the commit."""
    for _ in range(MOST_ATTEMPTS):
        git(clone, "fetch", "-q")
        git(clone, "reset", "-q", "--hard", "origin/main")
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        (clone / path).write_text(f"{text}\n", encoding="utf-8")
        # A file that the reconciler edits, too; what it says stays the same.
        for shared in [each for each in clone.glob("k8s/base/kustomization.yaml") if random.random() < 0.5]:
            shared.write_text(f"{shared.read_text()}# {text}\n", encoding="utf-8")
        git(clone, "add", "-A")
        git(clone, "commit", "-qm", "By hand")
        pushed = subprocess.run(["git", "-C", str(clone), "push", "-q"], capture_output=True, check=False)
        if pushed.returncode == 0:
            return git(clone, "rev-parse", "HEAD")
        time.sleep(random.random() / 10)
    raise AssertionError("others were always faster")


def _seal(directory: Path, kind: str, name: str, folder: Path) -> None:
    """Seal what the item waits for, as somebody with a clone of his own would."""
    quiet()
    sandbox, evidence = Sandbox(directory), evidence_of(EVERYONE[kind])
    assert evidence is not None
    folder.mkdir()
    cycle = Cycle(load_sections(_configuration(sandbox, folder, "seal"), sandbox.environment()), EVERYONE)
    evidence.people(Systems(sandbox), cycle, name)
