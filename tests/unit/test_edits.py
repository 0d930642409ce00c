"""Edits say what a tree is to hold; applied twice, or to another tree, they say the same."""

from __future__ import annotations

import pytest

from reconciler.git.applied_edits import Fate, apply_edits
from reconciler.git.edits import Edit, Excluded, File, Folder, Gone, Guard, Included, ListEntry, StatusKeys
from reconciler.git.status_text import load_status
from reconciler.git.tree import EMPTY_TREE, Draft, EntryKind, Memory, folder_id, object_id_of
from reconciler.model.item import ItemId

BASE = "k8s/base/kustomization.yaml"


@pytest.fixture
def objects() -> Memory:
    return Memory()


@pytest.fixture
def draft(objects: Memory) -> Draft:
    return Draft(objects, EMPTY_TREE)


def fates(draft: Draft, *edits: Edit) -> list[Fate]:
    return [outcome.fate for outcome in apply_edits(draft, edits)]


def folder(slug: str, **files: bytes) -> Folder:
    return Folder(
        item=ItemId("thing", slug), path=f"envs/{slug}", files={f"{name}.yaml": files[name] for name in files}
    )


def test_a_folder_is_exactly_its_files(draft: Draft) -> None:
    draft.put("envs/a/old.yaml", b"old")
    draft.put("envs/a/deep/er.yaml", b"old")
    draft.put("envs/a/x.yaml/is a folder", b"old")
    draft.put("envs/b/kept.yaml", b"b")
    assert fates(draft, folder("a", x=b"1", y=b"2")) == [Fate.APPLIED]
    assert [entry.path for entry in draft.files()] == ["envs/a/x.yaml", "envs/a/y.yaml", "envs/b/kept.yaml"]
    assert fates(draft, folder("a", x=b"1", y=b"2")) == [Fate.UNCHANGED]


def test_the_id_of_a_folder_is_known_before_it_is_written(draft: Draft) -> None:
    edit = folder("a", x=b"1", y=b"2")
    edit.apply(draft)
    entry = draft.entry("envs/a")
    assert entry is not None
    assert entry.id == folder_id(edit.files)
    assert folder_id({}) == EMPTY_TREE


def test_writing_what_is_there_gives_the_same_tree(objects: Memory, draft: Draft) -> None:
    for path in ("a.b", "a/x", "a0", "a-", "é/\udcff", "deep/er/est"):
        draft.put(path, path.encode("utf-8", "surrogateescape"))
    root = draft.write()
    again = Draft(objects, root)
    assert sorted(entry.path for entry in again.files()) == sorted(entry.path for entry in draft.files())
    assert again.write() == root
    assert again.remove("deep/er/est")
    assert again.entry("deep") is not None  # until it is written
    assert {entry.path for entry in Draft(objects, again.write()).files()} == {
        "a.b",
        "a/x",
        "a0",
        "a-",
        "é/\udcff",
    }


def test_what_people_put_in_the_way_is_left_and_said(objects: Memory) -> None:
    link = objects.write("blob", b"/etc")
    tree = objects.write("tree", b"120000 envs\0" + bytes.fromhex(link))
    draft = Draft(objects, tree)
    entry = ListEntry(item=ItemId("thing", "a"), path=BASE, value="envs/a")
    other = ListEntry(item=ItemId("thing", "b"), path=BASE, value="envs/b")
    outcomes = apply_edits(draft, [folder("a", x=b"1"), entry, other])
    assert [outcome.fate for outcome in outcomes] == [Fate.REFUSED, Fate.REFUSED, Fate.APPLIED]
    assert "symbolic link" in outcomes[0].reason
    assert [(each.path, each.kind) for each in draft.files("envs")] == []
    assert draft.read("envs") is None
    assert draft.read(BASE) == b"resources:\n- envs/b\n"
    found = draft.entry("envs")
    assert found is not None
    assert (found.kind, found.regular) == (EntryKind.LINK, False)


def test_entries_of_one_list_come_together(draft: Draft) -> None:
    draft.put(BASE, b"resources:\n- envs/b # ours\n")
    edits = [ListEntry(item=ItemId("thing", slug), path=BASE, value=f"envs/{slug}") for slug in "cab"]
    assert fates(draft, *edits) == [Fate.APPLIED, Fate.APPLIED, Fate.UNCHANGED]
    assert draft.read(BASE) == b"resources:\n- envs/a\n- envs/b # ours\n- envs/c\n"


