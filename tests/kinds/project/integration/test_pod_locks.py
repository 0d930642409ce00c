"""Which files of a killed git are removed, and that no file of anybody's is: real git, real worktrees."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.kinds.project.support.pod import git
from tests.kinds.project.support.volume import Volume

THEIRS = ("Cargo.lock", "HEAD.lock", "refs/heads/yarn.lock", "modules/uv.lock", "objects/info/x.lock")
"""Files that people and their tools make, some in places like those where git makes its locks."""


def leave_theirs(folder: Path) -> list[Path]:
    """Leave files of somebody in a folder, and return them."""
    for name in THEIRS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("theirs\n")
    return [folder / name for name in THEIRS]


def bare(volume: Volume, folder: Path) -> Path:
    git(volume.clone, "clone", "-q", "--bare", str(volume.clone), str(folder))
    return folder


@pytest.mark.parametrize(
    "place",
    [
        "wt",
        "wt/deep/er",
        "refs/wt",
        "refs/heads/wt",
        "logs/wt",
        "worktrees/place",
        "modules/wt",
        "info/wt",
        "sequencer",
    ],
)
def test_a_worktree_within_gits_own_folder_keeps_its_files(volume: Volume, place: str) -> None:
    repositories = [volume.clone / ".git", bare(volume, volume.worktrees / "tool.git")]
    theirs = []
    for repository in repositories:
        for name, tree in (
            ("within", repository / place),
            ("beside", volume.worktrees / f"by{repository.name}"),
        ):
            git(repository, "worktree", "add", "-q", "-b", f"{name}-branch", str(tree))
            theirs += leave_theirs(tree)
        (repository / "index.lock").touch()
    volume.recover()
    assert [path for path in theirs if not path.exists()] == []
    assert [str(path) for path in repositories if (path / "index.lock").exists()] == []
    # What is no ref, and lies where refs are, is damage to the check after each test.
    shutil.rmtree(repositories[0] / place)


def test_a_repository_elsewhere_keeps_its_locks_and_its_notes(volume: Volume, tmp_path: Path) -> None:
    elsewhere = bare(volume, tmp_path / "elsewhere.git")
    git(elsewhere, "worktree", "add", "-q", "-b", "near", str(volume.worktrees / "near"))
    (elsewhere / "worktrees" / "away").mkdir()
    theirs = leave_theirs(elsewhere)
    pointing = volume.worktrees / "pointing"
    pointing.mkdir(parents=True)
    (pointing / ".git").write_text(f"gitdir: {elsewhere}\n")
    said = volume.recover()
    assert [path for path in theirs if not path.exists()] == []
    assert (elsewhere / "worktrees" / "away").exists()
    assert said.count(f"the repository {elsewhere} lies elsewhere") == 1


def test_a_folder_that_is_repository_and_work_tree_keeps_its_files(volume: Volume) -> None:
    both = bare(volume, volume.worktrees / "both.git")
    (both / "Cargo.lock").write_text("theirs\n")
    (both / "index.lock").touch()
    git(both, "worktree", "add", "-q", "-b", "beside", str(volume.worktrees / "beside"))
    volume.recover()
    assert (both / "Cargo.lock").exists()
    assert not (both / "index.lock").exists()


def test_every_lock_of_git_is_removed_also_those_of_submodules(volume: Volume) -> None:
    inner = bare(volume, volume.folder / "inner.git")
    tree = volume.add("issue-1")
    git(tree, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "deps/inner")
    common = volume.clone / ".git"
    names = [
        "index.lock", "HEAD.lock", "ORIG_HEAD.lock", "config.lock", "config.worktree.lock",
        "packed-refs.lock", "shallow.lock", "gc.pid.lock", "refs/heads/a/b.lock", "logs/refs/heads/main.lock",
        "info/sparse-checkout.lock",
        "objects/info/commit-graph.lock", "objects/info/commit-graphs/commit-graph-chain.lock",
        "objects/pack/multi-pack-index.lock", "objects/maintenance.lock",
        "worktrees/issue-1/index.lock", "worktrees/issue-1/refs/bisect/bad.lock",
        "worktrees/issue-1/rebase-merge/git-rebase-todo.lock", "worktrees/issue-1/sequencer/todo.lock",
        "worktrees/issue-1/modules/deps/inner/index.lock",
        "worktrees/issue-1/modules/deps/inner/refs/heads/main.lock",
    ]  # fmt: skip
    locks = [common / name for name in names]
    for lock in locks:
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    said = volume.recover()
    assert [str(lock) for lock in locks if lock.exists() or str(lock) not in said] == []
    git(tree / "deps" / "inner", "commit", "-q", "--allow-empty", "-m", "Two")
