"""A repository is fetched and pushed to, against git's own server, with other writers and every refusal."""

from __future__ import annotations

import gc
import itertools
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from reconciler.git import clone
from reconciler.git.applied_edits import Fate
from reconciler.git.edits import Edit, File, Folder, Guard, ListEntry
from reconciler.git.locations import Location
from reconciler.git.repository import Repository
from reconciler.git.tree import EntryKind
from reconciler.model.errors import Denied, Missing, SystemFault, Unavailable
from reconciler.model.item import ItemId
from tests.support.git_server import GitServer, git
from tests.support.serve import serve

SECRET = "token-0123456789-very-secret"


class Place:
    """A bare repository, a server in front of it, and a person's own clone of it."""

    def __init__(self, folder: Path, url: str, server: GitServer) -> None:
        self.folder = folder
        self.bare = folder / "srv" / "config.git"
        self.person = folder / "person"
        self.url = f"{url}/config.git"
        self.server = server

    def repository(self, clones: str = "clones", **changes: object) -> Repository:
        location = Location(**({"address": self.url, "clones": self.folder / clones} | changes))  # type: ignore[arg-type]
        return Repository(location, pause=lambda seconds: None)

    def commit(self, path: str, text: str, *, push: bool = True) -> str:
        """A person changes one file of the newest state and pushes it, without the server in between."""
        if push:
            git(self.person, "fetch", "-q")
            if git(self.bare, "for-each-ref", "refs/heads/main"):
                git(self.person, "reset", "-q", "--hard", "origin/main")
        file = self.person / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        git(self.person, "add", "-A")
        git(self.person, "commit", "-q", "-m", f"person: {path}")
        if push:
            git(self.person, "push", "-q", "origin", "HEAD:main")
        return git(self.person, "rev-parse", "HEAD")

    def hook(self, name: str, script: str) -> None:
        file = self.bare / "hooks" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def show(self, path: str, revision: str = "main") -> str:
        return git(self.bare, "show", f"{revision}:{path}")

    def log(self) -> list[str]:
        return git(self.bare, "log", "--format=%s", "main").splitlines()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    bare = tmp_path / "srv" / "config.git"
    bare.mkdir(parents=True)
    git(bare, "init", "-q", "--bare", "--initial-branch=main")
    git(bare, "config", "http.receivepack", "true")
    git(tmp_path, "clone", "-q", str(bare), "person")
    git(tmp_path / "person", "checkout", "-q", "-B", "main")
    server = GitServer(bare.parent)
    with serve(server) as url:
        yield Place(tmp_path, url, server)


@pytest.fixture(params=["http", "path", "file"])
def anyhow(place: Place, request: pytest.FixtureRequest) -> Place:
    """The place as reached over HTTP, by a path, or by a file URL."""
    if request.param != "http":
        place.url = f"{'file://' if request.param == 'file' else ''}{place.bare}"
    return place


def env(slug: str, text: str = "1", guard: Guard | None = None) -> list[Edit]:
    files = {"a.yaml": text.encode(), "kustomization.yaml": b"resources:\n- a.yaml\n"}
    return [
        Folder(item=ItemId("project", slug), path=f"k8s/base/envs/{slug}", files=files, guard=guard),
        ListEntry(
            item=ItemId("project", slug),
            path="k8s/base/kustomization.yaml",
            value=f"envs/{slug}",
            guard=guard,
        ),
    ]