def test_a_list_that_cannot_be_edited_stays_and_stops_no_other_file(draft: Draft) -> None:
    draft.put(BASE, b"resources: nonsense\n")
    edits = [
        ListEntry(item=ItemId("thing", "a"), path=BASE, value="envs/a"),
        File(item=None, path="keys/x.pub", content=b"k"),
    ]
    outcomes = apply_edits(draft, edits)
    assert [outcome.fate for outcome in outcomes] == [Fate.REFUSED, Fate.APPLIED]
    assert outcomes[0].remedy
    assert draft.read(BASE) == b"resources: nonsense\n"


def test_a_new_kustomization_starts_as_told(draft: Draft) -> None:
    edit = ListEntry(item=ItemId("thing", "a"), path=BASE, value="envs/a", new_file="kind: Kustomization\n")
    assert fates(draft, edit) == [Fate.APPLIED]
    assert draft.read(BASE) == b"kind: Kustomization\nresources:\n- envs/a\n"


def test_a_guard_leaves_out_all_of_a_project_and_nothing_else(draft: Draft) -> None:
    draft.put("projects/a.yaml", b"new")
    draft.put("projects/b.yaml", b"same")
    stale = Guard("projects/a.yaml", object_id_of("blob", b"old"))
    gone = Guard("projects/c.yaml", object_id_of("blob", b"same"))
    holds = Guard("projects/b.yaml", object_id_of("blob", b"same"))
    guarded = [
        File(item=ItemId("thing", slug), path=f"x/{slug}", content=b"1", guard=guard)
        for slug, guard in (("a", stale), ("c", gone), ("b", holds))
    ]
    outcomes = apply_edits(draft, guarded)
    assert [outcome.fate for outcome in outcomes] == [Fate.LEFT_OUT, Fate.LEFT_OUT, Fate.APPLIED]
    assert "projects/a.yaml changed" in outcomes[0].reason
    assert [entry.path for entry in draft.files("x")] == ["x/b"]


def test_a_guard_that_stands_without_the_file_does_not_stand_with_another(draft: Draft) -> None:
    draft.put("projects/a.yaml", b"new")
    guards = [Guard(f"projects/{name}.yaml", object_id_of("blob", b"old"), or_gone=True) for name in "ac"]
    outcomes = apply_edits(
        draft, [File(item=ItemId("thing", "x"), path="x", content=b"1", guard=guard) for guard in guards]
    )
    assert [outcome.fate for outcome in outcomes] == [Fate.LEFT_OUT, Fate.APPLIED]


def status(document: dict[str, object], consumed: str | None = None) -> StatusKeys:
    return StatusKeys(
        item=ItemId("thing", "a"),
        path="status/a.yaml",
        document=document,  # type: ignore[arg-type]
        human={"oauth": ("sealed",)},
        consumed={"oauth": {"sealed": consumed}} if consumed else {},
    )


def test_a_status_file_that_means_the_same_is_not_rewritten(draft: Draft) -> None:
    text = b'# mine\n{"status": completed, "oauth": {"state": stored}}\n'
    draft.put("status/a.yaml", text)
    assert fates(draft, status({"status": "completed", "oauth": {"state": "stored"}})) == [Fate.UNCHANGED]
    assert draft.read("status/a.yaml") == text


def test_a_persons_entry_that_came_meanwhile_is_kept(draft: Draft) -> None:
    draft.put("status/a.yaml", b"status: x\noauth:\n  sealed: newer\n")
    assert fates(draft, status({"status": "y", "oauth": {"state": "stored"}}, "older")) == [Fate.APPLIED]
    content = draft.read("status/a.yaml")
    assert content is not None
    assert load_status("x", content) == {"status": "y", "oauth": {"state": "stored", "sealed": "newer"}}


def test_a_status_file_that_cannot_be_read_is_never_overwritten(draft: Draft) -> None:
    draft.put("status/a.yaml", b"oauth: {sealed: |\n")
    assert fates(draft, status({"status": "y"})) == [Fate.REFUSED]
    assert draft.read("status/a.yaml") == b"oauth: {sealed: |\n"


