"""Files whose names cannot be written back, and files and folders that are too much to be read."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from reconciler.engine.file_names import wrong_name
from reconciler.engine.stages.load import load
from reconciler.git import tree
from reconciler.git.applied_edits import Fate, apply_edits
from reconciler.git.clone import Clone
from reconciler.git.edits import StatusKeys
from reconciler.git.inclusion import included
from reconciler.git.snapshot import Snapshot
from reconciler.git.status_text import dump_status, load_status
from reconciler.git.tree import EMPTY_TREE, Draft
from reconciler.model.errors import BeyondBounds, InvalidFile
from reconciler.model.item import ItemId
from reconciler.model.yaml_read import BOUNDS
from tests.unit.test_load import KINDS, SECTIONS, clone, snapshot

__all__ = ["clone"]

HUGE = 100 * 1024 * 1024
ONE = ItemId("box", "one")
STRANGE = {
    "bad-\udcff.yaml": "bad-\\udcff.yaml",
    "a\nb.yaml": "a\\nb.yaml",
    "a\x07b.yaml": "a\\x07b.yaml",
    "a\u202eb.yaml": "a\\u202eb.yaml",
    "\udcff/one.yaml": "\\udcff/one.yaml",
    "a\u2028b.yaml": "a\\u2028b.yaml",
    "../one.yaml": "../one.yaml",
    ".GIT/one.yaml": ".GIT/one.yaml",
    f"{'x' * 600}.yaml": "xxx",
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_name_that_cannot_be_written_back_is_refused_and_its_item_is_held(clone: Clone, name: str) -> None:
    """Also where the file is a renamed one: what it asks for is not gone."""
    document = {"status": "completed", "kind": "box", "source": "projects/one.yaml"}
    files = {f"projects/{name}": "name: one\n", "projects/two.yaml": "name: two\n"}
    loaded = load(snapshot(clone, {**files, "status/box/one.yaml": dump_status(document)}), KINDS, SECTIONS)
    assert [item.slug for item in loaded.items] == ["two"]
    (error,) = loaded.broken
    assert str(error).isprintable()
    assert f"projects/{STRANGE[name]}" in str(error)
    assert "rename it" in error.remedy
    assert loaded.frozen == {ONE}
    assert not loaded.gone


def test_every_name_that_is_taken_comes_back_from_a_status_file() -> None:
    """Each sign that there is, in one document: what is not taken cannot harm."""
    signs = [chr(number) for number in range(0x110000)]
    taken = "".join(sign for sign in signs if wrong_name(f"projects/a{sign}b.yaml") is None)
    assert len(taken) > 100_000
    document = {"sources": [taken[start : start + 5_000] for start in range(0, len(taken), 5_000)]}
    for source in document["sources"]:
        assert load_status("x", dump_status({"source": source})) == {"source": source}


@pytest.mark.parametrize("other", ["projects/ONE.yaml", "projects/onE.YAML"])
def test_two_names_that_some_disks_cannot_tell_apart(clone: Clone, other: str) -> None:
    """The newcomer is refused; with nothing to tell which that is, both are."""
    files = {"projects/one.yaml": "name: one\n", other: "name: other\n"}
    loaded = load(snapshot(clone, files), KINDS, SECTIONS)
    same = other.lower() == "projects/one.yaml"
    assert [item.slug for item in loaded.items] == ([] if same else ["one", "other"])
    document = dump_status({"status": "completed", "source": "projects/one.yaml"})
    loaded = load(snapshot(clone, {**files, "status/box/one.yaml": document}), KINDS, SECTIONS)
    assert "one" in [item.slug for item in loaded.items]
    composed = {"projects/caf\u00e9.yaml": "name: a\n", "projects/cafe\u0301.yaml": "name: b\n"}
    assert {error.path for error in load(snapshot(clone, composed), KINDS, SECTIONS).broken} == set(composed)


@pytest.mark.parametrize(
    "path", ["projects/huge.yaml", "status/box/huge.yaml", "status/huge.yaml", "projects/x/huge.yml"]
)
def test_a_huge_file_is_an_error_of_its_own_and_is_never_read(clone: Clone, path: str) -> None:
    found = snapshot(clone, {"projects/two.yaml": "name: two\n", path: b"a" * HUGE})
    tracemalloc.start()
    try:
        loaded = load(found, KINDS, SECTIONS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < HUGE / 20
    assert [item.slug for item in loaded.items] == ["two"]
    (error,) = loaded.broken
    assert isinstance(error, BeyondBounds)
    assert (error.path, error.message) == (path, f"has {HUGE} bytes; the most is {BOUNDS.size}")


def test_what_an_edit_or_a_build_would_read_is_bounded_too(clone: Clone) -> None:
    files = {"status/box/one.yaml": b"a" * HUGE, "k8s/base/kustomization.yaml": b"a" * HUGE}
    draft = snapshot(clone, files).draft(clone)
    edit = StatusKeys(item=ONE, path="status/box/one.yaml", document={"status": "completed"})
    tracemalloc.start()
    try:
        (outcome,) = apply_edits(draft, [edit])
        broken = included(draft, "k8s/base").broken
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < HUGE / 20
    assert (outcome.fate, "bytes; the most is" in outcome.reason) == (Fate.REFUSED, True)
    assert isinstance(broken, InvalidFile)


def _commit(clone: Clone, root: str) -> Snapshot:
    commit = clone.commit(root, "", ("a", "a@example.org"), "new")
    return Snapshot(clone, commit, "main", lambda: None)


def _folder(clone: Clone, **names: str) -> str:
    return clone.write(
        "tree", b"".join(b"40000 %s\0%s" % (name.encode(), bytes.fromhex(i)) for name, i in names.items())
    )


def test_a_few_objects_that_make_any_number_of_files_end_the_pass_with_a_sentence(
    clone: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "MOST_FILES", 5_000)
    draft = Draft(clone, EMPTY_TREE)
    for number in range(10):
        draft.put(f"{number}.yaml", b"name: one\n")
    root = draft.write()
    for _ in range(8):
        root = _folder(clone, **{f"f{number}": root for number in range(10)})
    with pytest.raises(BeyondBounds, match="more than 5000 files"):
        load(_commit(clone, _folder(clone, projects=root)), KINDS, SECTIONS)


@pytest.mark.parametrize("where", ["projects", "status"])
def test_folders_without_end_end_the_pass_with_a_sentence(clone: Clone, where: str) -> None:
    draft = Draft(clone, EMPTY_TREE)
    draft.put("one.yaml", b"name: one\n")
    root = draft.write()
    for _ in range(3_000):
        root = _folder(clone, d=root)
    with pytest.raises(BeyondBounds, match="folders deep") as raised:
        load(_commit(clone, _folder(clone, **{where: root})), KINDS, SECTIONS)
    assert raised.value.path.startswith(f"{where}/d/d")


def test_what_a_message_says_can_always_be_written_down(tmp_path: Path) -> None:
    error = InvalidFile("bad-\udcff", "k8s/\udcff is a link", remedy="rename \udcff")
    document = {"reason": error.message, "remedy": error.remedy}
    assert load_status("x", dump_status(document)) == document
    (tmp_path / "log").write_text(str(error), encoding="utf-8")
