"""What a killed process leaves: in our own clones it is thrown away, in others' repositories it is told."""

from __future__ import annotations

import gc
import itertools
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.git.edits import File
from reconciler.git.repository import Repository
from reconciler.model.errors import SystemFault
from tests.integration.test_repository import Place, anyhow, place
from tests.support.git_server import git

__all__ = ["anyhow", "place"]

Harm = Callable[[Path], object]

LOCKS = (
    *("HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock", "FETCH_HEAD.lock"),
    *("refs/reconciler/fetched.lock", "objects/pack/multi-pack-index.lock", "objects/info/commit-graph.lock"),
    *("objects/pack/tmp_pack_Ab12Cd", "objects/pack/pack_git2_a5f867a0", "objects/17/tmp_obj_x1"),
)
HALVES = (
    *(
        "HEAD",
        "config",
        "packed-refs",
        "FETCH_HEAD",
        "refs/reconciler/fetched",
        "refs/reconciler/followed/*",
        "shallow",
    ),
    *("objects/*/*.pack", "objects/*/*.idx"),
)
GONE = ("HEAD", "config", "objects", "objects/pack", "refs")


def _lock(name: str) -> Harm:
    def harm(clone: Path) -> None:
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).touch()

    return harm


def _rewrite(name: str, change: Callable[[bytes], bytes]) -> Harm:
    def harm(clone: Path) -> None:
        for file in list(clone.glob(name)) or [clone / name]:
            content = file.read_bytes() if file.exists() else b""
            file.unlink(missing_ok=True)
            file.write_bytes(change(content))

    return harm


def _remove(name: str, instead: str) -> Harm:
    def harm(clone: Path) -> None:
        there = clone / name
        shutil.rmtree(there) if there.is_dir() else there.unlink()
        if instead:
            there.write_text(instead)

    return harm


def _loose(change: Callable[[bytes], bytes]) -> Harm:
    """Every object lies by itself, and none is whole."""

    def harm(clone: Path) -> None:
        for pack in list((clone / "objects" / "pack").glob("*.pack")):
            content = pack.read_bytes()
            for file in pack.parent.glob(f"{pack.stem}.*"):
                file.unlink()
            subprocess.run(["git", "-C", str(clone), "unpack-objects", "-q"], input=content, check=True)
        for file in (clone / "objects").glob("??/*"):
            content = file.read_bytes()
            file.unlink()
            file.write_bytes(change(content))

    return harm


def _file_for_a_folder(clone: Path) -> None:
    shutil.rmtree(clone)
    clone.write_text("no folder")


