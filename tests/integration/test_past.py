"""What history tells does not hang on the clocks that it was written by."""

from __future__ import annotations

from pathlib import Path

import pygit2
import pytest

from reconciler.git.clone import Clone
from reconciler.git.past import messages, removals

PATH = "projects/a.yaml"


class Past:
    """A clone in which commits are made with any time."""

    def __init__(self, folder: Path) -> None:
        self.clone = Clone(folder, "https://git.example.org/config.git")
        repository = self.clone.open()
        blob = repository.create_blob(b"repoOwner: x\n")
        projects = repository.TreeBuilder()
        projects.insert("a.yaml", blob, pygit2.enums.FileMode.BLOB)
        top = repository.TreeBuilder()
        self.without = top.write()
        top.insert("projects", projects.write(), pygit2.enums.FileMode.TREE)
        self.having = top.write()

    def commit(self, message: str, time: int, *parents: pygit2.Oid, has: bool) -> pygit2.Oid:
        who = pygit2.Signature("a", "a@example.org", time, 0)
        tree = self.having if has else self.without
        return self.clone.open().create_commit(None, who, who, message, tree, list(parents))


@pytest.fixture
def past(tmp_path: Path) -> Past:
    return Past(tmp_path)


def test_the_last_removal_is_the_one_that_stands_on_the_others(past: Past) -> None:
    begun = past.commit("begin", 100, has=True)
    first = past.commit("remove, by a clock that was ahead", 900, begun, has=False)
    aside = past.commit("something else, meanwhile", 950, first, has=False)
    back = past.commit("put back", 300, first, has=True)
    second = past.commit("remove again", 400, back, has=False)
    head = past.commit("merge", 1000, second, aside, has=False)
    found = removals(past.clone, str(head), [PATH])[PATH]
    assert (found.commit, found.before) == (str(second), str(back))
    said = list(messages(past.clone, str(head), str(begun)))
    assert said.index("remove again") < said.index("remove, by a clock that was ahead")
    assert said.index("put back") < said.index("remove, by a clock that was ahead")
    earlier = list(past.clone.history(str(head), 10))
    assert earlier.index(str(second)) < earlier.index(str(first))
