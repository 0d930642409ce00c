"""The config repository as a pass finds it, again and again in one process."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from reconciler.engine.stages.load import load
from reconciler.git.clone import Clone
from reconciler.git.snapshot import Snapshot
from reconciler.git.status_file import dump_status
from reconciler.git.tree import EMPTY_TREE, Draft
from reconciler.kinds import KINDS

LARGE = 100_000
"""Characters of what a status file remembers."""


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path, "config")


def snapshot(clone: Clone, **statuses: str) -> Snapshot:
    draft = Draft(clone, EMPTY_TREE)
    for slug, text in statuses.items():
        draft.put(f"status/{slug}.yaml", dump_status({"status": "completed", "text": text}))
    commit = clone.commit(draft.write(), "", ("a", "a@example.org"), "new")
    return Snapshot(clone, commit, "main", lambda: None)


def test_a_status_file_is_read_anew_when_it_changed(clone: Clone) -> None:
    for text in ("one", "two", "one"):
        assert load(snapshot(clone, widgets=text), KINDS).statuses["widgets"]["text"] == text


def test_what_is_written_again_and_again_does_not_fill_the_memory(clone: Clone) -> None:
    load(snapshot(clone, widgets="x" * LARGE), KINDS)
    tracemalloc.start()
    try:
        for number in range(20):
            # one that changes every time, and one that comes and goes
            load(snapshot(clone, widgets=str(number) * LARGE, **{f"p{number}": "x" * LARGE}), KINDS)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 5 * LARGE
