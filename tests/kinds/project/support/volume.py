"""The volume of a pod's worktrees, with real git on it, and the recovery that a pod's start runs there."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.kinds.project.support.pod import git

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


def change(tree: Path) -> None:
    """Leave work of every sort in a tree, none of it committed."""
    (tree / "code").write_text("changed\n")
    (tree / "old").unlink()
    (tree / "staged").write_text("staged\n")
    git(tree, "add", "staged")
    (tree / "sub").mkdir()
    (tree / "sub" / "new file").write_text("new\n")
    (tree / "ignored").write_text("of no interest\n")


def conflict(volume: Volume) -> Path:
    """Return a worktree in the middle of a merge that cannot go on by itself."""
    tree = volume.add("issue-1")
    for folder, text in ((volume.clone, "ours\n"), (tree, "theirs\n")):
        (folder / "code").write_text(text)
        git(folder, "commit", "-qam", text)
    try:
        git(tree, "merge", "main")
    except subprocess.CalledProcessError:
        return tree
    raise AssertionError("there was no conflict")
