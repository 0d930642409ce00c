"""Our own look at a kustomize tree refuses nothing that kustomize builds, and stops at no hostile file."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pytest

from reconciler.git.build_check import Checker, Findings
from reconciler.git.tree import Draft, Memory, object_id_of
from tests.support.kustomize_trees import kustomize_trees

TREES = kustomize_trees()
FILE, LINK, FOLDER = b"100644", b"120000", b"40000"
OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n"


def draft(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> Draft:
    """Return a tree of files and links, all below the folder `base`."""
    objects = Memory()
    leaves = [(name, FILE, content) for name, content in files.items()]
    leaves += [(name, LINK, target.encode()) for name, target in (links or {}).items()]
    folders: dict[str, dict[str, tuple[bytes, str]]] = {"": {}}
    for name, mode, content in leaves:
        folder, _, last = f"base/{name}".rpartition("/")
        folders.setdefault(folder, {})[last] = (mode, objects.write("blob", content))
        while folder:
            folder = folder.rpartition("/")[0]
            folders.setdefault(folder, {})
    for folder in sorted(folders, key=lambda path: (path.count("/"), path), reverse=True):
        rows = sorted(folders[folder].items(), key=lambda row: row[0] + "/" * (row[1][0] == FOLDER))
        tree = b"".join(
            b"%s %s\0%s" % (mode, name.encode(), bytes.fromhex(each)) for name, (mode, each) in rows
        )
        object_id = objects.write("tree", tree)
        if folder:
            parent, _, last = folder.rpartition("/")
            folders[parent][last] = (FOLDER, object_id)
    return Draft(objects, object_id_of("tree", tree))


def findings(**files: str | bytes) -> Findings:
    """Check a tree with the default kustomization; two underscores of a name stand for a dot."""
    contents = {"kustomization.yaml": b"resources:\n- x.yaml\n"}
    for name, content in files.items():
        contents[name.replace("__", ".")] = content.encode() if isinstance(content, str) else content
    return Checker().check(draft(contents), "base")


@pytest.mark.parametrize("name", TREES)
def test_only_what_kustomize_refuses_is_refused(name: str) -> None:
    tree = TREES[name]
    found = Checker().check(draft(tree.files, tree.links), "base")
    assert (found.failure == "") is tree.passes, found.failure
    assert tree.passes or not tree.builds


def test_a_failure_names_the_line() -> None:
    broken = findings(x__yaml=f"{OBJECT}---\n{OBJECT.replace('name: x', 'name: y')}---\nkind: [\n")
    assert broken.failure.startswith("base/x.yaml:11:7: is not YAML")
    twice = findings(x__yaml=f"---\n{OBJECT}data:\n  a: b\n  a: c\n")
    assert twice.failure == "base/x.yaml:8:3: says 'a' twice"


def test_what_is_elsewhere_is_nobodys_fault() -> None:
    remote = findings(
        kustomization__yaml="resources: [x.yaml]\npatches: [{path: 'https://x.example/p'}]\n", x__yaml=OBJECT
    )
    assert remote == Findings("", remote=True)


def test_hostile_files_end_at_once_and_stop_nobody() -> None:
    letters = "abcdefghi"
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in pairwise(letters)
    )
    lists = "a: &a {kind: List, items: []}\n" + "".join(
        f"{b}: &{b} {{kind: List, items: [{','.join(['*' + a] * 9)}]}}\n" for a, b in pairwise(letters)
    )
    merges = "a: &a {" + ", ".join(f"k{n}: v" for n in range(1000)) + "}\nb:\n" + "- {<<: *a}\n" * 100_000
    for hostile in (
        f"{OBJECT}{bomb}",
        f"{lists}kind: List\nitems: [*i,*i,*i,*i,*i,*i,*i,*i,*i]\n",
        f"{OBJECT}{merges}",
        f"{OBJECT}data: {'[' * 100_000}{']' * 100_000}\n",
        f"{OBJECT}data: [{'1,' * 2_000_000}]\n",
        f"{OBJECT}data: {'- ' * 500_000}x\n"[: 4 * 1024 * 1024],
        f"{OBJECT}---\n" + "a\n" * 3_000_000,
        OBJECT + "---\n" * 100_000,
    ):
        assert "not YAML" in (failure := findings(x__yaml=hostile).failure) or not failure


def test_a_thing_that_names_itself_in_its_own_words_has_no_end() -> None:
    assert "nowhere before" in findings(x__yaml=f"{OBJECT}data: &d {{a: *d}}\n").failure


def test_kustomizations_that_name_one_another_often_are_looked_at_once() -> None:
    files = {f"{n}/kustomization.yaml": f"resources: [../{n + 1}, ../{n + 1}/]\n".encode() for n in range(49)}
    files["49/kustomization.yaml"] = b"resources: []\n"
    files["kustomization.yaml"] = b"resources: ['0']\n"
    assert Checker().check(draft(files), "base").failure == ""