HARMS: dict[str, Harm] = {
    **{name: _lock(name) for name in LOCKS},
    **{f"empty {name}": _rewrite(name, lambda content: b"") for name in HALVES},
    **{
        f"half {name}": _rewrite(name, lambda content: content[: len(content) // 2] or b"[x\0")
        for name in HALVES
    },
    **{f"no {name}": _remove(name, "") for name in GONE},
    **{f"a file for {name}": _remove(name, "x") for name in GONE if name != "HEAD"},
    "empty objects": _loose(lambda content: b""),
    "half objects": _loose(lambda content: content[:-4]),
    "a file for the clone": _file_for_a_folder,
}


@pytest.mark.parametrize("harm", HARMS)
def test_whatever_a_kill_leaves_in_our_clone_is_gone_in_the_same_pass(place: Place, harm: str) -> None:
    """Both where the server stood still meanwhile, and where it moved on; over HTTP, and by a path."""
    head = place.commit("deep/er/a", "1")
    for number, (address, moved) in enumerate(itertools.product((place.url, str(place.bare)), (False, True))):
        changes = {"clones": f"clones-{number}", "address": address}
        place.repository(**changes).fetch()
        gc.collect()  # as after a restart
        (clone,) = (place.folder / f"clones-{number}").iterdir()
        HARMS[harm](clone)
        if moved:
            head = place.commit("deep/er/a", f"moved {number}")
        repository = place.repository(**changes)
        assert repository.fetch().read("deep/er/a") == place.show("deep/er/a", head).encode()
        head = repository.push([File(item=None, path=f"b-{number}", content=b"3")], "ours").commit
        assert git(place.bare, "rev-parse", "main") == head


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_in_our_clone_is_never_taken_for_the_servers(place: Place, name: str) -> None:
    """Also one that turns up while we are at work, which nobody could have seen before."""
    place.commit("a", "1")
    repository = place.repository()
    repository.fetch()
    (clone,) = (place.folder / "clones").iterdir()
    _lock(name)(clone)
    place.commit("a", "2")
    assert repository.fetch().read("a") == b"2"
    assert repository.push([File(item=None, path="b", content=b"3")], "ours").commit


CHILD = """
import sys
from pathlib import Path
from reconciler.git.edits import File
from reconciler.git.locations import Location
from reconciler.git.repository import Repository

repository = Repository(Location(address=sys.argv[1], clones=Path(sys.argv[2])))
print(repository.fetch().commit, flush=True)
sys.stdin.readline()
print(repository.fetch().read("a").decode(), flush=True)
sys.stdin.readline()
"""


class Child:
    """Another process with clones in the same place."""

    def __init__(self, place: Place) -> None:
        command = [sys.executable, "-c", CHILD, place.url, str(place.folder / "clones")]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def hear(self) -> str:
        assert self._process.stdout is not None
        lines = iter(self._process.stdout.readline, "")
        return next(line.strip() for line in lines if "request sent" not in line)

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()


def test_two_processes_with_one_place_for_clones_do_not_disturb_each_other(place: Place) -> None:
    head = place.commit("a", "1")
    child = Child(place)
    try:
        assert child.hear() == head
        (theirs,) = (place.folder / "clones").iterdir()
        (theirs / "shallow.lock").touch()  # as while it writes
        repository = place.repository()
        assert repository.fetch().read("a") == b"1"
        assert (theirs / "shallow.lock").exists()
        (theirs / "shallow.lock").unlink()
        place.commit("a", "2")
        child.go_on()
        assert child.hear() == "2"
    finally:
        child.end()
    assert len(list((place.folder / "clones").iterdir())) == 2
    # The dead one's folder is free again.
    repository.close()
    gc.collect()
    assert place.repository().fetch().read("a") == b"2"
    assert len(list((place.folder / "clones").iterdir())) == 2


def test_a_lock_in_the_repository_itself_is_told_with_the_file_to_remove(anyhow: Place) -> None:
    head = anyhow.commit("a", "1")
    lock = anyhow.bare / "refs" / "heads" / "main.lock"
    lock.touch()
    with pytest.raises(SystemFault, match=r"refs/heads/main\.lock") as raised:
        anyhow.repository().push([File(item=None, path="b", content=b"2")], "ours")
    assert "once none is at work, remove the file" in raised.value.remedy
    assert lock.exists()
    assert git(anyhow.bare, "rev-parse", "main") == head


@pytest.mark.parametrize("name", ["HEAD", "refs/heads/main"])
def test_a_ref_in_halves_in_a_repository_by_path_is_told_with_its_name(place: Place, name: str) -> None:
    place.commit("a", "1")
    (place.bare / name).write_bytes(b"")
    with pytest.raises(SystemFault, match=name) as raised:
        place.repository(address=str(place.bare)).fetch()
    assert f"git -C {place.bare} fsck" in raised.value.remedy


@pytest.mark.parametrize("left", [b"", b"x\x9c+)JMU"])
def test_objects_in_halves_in_a_repository_by_path_are_written_anew(place: Place, left: bytes) -> None:
    """A power cut after a push that the branch never got to see: the same objects are pushed again."""
    place.commit("a", "1")
    edits = [File(item=None, path="deep/b", content=b"2")]
    by_path: Repository = place.repository("scratch", address=str(place.bare))
    before = set((place.bare / "objects").glob("??/*"))
    by_path.push(edits, "first")
    git(place.bare, "update-ref", "refs/heads/main", "main~1")
    ours = set((place.bare / "objects").glob("??/*")) - before
    for file in ours:
        file.chmod(0o644)
        file.write_bytes(left)
    result = place.repository("other", address=str(place.bare)).push(edits, "second")
    assert git(place.bare, "rev-parse", "main") == result.commit
    assert place.show("deep/b") == "2"
