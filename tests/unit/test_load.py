"""The config repository as a pass finds it, again and again in one process."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest

from reconciler.engine.kind import Kind, Kinds
from reconciler.engine.stages.load import load
from reconciler.git.clone import Clone
from reconciler.git.snapshot import Snapshot
from reconciler.git.status_text import dump_status
from reconciler.git.tree import EMPTY_TREE, Draft
from reconciler.model.item import Identity, ItemId, Spec
from reconciler.model.json import Json, Object
from reconciler.settings.giving import Sections
from tests.kinds.lamp.kind import LAMP


class BoxSpec(Spec):
    """A kind whose files need not name it, as there was one before there were several."""

    kind: Literal["box"] = "box"
    name: str

    def default_slug(self) -> str:
        return self.name

    def claim(self) -> str:
        if self.name == "stuck":
            raise ZeroDivisionError("secret detail")
        return f"box {self.name}"


def identity_before(document: Object) -> Identity | None:
    return Identity(f"box {document['was']}") if "was" in document else None


BOX = Kind("box", BoxSpec, (), identity_before=identity_before)


KINDS = Kinds((LAMP, BOX))
SECTIONS = Sections({}, {})
KITCHEN = ItemId("lamp", "kitchen")
LARGE = 100_000
"""Characters of what a status file remembers."""


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path, "config")


def with_texts(clone: Clone, **statuses: str) -> Snapshot:
    documents = {
        f"status/lamp/{slug}.yaml": dump_status({"status": "completed", "text": text})
        for slug, text in statuses.items()
    }
    return snapshot(clone, documents)


def snapshot(clone: Clone, files: Mapping[str, bytes | str]) -> Snapshot:
    draft = Draft(clone, EMPTY_TREE)
    for path, content in files.items():
        draft.put(path, content.encode() if isinstance(content, str) else content)
    commit = clone.commit(draft.write(), "", ("a", "a@example.org"), "new")
    return Snapshot(clone, commit, "main", lambda: None)


def test_a_status_file_is_read_anew_when_it_changed(clone: Clone) -> None:
    for text in ("one", "two", "one"):
        assert load(with_texts(clone, kitchen=text), KINDS, SECTIONS).statuses[KITCHEN]["text"] == text


def test_what_is_written_again_and_again_does_not_fill_the_memory(clone: Clone) -> None:
    load(with_texts(clone, kitchen="x" * LARGE), KINDS, SECTIONS)
    tracemalloc.start()
    try:
        for number in range(20):
            # one that changes every time, and one that comes and goes
            load(
                with_texts(clone, kitchen=str(number) * LARGE, **{f"p{number}": "x" * LARGE}), KINDS, SECTIONS
            )
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 5 * LARGE


LAMP_FILE = "kind: lamp\nroom: kitchen\n"


def status(source: str, **more: Json) -> str:
    return dump_status({"status": "completed", "source": source, **more}).decode()


def test_slugs_and_names_are_of_one_kind_each(clone: Clone) -> None:
    files = {"projects/a.yaml": LAMP_FILE, "projects/b.yaml": "name: kitchen\n"}
    loaded = load(snapshot(clone, files), KINDS, SECTIONS)
    assert [str(item.id) for item in loaded.items] == ["lamp/kitchen", "box/kitchen"]
    assert loaded.broken == ()
    files = {"projects/a.yaml": LAMP_FILE, "projects/b.yaml": f"{LAMP_FILE}slug: other\n"}
    assert len(load(snapshot(clone, files), KINDS, SECTIONS).broken) == 2


def test_a_changed_kind_is_refused_and_what_there_was_stays(clone: Clone) -> None:
    files = {
        "projects/x.yaml": "name: kitchen\n",
        "status/lamp/kitchen.yaml": status("projects/x.yaml", identity={"claim": "room kitchen"}),
    }
    loaded = load(snapshot(clone, files), KINDS, SECTIONS)
    (error,) = loaded.broken
    assert "the kind is fixed" in error.message
    assert "lamp/kitchen" in error.message
    assert "write `kind: lamp`" in error.remedy
    assert loaded.items == ()
    assert loaded.frozen == {KITCHEN}
    assert loaded.gone == frozenset()


def test_a_changed_slug_is_refused(clone: Clone) -> None:
    files = {
        "projects/x.yaml": f"{LAMP_FILE}slug: den\n",
        "status/lamp/kitchen.yaml": status("projects/x.yaml", identity={"claim": "room kitchen"}),
    }
    (error,) = load(snapshot(clone, files), KINDS, SECTIONS).broken
    assert "write `slug: kitchen`" in error.remedy


def test_another_thing_under_the_same_slug_is_refused_where_nothing_outside_could_tell(clone: Clone) -> None:
    files = {
        "projects/x.yaml": "kind: lamp\nroom: den\nslug: kitchen\n",
        "status/lamp/kitchen.yaml": status("projects/x.yaml", identity={"claim": "room kitchen"}),
    }
    loaded = load(snapshot(clone, files), KINDS, SECTIONS)
    (error,) = loaded.broken
    assert "is room kitchen, and would become room den" in error.message
    assert loaded.frozen == {KITCHEN}


def test_a_status_file_of_before_there_were_kinds_is_read_and_is_to_move(clone: Clone) -> None:
    files = {"status/old.yaml": status("projects/old.yaml", was="old"), "projects/old.yaml": "name: old\n"}
    loaded = load(snapshot(clone, files), KINDS, SECTIONS)
    old = ItemId("box", "old")
    assert loaded.moving == {old: "status/old.yaml"}
    assert loaded.status(old)["identity"] == {"claim": "box old", "proof": ""}
    assert loaded.gone == frozenset()


def test_two_status_files_of_one_item_are_told_and_the_newer_place_counts(clone: Clone) -> None:
    files = {
        "status/old.yaml": status("projects/old.yaml", text="flat"),
        "status/box/old.yaml": status("projects/old.yaml", text="right"),
        "projects/old.yaml": "name: old\n",
    }
    loaded = load(snapshot(clone, files), KINDS, SECTIONS)
    (error,) = loaded.broken
    assert (error.path, "status/box/old.yaml" in error.remedy) == ("status/old.yaml", True)
    assert loaded.status(ItemId("box", "old"))["text"] == "right"
    assert loaded.moving == {}


def test_status_files_of_a_kind_that_is_not_here_are_told_and_left_alone(clone: Clone) -> None:
    files = {f"status/boat/{name}.yaml": status(f"projects/{name}.yaml") for name in "ab"}
    loaded = load(snapshot(clone, {**files, "projects/a.yaml": "kind: boat\n"}), KINDS, SECTIONS)
    assert loaded.statuses == {}
    assert sorted(error.path for error in loaded.broken) == ["projects/a.yaml", "status/boat"]
    assert "2 status files" in str([error.message for error in loaded.broken])


def test_without_a_first_kind_a_file_has_to_name_its_own(clone: Clone) -> None:
    files = {"projects/x.yaml": "room: kitchen\n", "status/old.yaml": status("projects/x.yaml")}
    loaded = load(snapshot(clone, files), Kinds((LAMP,)), SECTIONS)
    assert [error.message for error in loaded.broken] == ["kind is missing"]
    assert loaded.statuses == {}


def test_a_defect_that_one_file_meets_is_that_files(clone: Clone) -> None:
    files = {"projects/bad.yaml": "name: stuck\n", "projects/good.yaml": LAMP_FILE}
    loaded = load(snapshot(clone, files), KINDS, SECTIONS)
    assert [item.id for item in loaded.items] == [KITCHEN]
    (error,) = loaded.broken
    assert (error.path, error.message) == ("projects/bad.yaml", "unexpected ZeroDivisionError")


@pytest.mark.parametrize(
    "newcomer",
    ["kind: lamp\nroom: kitchen\n", "kind: lamp\nroom: hall\nslug: kitchen\n"],
    ids=["claim", "slug"],
)
def test_whoever_names_what_is_there_already_is_refused_alone(clone: Clone, newcomer: str) -> None:
    settled = dump_status({"status": "completed", "source": "projects/mine.yaml"})
    files = {"projects/mine.yaml": "kind: lamp\nroom: kitchen\n", "projects/other.yaml": newcomer}
    loaded = load(snapshot(clone, {**files, "status/lamp/kitchen.yaml": settled}), KINDS, SECTIONS)
    assert [item.source.path for item in loaded.items] == ["projects/mine.yaml"]
    (error,) = loaded.broken
    assert error.path == "projects/other.yaml"
    assert "also claimed by projects/mine.yaml" in error.message
    # Nothing says which of two was first.
    assert len(load(snapshot(clone, files), KINDS, SECTIONS).broken) == 2


@pytest.mark.parametrize("value", [".inf", "12e45678", "-.INF", ".nan"])
def test_a_status_file_with_an_infinite_number_is_named_and_left_as_it_is(clone: Clone, value: str) -> None:
    files = {
        "projects/a.yaml": "kind: lamp\nroom: kitchen\n",
        "status/lamp/kitchen.yaml": f"status: completed\nbulb:\n  state: pending\n  sealed: {value}\n",
    }
    loaded = load(snapshot(clone, files), KINDS, SECTIONS)
    (error,) = loaded.broken
    assert (error.path, error.line) == ("status/lamp/kitchen.yaml", 4)
    assert "bulb.sealed is no finite number" in error.message
    assert KITCHEN in loaded.unreadable_statuses
