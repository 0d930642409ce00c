"""What becomes of work that only git's notes of worktrees lead to: real git, real worktrees."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.kinds.project.support.pod import git
from tests.kinds.project.support.volume import RESCUES, Volume, change


def notes(volume: Volume) -> Path:
    return volume.clone / ".git" / "worktrees"


def alone(volume: Volume, place: Path) -> str:
    """Make a worktree with a commit on no branch there, and return the commit."""
    git(volume.clone, "worktree", "add", "-q", "--detach", str(place))
    git(
        place, "commit", "-q", "--allow-empty", "-m", f"On no branch, in {len(list(notes(volume).iterdir()))}"
    )
    return git(place, "rev-parse", "HEAD")


def reachable(volume: Volume) -> set[str]:
    """Return all commits that refs lead to; HEAD and reflogs, which vanish with a worktree, are not asked."""
    return set(git(volume.clone, "rev-list", "--all").splitlines())


def damage(note: Path, how: str) -> None:
    if how == "missing":
        note.unlink()
    else:
        note.write_bytes({"empty": b"", "zeros": b"\0" * 40, "cut": note.read_bytes()[:-3]}[how])


@pytest.mark.parametrize("how", ["empty", "missing", "zeros", "cut"])
def test_a_worktree_whose_note_is_damaged_is_found_again(volume: Volume, how: str) -> None:
    tree = volume.worktrees / "issue-1"
    commit = alone(volume, tree)
    change(tree)
    damage(notes(volume) / "issue-1" / "gitdir", how)
    said = volume.recover()
    assert f"told git where the worktree {tree} is" in said
    assert git(tree, "rev-parse", "HEAD") == commit
    assert f"worktree {tree}\n" in git(volume.clone, "worktree", "list", "--porcelain")
    (kept,) = volume.kept("issue-1")
    assert git(tree, "rev-parse", f"{kept}^") == commit
    assert "told git" not in volume.recover()


@pytest.mark.parametrize("how", ["empty", "missing", "zeros"])
def test_a_damaged_note_of_a_worktree_that_is_not_found_stays_and_its_commit_is_kept(
    volume: Volume, how: str
) -> None:
    tree = volume.clone / ".git" / "wt" / "issue-1"
    commit = alone(volume, tree)
    gone = volume.add("gone")
    note = notes(volume) / "issue-1"
    damage(note / "gitdir", how)
    shutil.rmtree(gone)
    said = volume.recover()
    assert f"git's note {note} is damaged and stays" in said
    assert commit in reachable(volume)
    assert git(tree, "rev-parse", "HEAD") == commit
    # It keeps no other from being forgotten, and is kept once.
    assert not (note.parent / "gone").exists()
    volume.recover()
    assert len(volume.kept("issue-1")) == 1


def test_a_worktree_that_another_took_the_place_of_keeps_its_commit(volume: Volume) -> None:
    names = ("moved", "taken", "gone", "taker", "other-taker")
    moved, taken, gone, taker, other_taker = (volume.worktrees / name for name in names)
    commits = {tree: alone(volume, tree) for tree in (taken, gone, taker, other_taker)}
    # One is moved away and one is deleted; each one's place is taken by another.
    taken.rename(moved)
    taker.rename(taken)
    shutil.rmtree(gone)
    other_taker.rename(gone)
    volume.recover()
    assert [git(tree, "rev-parse", "HEAD") for tree in (moved, taken, gone)] == [
        commits[tree] for tree in (taken, taker, other_taker)
    ]
    listed = git(volume.clone, "worktree", "list", "--porcelain").splitlines()
    assert {line for line in listed if line.startswith("worktree ")} == {
        f"worktree {tree}" for tree in (volume.clone, moved, taken, gone)
    }
    assert commits[gone] in reachable(volume)


def in_conflict(volume: Volume, operation: str) -> Path:
    """Return a worktree in the middle of that operation, with an autostash."""
    tree = volume.add("issue-1")
    for folder, text in ((volume.clone, "ours\n"), (tree, "theirs\n")):
        (folder / "code").write_text(text)
        git(folder, "commit", "-qam", text)
    (tree / "readme").write_text("autostashed\n")
    with pytest.raises(Exception, match="returned non-zero"):
        git(tree, *operation.split(), "--autostash", "main")
    return tree


@pytest.mark.parametrize("operation", ["merge", "rebase", "rebase --apply"])
def test_autostashed_work_of_a_worktree_that_is_gone_is_kept(volume: Volume, operation: str) -> None:
    tree = in_conflict(volume, operation)
    # What is left of it is no conflict, so that nothing else keeps the note.
    git(tree, "add", "code")
    shutil.rmtree(tree)
    said = volume.recover()
    found = [ref for ref in volume.kept("issue-1") if ref.lower().endswith("autostash")]
    assert [git(volume.clone, "show", f"{ref}:readme") for ref in found] == ["autostashed"]
    assert found[0] in said
    assert not (notes(volume) / "issue-1").exists()


def test_a_merge_with_conflicts_does_not_keep_its_autostash_from_being_kept(volume: Volume) -> None:
    tree = in_conflict(volume, "merge")
    shutil.rmtree(tree)
    assert "for a person to look at" in volume.recover()
    (kept,) = volume.kept("issue-1")
    assert git(volume.clone, "show", f"{kept}:readme") == "autostashed"


def test_refs_of_a_worktree_that_is_gone_are_kept(volume: Volume) -> None:
    tree = volume.worktrees / "issue-1"
    commit = alone(volume, tree)
    git(tree, "update-ref", "refs/worktree/mine", "HEAD")
    (tree / "note").write_text("on no branch\n")
    blob = git(tree, "hash-object", "-w", "note")
    git(tree, "update-ref", "refs/worktree/a/note", blob)
    shutil.rmtree(tree)
    volume.recover()
    listed = git(volume.clone, "for-each-ref", "--format=%(objectname)", RESCUES)
    assert {commit, blob} <= set(listed.split())
    assert not (notes(volume) / "issue-1").exists()


def test_a_commit_in_the_middle_of_a_bisection_is_kept(volume: Volume) -> None:
    tree = volume.worktrees / "issue-1"
    alone(volume, tree)
    git(tree, "commit", "-q", "--allow-empty", "-m", "Bad")
    bad = git(tree, "rev-parse", "HEAD")
    git(tree, "bisect", "start", "HEAD", "main")
    shutil.rmtree(tree)
    volume.recover()
    assert bad in reachable(volume)


def test_a_note_with_repositories_of_submodules_is_not_forgotten(volume: Volume) -> None:
    inner = volume.folder / "inner.git"
    git(volume.clone, "clone", "-q", "--bare", str(volume.clone), str(inner))
    tree = volume.add("issue-1")
    git(tree, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "inner")
    git(tree / "inner", "commit", "-q", "--allow-empty", "-m", "Only here")
    commit = git(tree / "inner", "rev-parse", "HEAD")
    shutil.rmtree(tree)
    said = volume.recover()
    note = notes(volume) / "issue-1"
    assert f"there are repositories in {note}" in said
    assert (note / "modules" / "inner" / "objects" / commit[:2] / commit[2:]).exists()


def test_a_note_whose_commit_cannot_be_read_is_not_forgotten(volume: Volume) -> None:
    tree = volume.worktrees / "issue-1"
    alone(volume, tree)
    note = notes(volume) / "issue-1"
    head = (note / "HEAD").read_text()
    (note / "HEAD").write_text(head[:-2])
    shutil.rmtree(tree)
    said = volume.recover()
    assert f"{note} stays" in said
    (note / "HEAD").write_text(head)
    volume.recover()
    assert head.strip() in reachable(volume)