def test_a_defect_that_one_edit_meets_is_that_edits(draft: Draft) -> None:
    unwritable = StatusKeys(item=ItemId("thing", "a"), path="status/a.yaml", document={"x": float("inf")})
    outcomes = apply_edits(draft, [unwritable, folder("b", x=b"1")])
    assert [each.fate for each in outcomes] == [Fate.REFUSED, Fate.APPLIED]
    assert "unexpected ValueError" in outcomes[0].reason


def test_a_defect_in_a_list_is_its_entries(draft: Draft) -> None:
    unwritable = ListEntry(item=ItemId("thing", "a"), path=BASE, value="needs: quotes")
    outcomes = apply_edits(draft, [unwritable, folder("b", x=b"1")])
    assert [each.fate for each in outcomes] == [Fate.REFUSED, Fate.APPLIED]
    assert "unexpected ValueError" in outcomes[0].reason


def test_a_place_is_one_in_the_text_that_people_wrote(draft: Draft) -> None:
    draft.put(BASE, b"resources:\n- envs/c\nbases: nonsense\n")
    entry = ListEntry(item=ItemId("thing", "a"), path=BASE, value="envs/a", key="bases")
    assert apply_edits(draft, [entry])[0].reason.startswith(f"{BASE}:3:8: bases is not a list")
    above = ListEntry(item=ItemId("thing", "b"), path=BASE, value="envs/b")
    # By then the line that is wrong is another one, in a text that nobody has seen yet.
    assert apply_edits(draft, [above, entry])[1].reason.startswith(f"{BASE}: bases is not a list")


def test_what_the_proposed_text_would_be_is_not_told_of(draft: Draft) -> None:
    text = b"resources:\n- x\n- |+\n  envs/a\n\n\nk: 1\n"
    draft.put(BASE, text)
    (outcome,) = apply_edits(draft, [ListEntry(item=ItemId("thing", "b"), path=BASE, value="envs/b")])
    assert outcome.reason.startswith(f"{BASE}:2:1: resources cannot be edited without changing something")
    assert draft.read(BASE) == text


def included(slug: str, new_file: str = "") -> Included:
    path = f"k8s/base/envs/{slug}"
    return Included(item=ItemId("thing", slug), root="k8s/base", path=path, new_file=new_file)


def test_what_the_tree_builds_already_gets_no_line_wherever_its_line_is(draft: Draft) -> None:
    draft.put(BASE, b"bases:\n- ./envs\n")
    draft.put("k8s/base/envs/kustomization.yaml", b"resources:\n- a/\n")
    draft.put("k8s/base/envs/a/kustomization.yaml", b"resources: []\n")
    outcomes = apply_edits(draft, [included("a"), included("c"), included("b")])
    assert [outcome.fate for outcome in outcomes] == [Fate.UNCHANGED, Fate.APPLIED, Fate.APPLIED]
    assert [outcome.edit for outcome in outcomes] == [included("a"), included("c"), included("b")]
    assert draft.read(BASE) == b"bases:\n- ./envs\n"
    assert draft.read("k8s/base/envs/kustomization.yaml") == b"resources:\n- a/\n- b\n- c\n"


def test_a_line_goes_only_with_the_files_that_it_names(draft: Draft, objects: Memory) -> None:
    link = objects.write("blob", b"/etc")
    draft = Draft(objects, objects.write("tree", b"120000 envs\0" + bytes.fromhex(link)))
    outcomes = apply_edits(draft, [folder("a", x=b"1"), included("a"), included("b", new_file="kind: K\n")])
    assert [outcome.fate for outcome in outcomes] == [Fate.REFUSED, Fate.REFUSED, Fate.APPLIED]
    assert draft.read(BASE) == b"kind: K\nresources:\n- envs/b\n"


def test_files_stay_while_a_build_names_them(draft: Draft) -> None:
    for slug in "ab":
        draft.put(f"k8s/base/envs/{slug}/kustomization.yaml", b"resources: []\n")
    draft.put(BASE, b"resources:\n-\n  envs/a\n- envs/b\n")
    edits = [
        edit
        for item in (ItemId("thing", "a"), ItemId("thing", "b"))
        for edit in (
            Gone(item=item, path=f"k8s/base/envs/{item.slug}"),
            Excluded(item=item, root="k8s/base", path=f"k8s/base/envs/{item.slug}"),
        )
    ]
    assert fates(draft, *edits) == [Fate.REFUSED, Fate.REFUSED, Fate.APPLIED, Fate.APPLIED]
    assert [entry.path for entry in draft.files()] == ["k8s/base/envs/a/kustomization.yaml", BASE]
    assert draft.read(BASE) == b"resources:\n-\n  envs/a\n"


