"""What becomes of work that is not committed when a pod was killed: real git, real worktrees."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.kinds.project.support.pod import git
from tests.kinds.project.support.volume import Volume, change, conflict


def test_what_is_not_committed_is_kept_and_not_touched(volume: Volume) -> None:
    clean = volume.add("clean")
    dirty = [volume.clone, volume.add("issue-1"), volume.add("acme-widgets/issue-2")]
    for tree in dirty:
        change(tree)
    before = volume.snapshot()
    said = volume.recover()
    assert volume.snapshot() == before
    for tree, name in zip(dirty, ("clone", "issue-1", "acme-widgets/issue-2"), strict=True):
        (ref,) = volume.kept(name)
        assert f"what is not committed in {tree} is still there, and kept as {ref}" in said
        assert git(tree, "rev-parse", f"{ref}^") == git(tree, "rev-parse", "HEAD")
        assert git(tree, "diff", "--name-status", "HEAD", ref).splitlines() == [
            "M\tcode", "D\told", "A\tstaged", "A\tsub/new file",
        ]  # fmt: skip
        # The way back that the log names.
        restore = re.search(rf"git -C {tree} (restore --source={ref} -- :/)", said)
        assert restore
        git(tree, "reset", "--hard", "-q")
        git(tree, "clean", "-fdq")
        git(tree, *restore[1].split())
        assert (tree / "sub" / "new file").read_text() == "new\n"
        assert not (tree / "old").exists()
    assert str(clean) not in said
    # The same work is kept once, new work beside it.
    volume.recover()
    assert [len(volume.kept(name)) for name in ("clone", "issue-1")] == [1, 1]
    (dirty[1] / "code").write_text("changed again\n")
    volume.recover()
    assert len(volume.kept("issue-1")) == 2


def test_locks_of_a_killed_git_are_removed(volume: Volume) -> None:
    tree = volume.add("issue-1")
    locks = [
        volume.clone / ".git" / name
        for name in ("index.lock", "refs/heads/main.lock", "packed-refs.lock", "worktrees/issue-1/index.lock")
    ]
    hook = volume.clone / ".git" / "hooks" / "mine.lock"
    for lock in (*locks, hook):
        lock.touch()
    with pytest.raises(subprocess.CalledProcessError):
        git(tree, "commit", "-q", "--allow-empty", "-m", "Two")
    said = volume.recover()
    assert [lock for lock in locks if lock.exists() or str(lock) not in said] == []
    assert hook.exists()
    git(tree, "commit", "-q", "--allow-empty", "-m", "Two")
    git(volume.clone, "commit", "-q", "--allow-empty", "-m", "Two")


def test_the_lock_of_a_git_that_runs_stays(volume: Volume) -> None:
    tree = volume.add("issue-1")
    (tree / "code").write_text("changed\n")
    # It holds the index lock for as long as its hook takes.
    hook, go_on = volume.clone / ".git" / "hooks" / "pre-commit", volume.folder / "go on"
    hook.write_text(f"#!/bin/sh\necho here >&2\nuntil [ -e '{go_on}' ]; do sleep 0.05; done\n")
    hook.chmod(0o755)
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.invalid"]
    command = ["git", *identity, "commit", "-qam", "Two"]
    with subprocess.Popen(command, cwd=tree, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr
        assert running.stderr.readline() == "here\n"
        lock = volume.clone / ".git" / "worktrees" / "issue-1" / "index.lock"
        assert lock.exists()
        assert "git is running" in volume.recover()
        assert lock.exists()
        go_on.touch()
        assert running.wait(60) == 0
    assert git(tree, "log", "-1", "--format=%s") == "Two"


def test_an_interrupted_merge_waits_as_it_was(volume: Volume) -> None:
    tree = conflict(volume)
    before = volume.snapshot()
    said = volume.recover()
    assert volume.snapshot() == before
    assert f"git was in the middle of something in {tree} (MERGE_HEAD)" in said
    (kept,) = volume.kept("issue-1")
    assert "<<<<<<<" in git(volume.clone, "show", f"{kept}:code")


def test_a_change_of_the_second_in_which_the_index_was_written_is_seen(volume: Volume) -> None:
    # Of the same length, and with the very time that the index has and names: git can only look inside.
    for name, value in (("core.trustctime", "false"), ("core.checkStat", "minimal")):
        git(volume.clone, "config", name, value)
    code, index, time = volume.clone / "code", volume.clone / ".git" / "index", (1_700_000_000,) * 2
    os.utime(code, time)
    git(volume.clone, "status")
    os.utime(index, time)
    code.write_text("edoc\n")
    os.utime(code, time)
    volume.recover()
    (kept,) = volume.kept("clone")
    assert git(volume.clone, "show", f"{kept}:code") == "edoc"


@pytest.mark.parametrize("damage", [b"", b"garbage"])
def test_a_broken_index_hides_no_work(volume: Volume, damage: bytes) -> None:
    tree = volume.add("issue-1")
    change(tree)
    index = volume.clone / ".git" / "worktrees" / "issue-1" / "index"
    index.write_bytes(damage)
    said = volume.recover()
    assert index.read_bytes() == damage
    (kept,) = volume.kept("issue-1")
    changed = git(volume.clone, "diff", "--name-status", "main", kept).splitlines()
    assert changed == ["M\tcode", "D\told", "A\tstaged", "A\tsub/new file"]
    assert damage == b"" or "is broken" in said


def test_one_tree_in_trouble_holds_up_no_other(volume: Volume) -> None:
    nested, other = volume.add("issue-1"), volume.add("issue-2")
    change(other)
    # An empty repository within a tree cannot be added to it.
    (nested / "inner").mkdir()
    git(nested / "inner", "init", "-q")
    (nested / "code").write_text("changed\n")
    (volume.worktrees / "issue-3").mkdir()
    (volume.worktrees / "issue-3" / ".git").write_text("no pointer\n")
    said = volume.recover()
    assert f"not all of {nested} can be rescued" in said
    assert len(volume.kept("issue-2")) == 1
    assert f"git cannot read {volume.worktrees / 'issue-3'}" in said


def test_names_that_no_ref_can_have_are_no_hindrance(volume: Volume) -> None:
    names = ["a b", "x..y", "-dash", "ünïcode", "ends.lock", "@{u}", "line\nbreak", "[glob]*"]
    for name in names:
        git(volume.clone, "worktree", "add", "-q", "--detach", str(volume.worktrees / name))
        (volume.worktrees / name / "code").write_text(f"{name}\n")
    said = volume.recover()
    found = {git(volume.clone, "show", f"{ref}:code") for ref in volume.kept("")}
    assert found == set(names)
    assert len(said.splitlines()) == len(names) + 1


def test_a_repository_without_a_commit_loses_nothing_either(volume: Volume, tmp_path: Path) -> None:
    fresh = Volume(tmp_path / "fresh", volume.feature)
    fresh.clone.mkdir(parents=True)
    git(fresh.clone, "init", "-q")
    assert fresh.recover().count("\n") == 1
    (fresh.clone / "first").write_text("first\n")
    fresh.recover()
    (kept,) = fresh.kept("clone")
    assert git(fresh.clone, "show", f"{kept}:first") == "first"


def test_without_a_clone_the_repository_above_is_left_alone(volume: Volume) -> None:
    inner = Volume(volume.clone / "inner", volume.feature)
    inner.clone.mkdir(parents=True)
    (volume.clone / "code").write_text("changed\n")
    said = inner.recover()
    assert f"git cannot read {inner.clone}" in said
    assert volume.kept("clone") == []


def test_a_folder_of_worktrees_that_cannot_be_is_named(volume: Volume) -> None:
    volume.worktrees.write_text("a file\n")
    assert f"cannot read {volume.worktrees}" in volume.recover(code=1)
