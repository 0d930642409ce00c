"""The repositories' content: one real bare git repository each, made when first looked at.

Knows git and nothing of routes or rights. A `repository` is the document kept by `repositories.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import pygit2
from pygit2.enums import FileMode

Document = Mapping[str, Any]
BOT = ("mesh-six", "mesh-six@users.noreply.github.com")


class GitStore:
    """Folders `<numeric id>.git` below one directory."""

    def __init__(self, directory: Path, clock: Callable[[], datetime]) -> None:
        self._directory = directory
        self._clock = clock
        # A handle costs 0.2 ms to open and some memory to keep.
        self._handle = lru_cache(maxsize=64)(self._open)

    def open(self, repository: Document) -> pygit2.Repository:
        """Return the bare repository, made with its first commit if nobody looked at it before."""
        path = self._directory / f"{repository['id']}.git"
        if not (path / "HEAD").exists():
            self._make(path, repository)
        return self._handle(str(path))

    def is_empty(self, repository: Document) -> bool:
        """Whether it has no branch at all."""
        return not any(True for name in self.open(repository).references if name.startswith("refs/heads/"))

    def branch(self, repository: Document, name: str) -> pygit2.Commit | None:
        """Return the branch's commit, or None."""
        git = self.open(repository)
        reference = git.references.get(f"refs/heads/{name}")
        return reference.peel(pygit2.Commit) if reference is not None else None

    def resolve(self, repository: Document, revision: str) -> pygit2.Commit | None:
        """Return the commit of a branch, tag, sha, full reference or HEAD, or None."""
        if revision in {"", "HEAD"}:
            revision = repository["defaultBranch"]
        if found := self.branch(repository, revision.removeprefix("refs/heads/")):
            return found
        try:
            return self.open(repository).revparse_single(revision).peel(pygit2.Commit)
        except (KeyError, ValueError, pygit2.GitError):
            return None

    def entry(self, commit: pygit2.Commit, path: str) -> pygit2.Object | None:
        """Return the blob, tree or submodule at a path, the root tree for an empty path, or None."""
        if not path:
            return commit.tree
        try:
            return commit.tree[path]
        except KeyError:
            return None

    def blob(self, repository: Document, content: bytes) -> pygit2.Oid:
        """Store a blob."""
        return self.open(repository).create_blob(content)

    def commit_files(
        self,
        repository: Document,
        branch: str,
        files: Mapping[str, bytes | None],
        message: str,
        author: tuple[str, str] = BOT,
        committer: tuple[str, str] | None = None,
    ) -> pygit2.Commit:
        """Commit onto a branch, which need not exist in an empty repository; None removes a path.

        A commit is made even when nothing differs, as GitHub does.
        """
        git = self.open(repository)
        parent = self.branch(repository, branch)
        index = pygit2.Index()
        if parent is not None:
            index.read_tree(parent.tree)
        for path, content in files.items():
            if content is not None:
                index.add(pygit2.IndexEntry(path, git.create_blob(content), FileMode.BLOB))
            elif path in index:
                index.remove(path)
        oid = git.create_commit(
            f"refs/heads/{branch}",
            self._signature(author),
            self._signature(committer or author),
            message,
            index.write_tree(git),
            [parent.id] if parent is not None else [],
        )
        return git[oid].peel(pygit2.Commit)

    def merge_base(self, repository: Document, one: str, other: str) -> str | None:
        """Return the sha of the best common ancestor."""
        found = self.open(repository).merge_base(pygit2.Oid(hex=one), pygit2.Oid(hex=other))
        return str(found) if found else None

    def merged_tree(self, repository: Document, base: str, head: str) -> pygit2.Oid | None:
        """Return the tree of merging head into base, None when they conflict."""
        git = self.open(repository)
        index = git.merge_commits(pygit2.Oid(hex=base), pygit2.Oid(hex=head))
        return None if index.conflicts is not None else index.write_tree(git)

    def commit_tree(
        self, repository: Document, branch: str, tree: pygit2.Oid, parents: list[str], message: str
    ) -> str:
        """Commit a tree onto a branch and return the sha."""
        who = self._signature(BOT)
        ids: list[pygit2.Oid | str] = [pygit2.Oid(hex=parent) for parent in parents]
        git = self.open(repository)
        return str(git.create_commit(f"refs/heads/{branch}", who, who, message, tree, ids))

    def _open(self, path: str) -> pygit2.Repository:
        return pygit2.Repository(path)

    def _signature(self, who: tuple[str, str]) -> pygit2.Signature:
        return pygit2.Signature(who[0], who[1], int(self._clock().timestamp()), 0)

    def _make(self, path: Path, repository: Document) -> None:
        head = f"refs/heads/{repository['defaultBranch']}"
        pygit2.init_repository(path, bare=True, initial_head=head)
        if not repository["empty"]:
            files = {"README.md": f"# {repository['name']}\n", **repository["files"]}
            encoded = {name: text.encode() for name, text in files.items()}
            self.commit_files(repository, repository["defaultBranch"], encoded, "Initial commit")
