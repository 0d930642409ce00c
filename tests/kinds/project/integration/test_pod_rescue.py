"""What a rescue of uncommitted work does to the volume: real git, and a real file system that fills up."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kinds.project.support.pod import Pod, git, wait_for
from tests.kinds.project.support.volume import Volume, change

MEBIBYTE = 1 << 20


@pytest.fixture
def small(volume: Volume, tmp_path: Path) -> Iterator[Volume]:
    """A volume of 64 MiB with a clone."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a file system")
    try:
        git(volume.clone, "clone", "-q", str(volume.clone), str(place / "repo"))
        yield Volume(place, volume.feature)
    finally:
        subprocess.run(["umount", str(place)], check=True)


def free(volume: Volume) -> int:
    found = os.statvfs(volume.folder)
    return found.f_bavail * found.f_frsize


def fill(path: Path, mebibytes: int) -> None:
    """Write what cannot be compressed."""
    path.write_bytes(os.urandom(mebibytes * MEBIBYTE))


def left_over(volume: Volume) -> list[str]:
    """Return what is no object, and no list of git's, among the objects."""
    return [str(path) for path in (volume.clone / ".git" / "objects").rglob("tmp_*")]


def test_what_there_is_no_room_for_is_left_out_and_named(small: Volume) -> None:
    tree = small.add("issue-1")
    change(tree)
    fill(tree / "large [1]", 26)
    fill(tree / "middle", 14)
    (tree / "conflict").mkdir()
    status = small.snapshot()
    said = small.recover()
    assert small.snapshot() == status
    assert f"no room to rescue 1 files of {tree}, which stay as they are: large [1]" in said
    (kept,) = small.kept("issue-1")
    changed = git(tree, "diff", "--name-status", "HEAD", kept).splitlines()
    assert changed == ["M\tcode", "A\tmiddle", "D\told", "A\tstaged", "A\tsub/new file"]
    assert free(small) > 64 * MEBIBYTE // 20
    assert left_over(small) == []
    # With room, it is kept as well.
    subprocess.run(["mount", "-o", "remount,size=128m", str(small.folder)], check=True)
    small.recover()
    (later,) = set(small.kept("issue-1")) - {kept}
    assert git(tree, "cat-file", "-s", f"{later}:large [1]") == str(26 * MEBIBYTE)


def test_a_rescue_that_fills_the_volume_leaves_it_as_it_was(
    small: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As when something else fills it at the same time: room is promised that is not there.
    stand_in = tmp_path / "promise" / "stat"
    stand_in.parent.mkdir()
    stand_in.write_text(
        '#!/bin/sh\n[ "$1" = --file-system ] && echo 999999 1 4096 && exit\nexec /usr/bin/stat "$@"\n'
    )
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}")
    tree, other = small.add("issue-1"), small.add("issue-2")
    for number in range(5):
        fill(tree / f"file {number}", 8)
    change(other)
    before = free(small)
    said = small.recover()
    assert f"not all of {tree} can be rescued" in said
    assert "No space left on device" in said
    assert small.kept("issue-1") == []
    assert len(small.kept("issue-2")) == 1
    assert before - free(small) < MEBIBYTE
    assert left_over(small) == []


def test_a_file_that_git_packs_at_once_is_kept(volume: Volume) -> None:
    git(volume.clone, "config", "core.bigFileThreshold", "1k")
    tree = volume.add("issue-1")
    fill(tree / "large", 1)
    volume.recover()
    (kept,) = volume.kept("issue-1")
    assert git(tree, "cat-file", "-s", f"{kept}:large") == str(MEBIBYTE)
    assert left_over(volume) == []


def test_what_a_killed_rescue_left_is_removed_once_no_git_runs(volume: Volume) -> None:
    tree, here, go_on = volume.add("issue-1"), volume.folder / "here", volume.folder / "go on"
    (tree / ".gitattributes").write_text("* filter=slow\n")
    script = f"touch '{here}'; until [ -e '{go_on}' ]; do sleep 0.05; done; cat"
    git(volume.clone, "config", "filter.slow.clean", script)
    command = ["bash", str(volume.feature / "share" / "recovery.sh")]
    variables = {"PATH": os.environ["PATH"], "MESH_SIX_WORKTREES": str(volume.worktrees)}
    with subprocess.Popen(command, cwd=volume.clone, env=variables, stdout=subprocess.DEVNULL) as running:
        wait_for(here.exists)
        running.send_signal(signal.SIGKILL)
    objects = volume.clone / ".git" / "objects"
    halves = [objects / "pack" / "tmp_pack_a", objects / "ab" / "tmp_obj_b"]
    (objects / "ab").mkdir(exist_ok=True)
    for half in halves:
        half.write_text("half\n")
    left = left_over(volume)
    assert any("tmp_objdir" in path for path in left)
    # Its git runs on for a while.
    git(volume.clone, "config", "filter.slow.clean", "cat")
    assert "git is running" in volume.recover()
    assert [path for path in left if not Path(path).exists()] == []
    go_on.touch()
    wait_for(lambda: "git is running" not in volume.recover())
    assert left_over(volume) == []
    assert len(volume.kept("issue-1")) == 1


@pytest.mark.parametrize("name", [".gitignore", ".gitattributes"])
def test_a_pipe_that_git_would_wait_for_does_not_hold_up_the_pod(environment_pod: Pod, name: str) -> None:
    trees = [environment_pod.worktrees / tree for tree in ("pipe", "other")]
    for tree in trees:
        environment_pod.git("worktree", "add", "-q", str(tree))
        (tree / "staged").write_text("staged\n")
        git(tree, "add", "staged")
        (tree / "new").write_text("new\n")
    os.mkfifo(trees[0] / name)
    environment_pod.variables["MESH_SIX_RESCUE_SECONDS"] = "1"
    environment_pod.start()
    environment_pod.wait_ready()
    assert f"not all of {trees[0]} can be rescued" in environment_pod.log
    assert "git takes longer than 1 s" in environment_pod.log
    kept = environment_pod.git("for-each-ref", "--format=%(refname)", "refs/mesh-six/rescue").splitlines()
    files = {ref.split("/")[3]: environment_pod.git("ls-tree", "--name-only", ref).split() for ref in kept}
    assert files == {"other": ["new", "readme", "staged"], "pipe": ["readme", "staged"]}
    assert (trees[0] / "new").exists()