def test_an_empty_repository_gets_its_first_commit(anyhow: Place) -> None:
    repository = anyhow.repository()
    snapshot = repository.fetch()
    assert (snapshot.commit, snapshot.branch, list(snapshot.files())) == ("", "main", [])
    result = repository.push(env("a"), "Environments: a", {"Reconciler-Pass": "p1"})
    assert git(anyhow.bare, "rev-parse", "main") == result.commit == result.snapshot.commit
    body = git(anyhow.bare, "log", "-1", "--format=%an <%ae>%n%B", "main")
    assert body.splitlines()[0] == "mesh-six reconciler <reconciler@mesh-six.invalid>"
    assert git(anyhow.bare, "log", "-1", "--format=%(trailers:key=Reconciler-Pass,valueonly)") == "p1"
    assert anyhow.show("k8s/base/kustomization.yaml") == "resources:\n- envs/a"
    assert git(anyhow.bare, "fsck", "--strict") == ""
    assert git(anyhow.bare, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_nothing_changed_makes_no_commit_and_no_request_that_writes(place: Place) -> None:
    place.repository().push(env("a"), "first")
    before = git(place.bare, "rev-parse", "main")
    repository = place.repository()
    repository.fetch()
    place.server.requests.clear()
    result = repository.push(env("a"), "second")
    assert (result.commit, place.server.requests) == ("", [])
    assert [outcome.fate for outcome in result.outcomes] == [Fate.UNCHANGED, Fate.UNCHANGED]
    assert git(place.bare, "rev-parse", "main") == before


def test_a_snapshot_shows_what_there_is_and_follows_no_link(place: Place) -> None:
    (place.person / "projects").mkdir()
    (place.person / "projects" / "link.yaml").symlink_to("/etc/passwd")
    (place.person / "projects" / "up").symlink_to("..")
    place.commit("projects/sub/a.yaml", "a")
    head = place.commit("run.sh", "x")
    git(place.person, "update-index", "--add", "--cacheinfo", f"160000,{head},projects/module")
    git(place.person, "update-index", "--chmod=+x", "run.sh")
    git(place.person, "commit", "-q", "-m", "odd")
    git(place.person, "push", "-q", "origin", "main")
    snapshot = place.repository().fetch()
    assert {entry.path: entry.kind for entry in snapshot.files()} == {
        "projects/link.yaml": EntryKind.LINK,
        "projects/module": EntryKind.SUBMODULE,
        "projects/sub/a.yaml": EntryKind.FILE,
        "projects/up": EntryKind.LINK,
        "run.sh": EntryKind.EXECUTABLE,
    }
    assert snapshot.read("projects/link.yaml") is None
    assert snapshot.read("projects/up/run.sh") is None
    assert snapshot.read("projects/sub/a.yaml") == b"a"
    assert snapshot.read("projects/../run.sh") is None
    assert snapshot.folder_id("projects/sub") == git(place.bare, "rev-parse", "main:projects/sub")
    assert snapshot.folder("projects") == {}
    assert snapshot.folder("nowhere") is None
    # Writing back what was read keeps every mode and every link.
    assert snapshot.draft().write() == git(place.bare, "rev-parse", "main^{tree}")


def test_other_revisions_are_fetched_once_and_ancestry_is_known(place: Place) -> None:
    first = place.commit("a", "1")
    repository = place.repository()
    snapshot = repository.fetch()
    second = place.commit("a", "2")
    assert snapshot.at(second).read("a") == b"2"
    assert snapshot.at(first) is snapshot
    newer = repository.fetch()
    assert (newer.contains(first), newer.contains(second), snapshot.contains(second)) == (True, True, False)
    assert newer.at(first).read("a") == b"1"
    for unknown in ("0" * 40, "main", "", first[:10]):
        assert not newer.contains(unknown)
        with pytest.raises(Missing):
            newer.at(unknown)


def test_a_forced_push_is_followed(anyhow: Place) -> None:
    old = anyhow.commit("a", "1")
    repository = anyhow.repository()
    repository.fetch()
    git(anyhow.person, "checkout", "-q", "--orphan", "fresh")
    new = anyhow.commit("b", "2", push=False)
    git(anyhow.person, "push", "-q", "--force", "origin", "fresh:main")
    snapshot = repository.fetch()
    assert (snapshot.commit, snapshot.contains(old)) == (new, False)
    repository.push([File(item=None, path="c", content=b"3")], "ours")
    assert git(anyhow.bare, "rev-list", "--count", "main") == "2"


@pytest.mark.parametrize(
    "harm", ["deleted", "packs gone", "truncated", "not a repository", "one object gone"]
)
def test_a_damaged_clone_is_made_anew(place: Place, harm: str) -> None:
    place.commit("deep/er/a", "1")
    place.repository().fetch()
    gc.collect()  # as after a restart: libgit2 keeps the packs of open repositories in memory
    (cache,) = (place.folder / "clones").iterdir()
    if harm == "deleted":
        shutil.rmtree(cache)
    elif harm == "packs gone":
        shutil.rmtree(cache / "objects")
        (cache / "objects").mkdir()
    elif harm == "truncated":
        for pack in (cache / "objects" / "pack").iterdir():
            pack.chmod(0o600)
            pack.write_bytes(b"PACK")
    elif harm == "not a repository":
        shutil.rmtree(cache)
        cache.mkdir()
        (cache / "HEAD").write_text("nonsense")
    else:
        _lose_a_tree(cache)
    repository = place.repository()
    try:
        content = repository.fetch().read("deep/er/a")
    except Unavailable:
        content = repository.fetch().read("deep/er/a")
    assert content == b"1"


def _lose_a_tree(cache: Path) -> None:
    """Unpack all objects and delete the tree of `deep`, which a fetch does not look at."""
    lost = git(cache, "rev-parse", "refs/reconciler/fetched:deep")
    for pack in list((cache / "objects" / "pack").glob("*.pack")):
        content = pack.read_bytes()
        for file in (cache / "objects" / "pack").glob(f"{pack.stem}.*"):
            file.unlink()
        subprocess.run(["git", "-C", str(cache), "unpack-objects", "-q"], input=content, check=True)
    (cache / "objects" / lost[:2] / lost[2:]).unlink()


def test_a_clone_with_too_many_packs_is_made_anew(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clone, "MOST_PACKS", 2)
    for number in range(6):
        place.commit("a", str(number))
        assert place.repository().fetch().read("a") == str(number).encode()
    (cache,) = (place.folder / "clones").iterdir()
    assert len(list((cache / "objects" / "pack").glob("*.pack"))) <= 3


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) - 1


