"""What becomes of worktrees that are gone, moved, half made or unknown to git: real git, real worktrees."""

from __future__ import annotations

import shutil

from tests.kinds.project.support.pod import git
from tests.kinds.project.support.volume import RESCUES, Volume, change, conflict


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
