"""What the start of a pod does with the git repositories that a killed one left: real git, real worktrees."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.pod import git

RESCUES = "refs/mesh-six/rescue"


@dataclass(frozen=True)
class Volume:
    """The volume of a pod's worktrees, with the clone of a repository."""

    folder: Path
    feature: Path

    @property
    def clone(self) -> Path:
        return self.folder / "repo"

    @property
    def worktrees(self) -> Path:
        return self.folder / "worktrees"

    def add(self, name: str, *options: str) -> Path:
        """Make a worktree with a branch of its own."""
        git(self.clone, "worktree", "add", "-q", *options, str(self.worktrees / name))
        return self.worktrees / name

    def recover(self, *, code: int = 0) -> str:
        """Run the recovery as the entrypoint does, and return what it said."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "MESH_SIX_WORKTREES": str(self.worktrees),
        }
        command = ["bash", str(self.feature / "share" / "recovery.sh")]
        done = subprocess.run(
            command, cwd=self.clone, env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (code, ""), done.stdout
        return done.stdout

    def kept(self, name: str) -> list[str]:
        """Return the refs under which work of that name was kept, oldest first."""
        listed = git(self.clone, "for-each-ref", "--format=%(refname)", f"{RESCUES}/{name}")
        return listed.splitlines()

    def snapshot(self) -> dict[str, str]:
        """Return what git and the file system say of every worktree, as far as a sweep must not touch it."""
        trees = [self.clone, *(path.parent for path in self.worktrees.rglob(".git"))]
        return {
            str(tree): git(tree, "status", "--porcelain=v2", "--branch", "--untracked-files=all")
            for tree in trees
        }


@pytest.fixture
def volume(tmp_path: Path, feature: Path) -> Iterator[Volume]:
    made = Volume(tmp_path / "workspaces", feature)
    made.clone.mkdir(parents=True)
    git(made.clone, "init", "-q", "-b", "main")
    for name in ("readme", "code", "old"):
        (made.clone / name).write_text(f"{name}\n")
    (made.clone / ".gitignore").write_text("ignored\n")
    git(made.clone, "add", ".")
    git(made.clone, "commit", "-q", "-m", "One")
    yield made
    # Whatever was done, no object that something leads to is missing.
    git(made.clone, "fsck", "--no-dangling", "--connectivity-only")


def change(tree: Path) -> None:
    """Leave work of every sort in a tree, none of it committed."""
    (tree / "code").write_text("changed\n")
    (tree / "old").unlink()
    (tree / "staged").write_text("staged\n")
    git(tree, "add", "staged")
    (tree / "sub").mkdir()
    (tree / "sub" / "new file").write_text("new\n")
    (tree / "ignored").write_text("of no interest\n")


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


def test_worktrees_whose_folders_are_gone_are_forgotten_and_nothing_of_them_is_lost(volume: Volume) -> None:
    staged, alone, plain = (
        volume.add("staged"),
        volume.add("alone", "--detach"),
        volume.add("plain"),
    )
    (staged / "only-staged").write_text("staged\n")
    git(staged, "add", ".")
    git(alone, "commit", "-q", "--allow-empty", "-m", "On no branch")
    commit = git(alone, "rev-parse", "HEAD")
    git(plain, "commit", "-q", "--allow-empty", "-m", "On a branch")
    for tree in (staged, alone, plain):
        shutil.rmtree(tree)
    said = volume.recover()
    assert git(volume.clone, "worktree", "list", "--porcelain").count("worktree ") == 1
    (kept,) = volume.kept("staged")
    assert git(volume.clone, "show", f"{kept}:only-staged") == "staged"
    (kept,) = volume.kept("alone")
    assert git(volume.clone, "rev-parse", kept) == commit
    assert volume.kept("plain") == []
    assert git(volume.clone, "log", "-1", "--format=%s", "plain") == "On a branch"
    assert said.count("is gone") == 2
    # Their places can be taken again.
    git(volume.clone, "worktree", "add", "-q", str(staged), "staged")


def test_a_worktree_that_was_gone_in_the_middle_of_a_merge_is_left_for_a_person(volume: Volume) -> None:
    shutil.rmtree(conflict(volume))
    assert "for a person to look at" in volume.recover()
    assert git(volume.clone, "worktree", "list", "--porcelain").count("worktree ") == 2


def test_what_cannot_be_kept_is_not_forgotten(volume: Volume) -> None:
    tree = volume.add("issue-1")
    (tree / "only-staged").write_text("staged\n")
    git(tree, "add", ".")
    change(volume.clone)
    shutil.rmtree(tree)
    # No ref can be made where a file has its name.
    in_the_way = volume.clone / ".git" / "refs" / "mesh-six"
    in_the_way.write_text("")
    said = volume.recover()
    assert f"what is not committed in {volume.clone} cannot be rescued" in said
    assert f"what was staged in {tree}, which is gone, cannot be kept" in said
    assert git(volume.clone, "worktree", "list", "--porcelain").count("worktree ") == 2
    in_the_way.unlink()
    volume.recover()
    (kept,) = volume.kept("issue-1")
    assert git(volume.clone, "show", f"{kept}:only-staged") == "staged"


def conflict(volume: Volume) -> Path:
    tree = volume.add("issue-1")
    for folder, text in ((volume.clone, "ours\n"), (tree, "theirs\n")):
        (folder / "code").write_text(text)
        git(folder, "commit", "-qam", text)
    with pytest.raises(subprocess.CalledProcessError):
        git(tree, "merge", "main")
    return tree


def test_an_interrupted_merge_waits_as_it_was(volume: Volume) -> None:
    tree = conflict(volume)
    before = volume.snapshot()
    said = volume.recover()
    assert volume.snapshot() == before
    assert f"git was in the middle of something in {tree} (MERGE_HEAD)" in said
    (kept,) = volume.kept("issue-1")
    assert "<<<<<<<" in git(volume.clone, "show", f"{kept}:code")


def test_a_folder_that_no_repository_knows_is_moved_aside_whole(volume: Volume) -> None:
    tree = volume.add("issue-1")
    change(tree)
    # As when the clone was made anew.
    shutil.rmtree(volume.clone / ".git" / "worktrees")
    said = volume.recover()
    (aside,) = (volume.worktrees / ".rescued").iterdir()
    assert f"all of it is now in {aside}" in said
    assert not tree.exists()
    assert (aside / "ignored").read_text() == "of no interest\n"
    assert (aside / "sub" / "new file").read_text() == "new\n"
    git(volume.clone, "worktree", "add", "-q", str(tree), "issue-1")
    assert volume.recover().count("\n") == 1


def test_a_worktree_that_was_moved_by_hand_is_found_again(volume: Volume) -> None:
    tree = volume.add("issue-1")
    change(tree)
    moved = tree.rename(volume.worktrees / "renamed")
    volume.recover()
    assert str(moved) in git(volume.clone, "worktree", "list", "--porcelain")
    assert len(volume.kept("renamed")) == 1
    # A copy takes nothing from what it was copied of.
    copied = volume.worktrees / "copied"
    shutil.copytree(moved, copied)
    volume.recover()
    assert f"worktree {moved}\n" in git(volume.clone, "worktree", "list", "--porcelain")


def test_a_worktree_that_was_being_made_is_unlocked(volume: Volume) -> None:
    tree = volume.add("issue-1")
    note = volume.clone / ".git" / "worktrees" / "issue-1"
    (note / "locked").write_text("initializing\n")
    (note / "index").unlink()
    locked_by_hand = volume.add("issue-2")
    git(volume.clone, "worktree", "lock", "--reason", "mine", str(locked_by_hand))
    volume.recover()
    assert not (note / "locked").exists()
    assert (volume.clone / ".git" / "worktrees" / "issue-2" / "locked").read_text() == "mine\n"
    git(volume.clone, "worktree", "remove", "--force", str(tree))


def test_a_worktree_on_a_volume_that_is_away_and_locked_is_not_forgotten(volume: Volume) -> None:
    tree = volume.add("issue-1")
    git(volume.clone, "worktree", "lock", str(tree))
    shutil.rmtree(tree)
    volume.recover()
    assert str(tree) in git(volume.clone, "worktree", "list", "--porcelain")


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


def test_a_layout_with_a_bare_repository_is_swept_too(volume: Volume) -> None:
    home = volume.worktrees / "acme-widgets"
    home.mkdir(parents=True)
    bare = home / "bare.git"
    git(volume.clone, "clone", "-q", "--bare", str(volume.clone), str(bare))
    git(bare, "worktree", "add", "-q", "-b", "issue-1", str(home / "issue-1"))
    git(bare, "worktree", "add", "-q", "-b", "issue-2", str(home / "issue-2"))
    change(home / "issue-1")
    shutil.rmtree(home / "issue-2")
    (bare / "worktrees" / "issue-1" / "index.lock").touch()
    volume.recover()
    assert git(bare, "for-each-ref", f"{RESCUES}/acme-widgets/issue-1")
    assert not (bare / "worktrees" / "issue-1" / "index.lock").exists()
    assert git(bare, "worktree", "list", "--porcelain").count("worktree ") == 2


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