def test_a_process_that_lives_for_months_holds_no_more_and_more_files_open(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clone, "MOST_PACKS", 4)
    repository = place.repository()
    place.commit("a", "first")
    first = repository.fetch()
    before = _descriptors()
    for number in range(16):
        place.commit("a", str(number))
        assert repository.fetch().read("a") == str(number).encode()
    assert _descriptors() <= before + 4 + 1
    assert first.read("a") == b"first"


def test_a_snapshot_can_be_read_whatever_its_pass_fetches(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the branch was rewritten, so that no new clone would bring the old commit back."""
    monkeypatch.setattr(clone, "MOST_PACKS", 1)
    place.commit("deep/er/a", "1")
    repository = place.repository()
    snapshot = repository.fetch()
    for number in range(4):
        git(place.person, "checkout", "-q", "--orphan", f"fresh-{number}")
        theirs = place.commit("b", str(number), push=False)
        git(place.person, "push", "-q", "--force", "origin", f"fresh-{number}:main")
        assert snapshot.at(theirs).read("b") == str(number).encode()
    repository.push([File(item=None, path="c", content=b"3")], "ours")
    assert snapshot.read("deep/er/a") == b"1"


@pytest.mark.parametrize("spare", [0, 2])
def test_a_process_that_may_open_no_more_files_gives_some_back(place: Place, spare: int) -> None:
    place.url = str(place.bare)
    repository = place.repository()
    for number in range(20):
        place.commit("a", str(number))
        repository.fetch().read("a")
    place.commit("a", "last")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_descriptors() + spare, hard))
    try:
        content = repository.fetch().read("a")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert content == b"last"


def test_other_writers_lose_nothing_and_are_not_lost(anyhow: Place) -> None:
    """Another clone pushes between every fetch and push, in another file and in the very list we edit."""
    anyhow.commit("k8s/base/kustomization.yaml", "resources:\n# mine\n- a.yaml\n")
    repository = anyhow.repository()
    repository.fetch()
    numbers = itertools.count()

    def faster(path: str) -> None:
        number = next(numbers)
        if number < 5:
            listed = "".join(f"- extra-{each}.yaml\n" for each in range(number + 1))
            anyhow.commit("k8s/base/kustomization.yaml", f"resources:\n# mine\n- a.yaml\n{listed}")

    anyhow.server.before = faster
    if not anyhow.url.startswith("http"):
        for _ in range(5):
            faster("")
    result = repository.push(env("w"), "ours")
    assert result.commit == git(anyhow.bare, "rev-parse", "main")
    assert anyhow.log() == ["ours", *["person: k8s/base/kustomization.yaml"] * 6]
    extras = "".join(f"- extra-{each}.yaml\n" for each in range(5))
    text = anyhow.show("k8s/base/kustomization.yaml")
    assert text == f"resources:\n# mine\n- a.yaml\n{extras}- envs/w"


def test_writers_at_once_all_arrive(anyhow: Place) -> None:
    """Three reconcilers and a person with plain git, all pushing at the same time."""
    anyhow.commit("k8s/base/kustomization.yaml", "resources:\n- a.yaml\n")

    def reconciler(name: str) -> None:
        repository = anyhow.repository(name)
        for number in range(5):
            assert repository.push(env(f"{name}-{number}"), name).commit

    def person() -> None:
        for number in range(5):
            while not _pushed(anyhow, f"by-hand/{number}"):
                pass

    with ThreadPoolExecutor() as pool:
        running = [*(pool.submit(reconciler, name) for name in ("one", "two", "three")), pool.submit(person)]
        for each in running:
            each.result()
    assert len(anyhow.log()) == 21
    assert anyhow.show("k8s/base/kustomization.yaml").count("envs/") == 15
    assert len(git(anyhow.bare, "ls-tree", "--name-only", "main:by-hand").splitlines()) == 5


def _pushed(place: Place, path: str) -> bool:
    try:
        place.commit(path, path)
    except AssertionError:
        return False
    return True


def _once(action: Callable[[], object]) -> Callable[[str], None]:
    """Return what does the action when it is first called."""
    left = [action]

    def call(path: str) -> None:
        if left:
            left.pop()()

    return call


def test_a_project_whose_file_changed_meanwhile_is_left_out(place: Place) -> None:
    place.commit("projects/a.yaml", "old")
    place.commit("projects/b.yaml", "same")
    repository = place.repository()
    snapshot = repository.fetch()
    guards = {
        slug: Guard(path, entry.id)
        for slug, path in (("a", "projects/a.yaml"), ("b", "projects/b.yaml"))
        if (entry := snapshot.entry(path))
    }
    place.server.before = _once(lambda: place.commit("projects/a.yaml", "new"))
    result = repository.push([*env("a", guard=guards["a"]), *env("b", guard=guards["b"])], "ours")
    assert [o.fate for o in result.outcomes] == [Fate.LEFT_OUT, Fate.LEFT_OUT, Fate.APPLIED, Fate.APPLIED]
    assert {outcome.edit.item for outcome in result.fates(Fate.LEFT_OUT)} == {ItemId("project", "a")}
    assert git(place.bare, "ls-tree", "--name-only", "main:k8s/base/envs") == "b"
    assert place.show("projects/a.yaml") == "new"


@pytest.mark.parametrize(
    ("name", "script"),
    [
        (
            "pre-receive",
            "echo 'GH013: \033[31mChanges must be made through a pull request\033[0m' >&2; exit 1",
        ),
        ("update", "echo 'GH013: protected branch' >&2; exit 1"),
    ],
)
def test_a_refusing_hook_is_an_error_that_says_what_to_allow(place: Place, name: str, script: str) -> None:
    head = place.commit("a", "1")
    place.hook(name, script)
    repository = place.repository(token=SecretStr(SECRET))
    with pytest.raises(Denied, match="GH013") as raised:
        repository.push(env("a"), "ours")
    text = str(raised.value)
    assert "the reconciler's identity needs to be allowed to push to this branch" in text
    assert "\033" not in text
    assert git(place.bare, "rev-parse", "main") == head


def test_a_server_cannot_make_us_say_our_own_token(place: Place) -> None:
    place.commit("a", "1")
    place.hook("pre-receive", f"echo 'bad {SECRET} at https://me:{SECRET}@example.com/x' >&2; exit 1")
    with pytest.raises(Denied) as raised:
        place.repository(token=SecretStr(SECRET)).push(env("a"), "ours")
    assert SECRET not in str(raised.value)
    assert "me:" not in str(raised.value)


def test_a_right_password_is_used_and_a_wrong_one_ends_soon(place: Place) -> None:
    place.server.password = SECRET
    repository = place.repository(token=SecretStr(SECRET))
    repository.push(env("a"), "ours")
    assert place.log() == ["ours"]
    place.server.requests.clear()
    with pytest.raises(Denied, match="refuses these credentials") as raised:
        place.repository("other", token=SecretStr("wrong-password")).fetch()
    assert "wrong-password" not in str(raised.value)
    assert len(place.server.requests) <= 3
    with pytest.raises(Denied, match=r"config\.token"):
        place.repository("third").fetch()


@pytest.mark.parametrize(
    ("fault", "expected"), [(500, Unavailable), (403, Denied), (404, Missing), (401, Denied)]
)
def test_a_server_that_fails_at_the_push(place: Place, fault: int, expected: type[SystemFault]) -> None:
    head = place.commit("a", "1")
    repository = place.repository(token=SecretStr(SECRET))
    repository.fetch()
    place.server.faults = [fault] * 50
    with pytest.raises(expected):
        repository.push(env("a"), "ours")
    assert git(place.bare, "rev-parse", "main") == head


@pytest.mark.parametrize("fault", [503, 0])
def test_one_fault_at_the_push_is_survived_without_a_second_commit(place: Place, fault: int) -> None:
    place.commit("a", "1")
    repository = place.repository()
    repository.fetch()
    place.server.faults = [fault]
    result = repository.push(env("a"), "ours")
    assert result.commit == git(place.bare, "rev-parse", "main")
    assert place.log() == ["ours", "person: a"]
    assert [outcome.fate for outcome in result.outcomes] == [Fate.APPLIED, Fate.APPLIED]


def test_a_repository_that_is_not_there_or_cannot_be_reached(place: Place, tmp_path: Path) -> None:
    for address, expected in (
        (f"{place.url.removesuffix('config.git')}none.git", Missing),
        (str(tmp_path / "none.git"), Missing),
        ("http://127.0.0.1:1/x.git", Unavailable),
    ):
        with pytest.raises(expected) as raised:
            place.repository(address=address).fetch()
        assert len(str(raised.value)) < 500
        assert "protocol" not in str(raised.value)


def test_a_missing_branch_is_named(place: Place) -> None:
    place.commit("a", "1")
    with pytest.raises(Missing, match="no branch release"):
        place.repository(branch="release").fetch()


def test_the_servers_default_branch_is_used(place: Place) -> None:
    place.commit("a", "1")
    git(place.bare, "branch", "-m", "main", "trunk")
    snapshot = place.repository().fetch()
    assert (snapshot.branch, snapshot.read("a")) == ("trunk", b"1")


def test_a_branch_that_another_writer_has_locked(anyhow: Place) -> None:
    head = anyhow.commit("a", "1")
    repository = anyhow.repository()
    repository.fetch()
    (anyhow.bare / "refs" / "heads" / "main.lock").touch()
    with pytest.raises(SystemFault):
        repository.push(env("a"), "ours")
    assert git(anyhow.bare, "rev-parse", "main") == head
    (anyhow.bare / "refs" / "heads" / "main.lock").unlink()
    assert repository.push(env("a"), "ours").commit == git(anyhow.bare, "rev-parse", "main")


def test_a_thousand_projects_are_one_commit(place: Place) -> None:
    edits = [edit for number in range(1000) for edit in env(f"p{number:04}", str(number))]
    repository = place.repository()
    result = repository.push(edits, "many")
    assert len(result.fates(Fate.APPLIED)) == 2000
    assert place.log() == ["many"]
    assert place.show("k8s/base/kustomization.yaml").count("\n- envs/") == 1000
    assert place.repository("other").fetch().draft().write() == git(place.bare, "rev-parse", "main^{tree}")
