"""Before a push the tree is built; who breaks it is left out, and a tree that is broken already says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from reconciler.git import build_gate
from reconciler.git.build_gate import BUILTIN, Gate, find_binary
from reconciler.git.edits import Edit, Folder, Included
from reconciler.git.inclusion import Naming
from reconciler.git.locations import Location
from reconciler.git.manifest_tree import NEW_KUSTOMIZATION, ManifestTree
from reconciler.git.repository import Repository
from reconciler.git.snapshot import Snapshot
from reconciler.model.errors import ConfigurationError, Missing
from reconciler.model.item import ItemId
from reconciler.settings.giving import Sections
from tests.support.git_server import git
from tests.support.kubectl import kubectl

BASE = "k8s/base/kustomization.yaml"
KUSTOMIZATION = b"resources:\n- object.yaml\n"


@pytest.fixture(params=["kubectl", BUILTIN])
def setting(request: pytest.FixtureRequest) -> str:
    return BUILTIN if request.param == BUILTIN else str(kubectl())


def snapshot(
    folder: Path, files: Mapping[str, str | bytes], links: Mapping[str, str] | None = None
) -> Snapshot:
    git(folder, "init", "-q", "--initial-branch=main", "work")
    work = folder / "work"
    for name, content in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(content.encode() if isinstance(content, str) else content)
    for name, target in (links or {}).items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).symlink_to(target)
    git(work, "add", "-A")
    git(work, "commit", "-q", "--allow-empty", "-m", "base")
    git(folder, "clone", "-q", "--bare", "work", "base.git")
    return Repository(Location(address=str(folder / "base.git"), clones=folder / "clones")).fetch()


def gate(base: Snapshot, setting: str) -> Gate:
    return Gate(Sections({"manifests": {"kustomize": setting}}, {}), base)


def config_map(name: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: mesh-six\n"


def project(slug: str) -> ItemId:
    return ItemId("project", slug)


def slugs(items: Iterable[ItemId]) -> set[str]:
    return {item.slug for item in items}


def env(slug: str, content: str | None = None, kustomization: bytes = KUSTOMIZATION) -> list[Edit]:
    files = {"kustomization.yaml": kustomization, "object.yaml": (content or config_map(slug)).encode()}
    return [
        Folder(item=project(slug), path=f"k8s/base/envs/{slug}", files=files),
        Included(
            item=project(slug), root="k8s/base", path=f"k8s/base/envs/{slug}", new_file=NEW_KUSTOMIZATION
        ),
    ]


def test_good_edits_pass_in_a_new_repository(tmp_path: Path, setting: str) -> None:
    result = gate(snapshot(tmp_path, {"README.md": "x"}), setting).check(
        {project("a"): env("a"), project("b"): env("b")}
    )
    assert (slugs(result.accepted), dict(result.culprits), result.base_failure) == ({"a", "b"}, {}, None)


def test_culprits_are_left_out_and_named(tmp_path: Path, setting: str) -> None:
    base = snapshot(
        tmp_path,
        {
            BASE: "resources:\n- envs/first\n",
            "k8s/base/envs/first/kustomization.yaml": "resources:\n- x.yaml\n",
            "k8s/base/envs/first/x.yaml": config_map("first"),
        },
    )
    edits = {project(f"good-{number}"): env(f"good-{number}") for number in range(9)}
    edits[project("not-yaml")] = env("not-yaml", "a: [b")
    edits[project("twice")] = env("twice", config_map("first"))
    edits[project("nameless")] = env("nameless", "apiVersion: v1\nkind: ConfigMap\n")
    edits[project("path")] = env("path", kustomization=b"resources:\n- nowhere.yaml\n")
    edits[project("field")] = env("field", kustomization=b"resources:\n- object.yaml\nresource: []\n")
    result = gate(base, setting).check(edits)
    assert result.base_failure is None
    assert slugs(result.accepted) == {f"good-{number}" for number in range(9)}
    assert slugs(result.culprits) == {"not-yaml", "twice", "nameless", "path", "field"}
    assert "nowhere.yaml" in result.culprits[project("path")]
    assert "first" in result.culprits[project("twice")]
    for reason in result.culprits.values():
        assert str(tmp_path) not in reason
        assert "/tmp" not in reason
        assert len(reason) < 350


def test_two_that_clash_with_each_other_cost_only_one(tmp_path: Path, setting: str) -> None:
    result = gate(snapshot(tmp_path, {"README.md": "x"}), setting).check(
        {
            project("a"): env("a", config_map("same")),
            project("b"): env("b", config_map("same")),
            project("c"): env("c"),
        }
    )
    assert len(result.accepted) == 2
    assert project("c") in result.accepted


def test_who_has_the_name_of_a_culprit_in_another_kind_is_none(tmp_path: Path, setting: str) -> None:
    other = ItemId("other", "a")
    entry = Included(item=other, root="k8s/base", path="k8s/base/others/a", new_file=NEW_KUSTOMIZATION)
    files = {"kustomization.yaml": KUSTOMIZATION, "object.yaml": config_map("other").encode()}
    good = [Folder(item=other, path="k8s/base/others/a", files=files), entry]
    result = gate(snapshot(tmp_path, {"README.md": "x"}), setting).check(
        {project("a"): env("a", "a: [b"), other: good}
    )
    assert (set(result.accepted), set(result.culprits)) == ({other}, {project("a")})


def test_a_base_that_is_broken_already_stops_all_and_says_why(tmp_path: Path, setting: str) -> None:
    base = snapshot(tmp_path, {BASE: "resources:\n- gone.yaml\n"})
    result = gate(base, setting).check({project("a"): env("a")})
    assert result.accepted == set()
    assert "gone.yaml" in (result.base_failure or "")


def test_what_people_abbreviate_is_read_in_full(tmp_path: Path, setting: str) -> None:
    merged = "apiVersion: v1\nkind: ConfigMap\nx: &x {name: first}\nmetadata: {<<: *x, namespace: mesh-six}\n"
    alias = "apiVersion: v1\nkind: ConfigMap\nmetadata: &m {name: second, namespace: mesh-six}\nx: *m\n"
    folder = "k8s/base/envs/people"
    base = snapshot(
        tmp_path,
        {
            BASE: "resources:\n- envs/people\n",
            f"{folder}/kustomization.yaml": "resources: &r\n- merged.yaml\n- alias.yaml\n",
            f"{folder}/merged.yaml": merged,
            f"{folder}/alias.yaml": alias,
        },
    )
    edits = {project(name): env(name, config_map(name)) for name in ("first", "second", "third")}
    result = gate(base, setting).check(edits)
    assert (slugs(result.accepted), result.base_failure) == ({"third"}, None)
    assert slugs(result.culprits) == {"first", "second"}


def test_an_empty_base_is_not_a_broken_one(tmp_path: Path, setting: str) -> None:
    base = snapshot(tmp_path, {BASE: NEW_KUSTOMIZATION + "resources: []\n"})
    result = gate(base, setting).check({project("a"): env("a"), project("bad"): env("bad", "a: [b")})
    assert (slugs(result.accepted), slugs(result.culprits), result.base_failure) == ({"a"}, {"bad"}, None)


def test_a_template_that_breaks_all_is_not_built_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_gate, "MOST_BUILDS", 10)
    base = snapshot(tmp_path, {"README.md": "x"})
    everyone = [project(f"p{number}") for number in range(60)]
    result = gate(base, BUILTIN).check({each: env(each.slug, "a: [b") for each in everyone})
    assert set(result.culprits) == set(everyone)
    assert any("too many" in reason for reason in result.culprits.values())


def test_edits_that_mend_the_base_pass(tmp_path: Path, setting: str) -> None:
    base = snapshot(
        tmp_path,
        {
            BASE: "resources:\n- envs/a\n",
            "k8s/base/envs/a/kustomization.yaml": "resources:\n- object.yaml\n",
            "k8s/base/envs/a/object.yaml": "a: [b",
        },
    )
    assert gate(base, setting).check({project("a"): env("a")}).accepted == {project("a")}


def test_what_is_beside_the_base_is_there_for_the_build(tmp_path: Path, setting: str) -> None:
    base = snapshot(
        tmp_path,
        {
            BASE: "namePrefix: mesh-\nresources:\n- ../common\n- linked\ncomponents:\n- ../../component\n",
            "k8s/common/kustomization.yaml": "namePrefix: common-\nresources:\n- object.yaml\n",
            "k8s/common/object.yaml": "---\n---\n" + config_map("a"),
            "component/kustomization.yaml": "kind: Component\nnameSuffix: -x\n",
            "real/kustomization.yaml": "configMapGenerator:\n- name: made\n  literals: [a=b]\n",
        },
        links={"k8s/base/linked": "../../real", "out": "/etc", "up": "../.."},
    )
    result = gate(base, setting).check({project("a"): env("a")})
    assert (slugs(result.accepted), result.base_failure) == ({"a"}, None)


def test_a_base_with_remote_parts_is_checked_by_us(tmp_path: Path, setting: str) -> None:
    base = snapshot(tmp_path, {BASE: "resources:\n- https://127.0.0.1:1/remote.yaml\n"})
    result = gate(base, setting).check({project("a"): env("a"), project("bad"): env("bad", "a: [b")})
    assert (slugs(result.accepted), slugs(result.culprits), result.base_failure) == ({"a"}, {"bad"}, None)


def test_no_edits_need_no_program(tmp_path: Path) -> None:
    base = snapshot(tmp_path, {BASE: "resources: [broken.yaml]\n"})
    assert gate(base, str(kubectl())).check({}).accepted == set()


def test_the_program_is_the_one_that_is_set() -> None:
    assert find_binary(BUILTIN) is None
    assert find_binary(str(kubectl())) == (str(kubectl()), "kustomize")
    with pytest.raises(ConfigurationError, match=r"manifests\.kustomize"):
        find_binary("/nowhere/kustomize")


def test_resources_see_one_commit_and_may_ask_about_others(tmp_path: Path) -> None:
    base = snapshot(
        tmp_path,
        {
            "k8s/base/kustomization.yml": "namePrefix: p-\nresources:\n- ./envs/a/\n",
            "k8s/base/envs/a/kustomization.yaml": "x: 1",
        },
    )
    first = base.commit
    tree = ManifestTree(base)
    here, there = "k8s/base/envs/a", "k8s/base/envs/b"
    assert (tree.naming("k8s/base", here), tree.naming("k8s/base", there)) == (Naming("p-"), None)
    blobs = tree.blobs("k8s/base/envs/a") or {}
    assert {name: tree.content(blob) for name, blob in blobs.items()} == {"kustomization.yaml": b"x: 1"}
    assert tree.holds_only("k8s/base/envs/a", blobs)
    assert tree.folder_id("k8s/base/envs/a") == tree.id_of({"kustomization.yaml": b"x: 1"})
    repository = Repository(Location(address=str(tmp_path / "base.git"), clones=tmp_path / "clones"))
    entry = Included(item=project("b"), root="k8s/base", path=there)
    folder = Folder(item=project("b"), path="k8s/base/envs/b", files={"kustomization.yaml": b""})
    second = repository.push([folder, entry], "b").commit
    assert (
        tree.naming("k8s/base", there, revision=second),
        tree.naming("k8s/base", there, revision=first),
    ) == (Naming("p-"), None)
    assert tree.folder_at(second, "k8s/base/envs/b") == tree.id_of({"kustomization.yaml": b""})
    assert tree.folder_at(first, "k8s/base/envs/b") is None
    assert tree.naming("k8s/base", there) is None
    with pytest.raises(Missing):
        tree.folder_at("1" * 40, "k8s/base/envs/b")
