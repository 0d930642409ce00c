"""What the history of a branch tells: which commit took a file away, and what the messages since then say.

Reads commits and trees; knows no kind and no file by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pygit2

from reconciler.git.clone import NEWEST_FIRST, Clone

MOST_COMMITS = 100_000
"""So far back is looked. What is longer ago than that has other ways to be found out."""


@dataclass(frozen=True)
class Removal:
    """A commit that does not have a file which the one before it, `before`, has with the content `blob`."""

    commit: str
    before: str
    blob: str
    moment: datetime


def removals(clone: Clone, head: str, paths: Iterable[str]) -> dict[str, Removal]:
    """Return, by path, the newest commit up to `head` that took it away; nothing for what none has.

    One walk for all of them, which ends with the last one found.
    """
    open_ones = {path for path in paths if path and path.isprintable()}
    found: dict[str, Removal] = {}
    for commit in _commits(clone, head, set()) if open_ones else ():
        for parent in commit.parents:
            if parent.tree_id == commit.tree_id:
                continue
            for path in _touched(commit.tree, parent.tree, open_ones):
                moment = datetime.fromtimestamp(max(commit.commit_time, 0), UTC)
                blob = str(parent.tree[path].id)
                found[path] = Removal(str(commit.id), str(parent.id), blob, moment)
                open_ones.discard(path)
        if not open_ones:
            break
    return found


def messages(clone: Clone, head: str, without: str) -> Iterator[str]:
    """Yield the messages of the commits that `head` has and the commit `without` has not, newest first."""
    for commit in _commits(clone, head, {without}):
        yield commit.raw_message.decode("utf-8", "replace")


def _commits(clone: Clone, head: str, hidden: set[str]) -> Iterator[pygit2.Commit]:
    try:
        walk = clone.open().walk(pygit2.Oid(hex=head), NEWEST_FIRST)
        for each in hidden:
            walk.hide(pygit2.Oid(hex=each))
        for number, commit in enumerate(walk):
            if number >= MOST_COMMITS:
                return
            yield commit
    except (KeyError, pygit2.GitError) as error:
        raise clone.damage() from error


def _touched(now: pygit2.Tree, before: pygit2.Tree, paths: Iterable[str]) -> list[str]:
    """Return the paths at which `before` has a file and `now` has nothing.

    Most commits leave the folders alone that they are in: then no path is looked up.
    """
    folders = {path.partition("/")[0] for path in paths}
    same = {name for name in folders if name in now and name in before and now[name].id == before[name].id}
    if same == folders:
        return []
    return [
        path
        for path in paths
        if path.partition("/")[0] not in same
        and path not in now
        and path in before
        and isinstance(before[path], pygit2.Blob)
    ]