def test_where_nobody_can_tell_what_is_built_nothing_is_listed_twice(draft: Draft) -> None:
    draft.put(BASE, b"resources:\n- all\n")
    draft.put("k8s/base/all/kustomization.yaml", b"resources: [\n")
    before = draft.write()
    (outcome,) = apply_edits(draft, [included("a")])
    assert outcome.fate is Fate.REFUSED
    assert outcome.reason.startswith("k8s/base/all/kustomization.yaml")
    assert outcome.remedy
    assert draft.write() == before


@pytest.mark.parametrize("loop", [b"resources:\n- ../base\n", b"components:\n- ../base\n"])
def test_a_tree_that_names_itself_comes_to_an_end(draft: Draft, loop: bytes) -> None:
    draft.put(BASE, b"resources:\n- all\n" + loop.replace(b"../base", b"all").replace(b"resources", b"bases"))
    draft.put("k8s/base/all/kustomization.yaml", loop.replace(b"../base", b".."))
    assert apply_edits(draft, [included("a")])[0].fate in {Fate.APPLIED, Fate.REFUSED}


def test_a_folder_whose_name_begins_with_a_dot_is_one_like_others(draft: Draft) -> None:
    draft.put(".k8s/base/kustomization.yaml", b"resources: [envs/a]\n")
    draft.put(".k8s/base/envs/a/kustomization.yaml", b"resources: []\n")
    edits = [
        Included(item=ItemId("thing", slug), root=".k8s/base", path=f".k8s/base/envs/{slug}")
        for slug in ("a", "b")
    ]
    assert fates(draft, *edits) == [Fate.UNCHANGED, Fate.APPLIED]
    assert draft.read(".k8s/base/kustomization.yaml") == b"resources: [envs/a, envs/b]\n"


def test_a_folder_that_is_listed_by_some_of_its_files_is_not_listed_besides(draft: Draft) -> None:
    text = b"resources:\n- envs/a/x.yaml\n"
    draft.put(BASE, text)
    draft.put("k8s/base/envs/a/kustomization.yaml", b"resources: [x.yaml, y.yaml]\n")
    for name in ("x", "y"):
        draft.put(f"k8s/base/envs/a/{name}.yaml", b"kind: K\nmetadata: {name: n}\n")
    (outcome,) = apply_edits(draft, [included("a")])
    assert outcome.fate is Fate.REFUSED
    assert "list the folder in place of its files" in outcome.remedy
    assert draft.read(BASE) == text


@pytest.mark.parametrize(("last", "fate"), [("", Fate.APPLIED), ("namePrefix: p-\n", Fate.REFUSED)])
def test_components_that_name_each_other_again_and_again_are_gone_through_once(
    draft: Draft, last: str, fate: Fate
) -> None:
    levels = 40
    names = [[f"{side}{level}" for side in "lr"] for level in range(levels)]
    draft.put(BASE, b"components: [l0, r0]\n")
    for level, pair in enumerate(names):
        below = f"components: [../l{level + 1}, ../r{level + 1}]\n" if level + 1 < levels else last
        for name in pair:
            draft.put(f"k8s/base/{name}/kustomization.yaml", f"kind: Component\n{below}".encode())
    assert fates(draft, included("a")) == [fate]


@pytest.mark.parametrize("field", ["resources", "components"])
def test_what_goes_deeper_than_anybody_builds_is_refused(draft: Draft, field: str) -> None:
    draft.put(BASE, f"{field}: [d0]\n".encode())
    for level in range(600):
        path = f"k8s/base/d{level}/kustomization.yaml"
        draft.put(path, f"{field}: [../d{level + 1}]\n".encode())
    (outcome,) = apply_edits(draft, [included("a")])
    assert outcome.fate is Fate.REFUSED
    assert "kustomizations deep" in outcome.reason
