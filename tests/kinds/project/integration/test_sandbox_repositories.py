"""The sandbox's git repositories: a realistic start, and merges as a pull request would make them."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pygit2
import pytest

from reconciler.faces.cli.options import made_outside
from reconciler.kinds import KINDS
from reconciler.kinds.project.sandbox import make_repositories
from reconciler.model.errors import UsageError
from reconciler.sandbox import repositories
from reconciler.sandbox.emulators.store import Store
from reconciler.sandbox.layout import Layout
from reconciler.sandbox.supervisor import Sandbox
from tests.support.kubectl import kustomize


@pytest.fixture
def config(tmp_path: Path) -> Path:
    repositories.seed(tmp_path / "config.git", "config")
    return tmp_path / "config.git"


@pytest.fixture
def projects(tmp_path: Path) -> Path:
    folder = tmp_path / "work" / "projects"
    folder.mkdir(parents=True)
    return folder


def tree(path: Path) -> dict[str, tuple[int, bytes]]:
    repository = pygit2.Repository(str(path))
    index = pygit2.Index()
    index.read_tree(repository.references["refs/heads/main"].peel(pygit2.Tree))
    return {entry.path: (entry.mode, repository[entry.id].data) for entry in index}  # type: ignore[attr-defined]


def test_the_manifests_build_and_look_handmade(tmp_path: Path) -> None:
    repositories.seed(tmp_path / "manifests.git", "manifests")
    checkout = tmp_path / "checkout"
    pygit2.clone_repository(str(tmp_path / "manifests.git"), str(checkout))
    built = kustomize(checkout / "k8s" / "base")
    for kind in ("Namespace", "Deployment", "StatefulSet", "ConfigMap", "ExternalSecret"):
        assert f"\nkind: {kind}\n" in built
    text = (checkout / "k8s" / "base" / "kustomization.yaml").read_text()
    assert all(sign in text for sign in ("  # ", "\n\n\n", '- "', "- '"))


def test_every_sandbox_starts_from_the_same_commit(tmp_path: Path) -> None:
    for name in ("a", "b"):
        repositories.seed(tmp_path / name, "manifests")
    heads = [pygit2.Repository(str(tmp_path / name)).revparse_single("main").id for name in ("a", "b")]
    assert heads[0] == heads[1]


def test_merging_adds_changes_and_deletes_what_came_from_there(config: Path, projects: Path) -> None:
    before = tree(config)
    (projects / "own.yaml").write_text("a: 1\n")
    repositories.merge_projects(config, projects)
    (projects / "own.yaml").unlink()
    assert repositories.unmerged_projects(config, projects) == ["projects/own.yaml"]
    repositories.merge_projects(config, projects)
    assert tree(config) == before
    assert repositories.merge_projects(config, projects) is None


def test_merging_deletes_nothing_that_others_added_or_changed(config: Path, projects: Path) -> None:
    before = tree(config)
    (projects / "team").mkdir()
    (projects / "a.yaml").write_text("a: 1\n")
    (projects / "team" / "b.yaml").write_text("b: 1\n")
    first = repositories.merge_projects(config, projects)
    assert first is not None
    others = projects.parent / "others"
    others.mkdir()
    (others / "a.yaml").write_text("a: 2\n")
    assert repositories.merge_projects(config, others)
    (projects / "a.yaml").unlink()
    (projects / "team" / "b.yaml").write_text("b: 2\n")
    second = repositories.merge_projects(config, projects)
    assert second not in {None, first}
    assert tree(config) == before | {
        "projects/a.yaml": (0o100644, b"a: 2\n"),
        "projects/team/b.yaml": (0o100644, b"b: 2\n"),
    }


def test_nothing_new_is_no_commit(config: Path, projects: Path) -> None:
    assert repositories.merge_projects(config, projects) is None
    (projects / "a.yaml").write_text("a: 1\n")
    assert repositories.merge_projects(config, projects)
    assert repositories.merge_projects(config, projects) is None


def test_links_are_committed_as_links_and_hidden_files_stay(config: Path, projects: Path) -> None:
    secret = projects.parent / "secret.yaml"
    secret.write_text("password: s3cr3t\n")
    (projects / "link.yaml").symlink_to(secret)
    (projects / "folder").symlink_to(projects.parent)
    (projects / ".a.yaml.swp").write_text("x")
    (projects / ".hidden").mkdir()
    (projects / ".hidden" / "b.yaml").write_text("x")
    os.mkfifo(projects / "pipe.yaml")
    repositories.merge_projects(config, projects)
    added = {path: entry for path, entry in tree(config).items() if path.startswith("projects/")}
    assert added.keys() == {"projects/README.md", "projects/link.yaml", "projects/folder"}
    assert added["projects/link.yaml"] == (0o120000, os.fsencode(secret))
    assert added["projects/folder"][0] == 0o120000


def test_a_link_to_a_folder_is_not_a_folder_of_projects(config: Path, projects: Path) -> None:
    (projects.parent / "link").symlink_to(projects)
    for wrong in (projects.parent / "link", projects.parent / "missing"):
        with pytest.raises(UsageError):
            repositories.merge_projects(config, wrong)


def test_merging_is_on_top_of_what_others_pushed(config: Path, projects: Path) -> None:
    repository = pygit2.Repository(str(config))
    (projects / "a.yaml").write_text("a: 1\n")
    first = repositories.merge_projects(config, projects)
    (projects / "b.yaml").write_text("b: 1\n")
    second = repositories.merge_projects(config, projects)
    head = repository.revparse_single("main").peel(pygit2.Commit)
    assert [str(head.id), *map(str, head.parent_ids)] == [second, first]


def test_repositories_are_made_for_plausible_files_only(clean_sandbox: Sandbox, projects: Path) -> None:
    files = {
        "plain.yaml": "# about\nrepoOwner: acme\nrepoName: widgets\n",
        "quoted.yml": "repoName: \"web.site\" # shown\r\nrepoOwner: 'acme'\r\ndefaultBranch: release/1\r\n",
        "half.yaml": "repoOwner: acme\n",
        "null.yaml": "repoOwner: acme\nrepoName:\n",
        "traversal.yaml": "repoOwner: ../..\nrepoName: /etc\n",
        "nested.yaml": "x:\n  repoOwner: acme\n  repoName: nested\n",
        "notes.txt": "repoOwner: acme\nrepoName: notes\n",
        "empty.yaml": "",
    }
    for name, text in files.items():
        (projects / name).write_text(text, newline="")
    (projects / "binary.yaml").write_bytes(b"\xff\xfe\x00" * 100)
    (projects / "huge.yaml").write_bytes(b"a: &a [*a]\n" * 1_000_000)
    (projects / "link.yaml").symlink_to(projects / "plain.yaml")
    contents = repositories.local_files(projects)
    assert len(contents) == len(files) - 1 + 2
    mark = clean_sandbox.mark()
    for _ in range(2):
        assert make_repositories(clean_sandbox, contents) == ["acme/widgets", "acme/web.site"]
    assert clean_sandbox.requests(mark) == []
    assert branches(clean_sandbox) == {"acme/widgets": "main", "acme/web.site": "release/1"}


def branches(sandbox: Sandbox) -> dict[str, str]:
    """Return the default branch of every repository that the emulator has."""
    with closing(Store(Layout(sandbox.directory).store("github"))) as store:
        kept = [each for _, each in store.items("github.repositories")]
    return {f"{each['owner']}/{each['name']}": each["defaultBranch"] for each in kept}


def test_what_is_merged_is_what_every_file_says(config: Path, projects: Path) -> None:
    (projects / "a.yaml").write_text("a: 1\n")
    (projects / "notes.txt").write_text("a: 2\n")
    repositories.merge_projects(config, projects)
    assert repositories.merged_files(config) == repositories.local_files(projects) == [b"a: 1\n"]


def test_the_command_line_makes_what_people_have_made(clean_sandbox: Sandbox, projects: Path) -> None:
    (projects / "widgets.yaml").write_text("repoOwner: acme\nrepoName: widgets\n")
    made_outside(clean_sandbox, KINDS)
    assert branches(clean_sandbox) == {}
    made_outside(clean_sandbox, KINDS, projects)
    assert branches(clean_sandbox) == {"acme/widgets": "main"}
    (projects / "web.yaml").write_text("repoOwner: acme\nrepoName: web\ndefaultBranch: trunk\n")
    clean_sandbox.merge_projects(projects)
    made_outside(clean_sandbox, KINDS)
    assert branches(clean_sandbox) == {"acme/widgets": "main", "acme/web": "trunk"}
