"""A file that a commit took away: disabled at once, had back in time, else taken away and forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.engine.configuration import load_sections
from reconciler.engine.cycle import Cycle
from reconciler.engine.orphans import find
from reconciler.engine.result import PassResult
from reconciler.faces.offboarding import commit, prepare
from reconciler.kinds import KINDS
from reconciler.model.outcome import Condition, Status
from reconciler.sandbox.supervisor import Sandbox
from tests.kinds.project.evidence.item import owner_of, slug_of
from tests.kinds.project.support.inventory import Inventory, inventory, totals
from tests.support.reconciling import git, merge, settle_at_once, status, without_kustomize
from tests.support.systems import Systems

WEEK = timedelta(days=7, minutes=1)
SOON = timedelta(hours=1, minutes=1)
MOST_PASSES = 12


class House:
    """A sandbox whose clock can be put forward."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder
        self.now = datetime.now(UTC)

    def cycle(self, **environment: str) -> Cycle:
        environ = {**self.sandbox.environment(), **environment}
        sections = load_sections(self.sandbox.configuration_file(), environ)
        return Cycle(sections, KINDS, clock=lambda: self.now)

    def onboard(self, *names: str, more: str = "") -> list[str]:
        slugs = [slug_of(name) for name in names]
        files = {
            slug_of(name): f"repoOwner: {owner_of(name)}\nrepoName: {name}\nskipAuth: true\n{more}"
            for name in names
        }
        merge(self.sandbox, self.folder, **files)
        assert settle_at_once(self.sandbox).exit_code == 0
        return slugs

    def remove(self, *slugs: str, message: str = "remove") -> None:
        self.commit({f"projects/{slug}.yaml": None for slug in slugs}, message)

    def commit(self, files: dict[str, str | None], message: str = "change") -> str:
        repository = self.sandbox.environment()["CONFIG_REPOSITORY"]
        work = self.folder.parent / f"work-{len(list(self.folder.parent.glob('work-*')))}"
        git(".", "clone", "-q", repository, str(work))
        for path, text in files.items():
            if text is None:
                (work / path).unlink()
            else:
                (work / path).parent.mkdir(parents=True, exist_ok=True)
                (work / path).write_text(text, encoding="utf-8")
        git(str(work), "add", "-A")
        git(str(work), "commit", "-qm", message)
        git(str(work), "push", "-q", "origin", "HEAD:main")
        return git(str(work), "rev-parse", "HEAD").strip()

    def text(self, slug: str) -> str:
        return (self.folder / f"{slug}.yaml").read_text(encoding="utf-8")

    def settle(self, **environment: str) -> PassResult:
        """Run passes at this time until nothing is awaited any more."""
        cycle = self.cycle(**environment)
        for _ in range(MOST_PASSES):
            result = cycle.run()
            if result.again_in is None:
                return result
            self.sandbox.emulator("argocd", "POST", "/_emulator/skip", {"seconds": 3})
        raise AssertionError(
            [
                (each.slug, o.resource, o.reason)
                for each in result.reports
                for o in each.outcomes
                if o.again_in
            ]
        )

    def after(self, length: timedelta) -> PassResult:
        self.now += length
        return self.settle()

    def of(self, slug: str) -> Inventory:
        (name,) = [name for name in self._names if slug_of(name) == slug]
        return inventory(self.sandbox, name)

    _names: tuple[str, ...] = ("leaver", "stayer", "other", "third")

    def heads(self) -> tuple[str, ...]:
        names = ("CONFIG_REPOSITORY", "MANIFESTS_REPOSITORY")
        return tuple(git(self.sandbox.environment()[name], "rev-parse", "main") for name in names)

    def has_status(self, slug: str) -> bool:
        repository = self.sandbox.environment()["CONFIG_REPOSITORY"]
        return f"status/project/{slug}.yaml" in git(repository, "ls-tree", "-r", "--name-only", "main")


@pytest.fixture(scope="module", autouse=True)
def _without_kustomize(sandbox: Sandbox) -> Iterator[None]:
    with without_kustomize(sandbox):
        yield


@pytest.fixture
def house(clean_sandbox: Sandbox, tmp_path: Path) -> House:
    return House(clean_sandbox, tmp_path / "projects")


def said(result: PassResult, slug: str) -> Any:
    return next(each for each in result.reports if each.slug == slug)


def wrong(result: PassResult) -> list[str]:
    return [*result.problems] + [
        f"{each.slug}/{outcome.resource}: {outcome.reason}"
        for each in result.reports
        for outcome in each.outcomes
        if outcome.condition in {Condition.ERROR, Condition.UNKNOWN}
    ]


def test_it_is_disabled_then_removed_and_leaves_what_is_peoples(house: House) -> None:
    leaver, stayer = house.onboard("leaver", "stayer")
    before, neighbour = house.of(leaver), house.of(stayer)
    house.remove(leaver)
    result = house.settle()
    assert wrong(result) == []
    assert said(result, leaver).status == Status.OFFBOARDING
    assert house.of(stayer) == neighbour
    assert before != house.of(leaver)
    heads = house.heads()
    assert house.settle().commits == ()
    assert house.heads() == heads
    assert wrong(house.after(WEEK)) == []
    result = house.after(SOON)
    assert wrong(result) == []
    assert said(result, leaver).status == Status.REMOVED
    assert not house.has_status(leaver)
    assert house.of(stayer) == neighbour


def test_what_is_put_back_in_time_is_as_it_was(house: House) -> None:
    leaver, _ = house.onboard("leaver", "stayer")
    before, counted = house.of(leaver), totals(house.sandbox)
    text = house.text(leaver)
    house.remove(leaver)
    assert wrong(house.settle()) == []
    assert house.of(leaver) != before
    house.commit({f"projects/{leaver}.yaml": text})
    result = house.after(timedelta(days=3))
    assert wrong(result) == []
    assert house.of(leaver) == before
    assert totals(house.sandbox) == counted


def test_a_file_that_only_moved_is_no_removal(house: House) -> None:
    leaver, stayer = house.onboard("leaver", "stayer")
    before = house.of(leaver)
    house.commit({f"projects/{leaver}.yaml": None, f"projects/team/{leaver}.yaml": house.text(leaver)})
    result = house.settle()
    assert wrong(result) == []
    assert said(result, leaver).status == Status.COMPLETED
    # two files that change places
    texts = {
        f"projects/team/{leaver}.yaml": house.text(stayer),
        f"projects/{stayer}.yaml": house.text(leaver),
    }
    house.commit({**texts})
    result = house.settle()
    assert wrong(result) == []
    assert {each.status for each in result.reports} == {Status.COMPLETED}
    assert house.of(leaver) == before


def test_a_commit_that_moves_a_file_and_gives_it_another_slug_removes_nothing(house: House) -> None:
    (leaver,) = house.onboard("leaver")
    before = house.of(leaver)
    house.commit(
        {f"projects/{leaver}.yaml": None, "projects/new.yaml": f"{house.text(leaver)}slug: another\n"}
    )
    for _ in range(2):
        result = house.after(WEEK)
        assert result.exit_code == 1
        assert said(result, "another").outcomes[0].remedy == f"write slug: {leaver}"
        assert f"write `slug: {leaver}` there" in said(result, leaver).todo
        assert without_status(house.of(leaver)) == without_status(before)


def test_a_broken_file_that_came_with_the_removal_may_be_the_same_one(house: House) -> None:
    (leaver,) = house.onboard("leaver")
    before = house.of(leaver)
    house.commit({f"projects/{leaver}.yaml": None, "projects/team/x.yaml": "repoOwner: [oops\n"})
    for _ in range(3):
        result = house.after(WEEK)
        assert "projects/team/x.yaml is broken" in said(result, leaver).todo
        assert without_status(house.of(leaver)) == without_status(before)
    house.commit({"projects/team/x.yaml": house.text(leaver)})
    assert wrong(house.settle()) == []
    assert house.of(leaver) == before


def test_the_waiting_begins_anew_with_a_new_removal(house: House) -> None:
    (leaver,) = house.onboard("leaver")
    text = house.text(leaver)
    house.remove(leaver)
    house.settle()
    house.commit({f"projects/{leaver}.yaml": text})
    house.after(timedelta(days=6))
    house.remove(leaver)
    house.settle()
    house.after(timedelta(days=6))
    house.after(SOON)
    assert status(house.sandbox, leaver)["removal"]["state"] == "disabled"
    house.after(timedelta(days=2))
    assert said(house.after(SOON), leaver).status == Status.REMOVED


def test_many_at_once_are_held_until_each_is_named(house: House) -> None:
    names = tuple(f"many{number}" for number in range(5))
    slugs = house.onboard(*names)
    before = {name: inventory(house.sandbox, name) for name in names}
    house.remove(*slugs, message="clean up\n\nOffboard: project/acme-somebody-else, project/third")
    result = house.after(WEEK)
    assert result.exit_code == 3
    assert all("reconcile offboard" in said(result, slug).todo for slug in slugs)
    heads = house.heads()
    assert house.after(WEEK).exit_code == 3
    assert house.heads() == heads
    for name in names:
        assert without_status(inventory(house.sandbox, name)) == without_status(before[name])
    house.commit({"notes.md": "x"}, f"yes\n\nOffboard: {slugs[0]}, project/{slugs[1]}")
    result = house.settle()
    assert result.exit_code == 3
    states = {slug: status(house.sandbox, slug)["removal"]["state"] for slug in slugs}
    assert states == {slug: "disabled" if slug in slugs[:2] else "held" for slug in slugs}


def test_what_no_pass_has_followed_is_held(house: House) -> None:
    (leaver,) = house.onboard("leaver")
    before = house.of(leaver)
    with closing(Systems(house.sandbox)) as systems:
        systems.rows("DELETE FROM reconciler_followed")
    house.remove(leaver)
    result = house.after(WEEK)
    assert "no pass remembers the branch" in said(result, leaver).todo
    house.after(WEEK)
    assert without_status(house.of(leaver)) == without_status(before)
    house.commit({"notes.md": "x"}, f"yes\n\nOffboard: project/{leaver}")
    assert said(house.settle(), leaver).outcomes
    assert house.of(leaver)["webhook"] != before["webhook"]


def test_a_rewritten_history_removes_nothing(house: House) -> None:
    leaver, _ = house.onboard("leaver", "stayer")
    before = house.of(leaver)
    repository = house.sandbox.environment()["CONFIG_REPOSITORY"]
    # The branch as it would be if the file had been taken away, and something else had never happened.
    head = git(repository, "rev-parse", "main~1").strip()
    git(repository, "update-ref", "refs/heads/main", head)
    house.remove(leaver)
    for _ in range(2):
        result = house.after(WEEK)
        assert without_status(house.of(leaver)) == without_status(before)
    assert "offboard" in said(result, leaver).todo


def test_a_forged_status_file_takes_nothing_away(house: House) -> None:
    leaver, stayer = house.onboard("leaver", "stayer")
    before = house.of(stayer)
    number = status(house.sandbox, stayer)["identity"]["proof"]
    house.remove(leaver)
    house.settle()
    text = git(house.sandbox.environment()["CONFIG_REPOSITORY"], "show", f"main:status/project/{leaver}.yaml")
    mine = status(house.sandbox, leaver)["identity"]["proof"]
    forged = text.replace(mine, number).replace("acme-leaver/leaver", "acme-stayer/stayer")
    house.commit({f"status/project/{leaver}.yaml": forged.replace("2026", "2001")})
    for length in (WEEK, SOON, WEEK):
        house.after(length)
        assert house.of(stayer) == before


def test_a_slug_that_is_used_again_inherits_nothing(house: House) -> None:
    (leaver,) = house.onboard("leaver")
    old = status(house.sandbox, leaver)["identity"]["proof"]
    house.remove(leaver)
    house.settle()
    house.after(WEEK)
    assert said(house.after(SOON), leaver).status == Status.REMOVED
    (house.folder / f"{leaver}.yaml").unlink()
    text = f"repoOwner: {owner_of('third')}\nrepoName: third\nslug: {leaver}\nskipAuth: true\n"
    merge(house.sandbox, house.folder, **{leaver: text})
    result = house.settle()
    assert wrong(result) == []
    document = status(house.sandbox, leaver)
    assert document["identity"]["proof"] != old
    assert document["status"] == "completed"
    manifests = house.sandbox.environment()["MANIFESTS_REPOSITORY"]
    assert old not in git(manifests, "grep", "-h", "-e", leaver, "main")
    with closing(Systems(house.sandbox)) as systems:
        entry = systems.store("auth-service").get("auth_projects", leaver)
        assert entry is not None
        assert old not in entry["settingsJson"]


def test_a_renamed_repository_is_followed_by_its_number(house: House) -> None:
    (leaver,) = house.onboard("leaver")
    before = house.of(leaver)
    owner = owner_of("leaver")
    house.sandbox.emulator("github", "PATCH", f"/_emulator/repositories/{owner}/leaver", {"name": "renamed"})
    # Somebody else takes the old name.
    house.sandbox.emulator("github", "POST", "/_emulator/repositories", {"owner": owner, "name": "leaver"})
    result = house.settle()
    assert wrong(result) == []
    report = said(result, leaver)
    assert "it is called" in report.outcomes[0].reason
    hooks = house.sandbox.emulator("github", "GET", f"/_emulator/hooks/{owner}/leaver")
    assert hooks == []
    house.remove(leaver)
    assert wrong(house.settle()) == []
    (hook,) = house.sandbox.emulator("github", "GET", f"/_emulator/hooks/{owner}/renamed")
    assert hook["active"] is False
    assert before["webhook"]["github"][0]["active"] is True


def test_an_archived_repository_suspends(house: House) -> None:
    (leaver,) = house.onboard("leaver")
    before = house.of(leaver)
    place = f"/_emulator/repositories/{owner_of('leaver')}/leaver"
    house.sandbox.emulator("github", "PATCH", place, {"archived": True})
    result = house.settle()
    assert result.exit_code == 0
    assert said(result, leaver).status == Status.SUSPENDED
    assert "archived" in said(result, leaver).todo
    assert without_status(house.of(leaver)) == without_status(before)
    house.sandbox.emulator("github", "PATCH", place, {"archived": False})
    assert wrong(house.settle()) == []
    assert house.of(leaver) == before


def test_without_a_database_a_removal_is_named(house: House) -> None:
    (leaver,) = house.onboard("leaver")
    house.remove(leaver)
    result = house.settle(DATABASE_URL="")
    assert "offboard" in said(result, leaver).todo
    house.commit({"notes.md": "x"}, f"yes\n\nOffboard: {leaver}")
    assert status(house.sandbox, leaver)["removal"]["state"] == "held"
    house.settle(DATABASE_URL="")
    assert status(house.sandbox, leaver)["removal"]["state"] == "disabled"


def test_what_was_made_for_nobody_goes_at_once(house: House) -> None:
    house.onboard("stayer")
    house.commit({"projects/typo.yaml": "repoOwner: acme\nrepoName: no-such-thing\n"})
    assert said(house.settle(), "acme-no-such-thing").status == Status.FAILED
    house.commit({"projects/typo.yaml": None})
    result = house.settle()
    assert wrong(result) == []
    assert said(result, "acme-no-such-thing").status == Status.REMOVED
    assert not house.has_status("acme-no-such-thing")


def without_status(found: Inventory) -> Inventory:
    return {**found, "run": None, "status": None}


def test_orphans_are_told_by_name_and_stay(house: House) -> None:
    leaver, stayer = house.onboard("leaver", "stayer")
    before = house.of(leaver)
    assert find(house.cycle()).orphans == ()
    house.commit({f"projects/{leaver}.yaml": None, f"status/project/{leaver}.yaml": None})
    found = find(house.cycle())
    assert found.unread == ()
    assert {each.slug for each in found.orphans} == {leaver}
    assert {each.resource for each in found.orphans} >= {
        "webhook-secret", "git-access", "llm-key", "registry", "litellm", "manifests",
    }  # fmt: skip
    assert "project/webhook" in found.unlisted
    house.settle()
    assert without_status(house.of(leaver)) == without_status(before)
    assert house.of(stayer)["status"]["status"] == "completed"


def test_offboarding_on_purpose_shows_first_and_then_commits(house: House) -> None:
    leaver, _ = house.onboard("leaver", "stayer")
    before, heads = house.of(leaver), house.heads()
    shown = prepare(house.cycle(), [leaver])
    (going,) = shown.going
    assert any("switch the webhook" in each for each in going.now)
    assert any("delete the secret" in each for each in going.later)
    assert any("project board stays" in each for each in going.stays)
    assert (shown.problems, going.unclear) == ((), ())
    assert (house.of(leaver), house.heads()) == (before, heads)
    made = commit(house.cycle(), shown)
    repository = house.sandbox.environment()["CONFIG_REPOSITORY"]
    message = git(repository, "log", "-1", "--format=%B", made)
    assert f"Offboard: project/{leaver}" in message
    assert said(house.settle(), leaver).status == Status.OFFBOARDING
    # Once more names what is gone already, which confirms what is held.
    again = commit(house.cycle(), prepare(house.cycle(), [leaver]))
    assert git(repository, "diff", "--stat", f"{again}~1", again) == ""


def test_what_the_file_said_about_removal_counts_when_it_is_gone(house: House) -> None:
    wishes = "onRemove: {project-board: disable, registry: keep, litellm: disable}\n"
    (leaver,) = house.onboard("leaver", more=wishes)
    before = house.of(leaver)
    text = house.text(leaver)
    house.remove(leaver)
    assert wrong(house.settle()) == []
    assert house.of(leaver)["project-board"]["github"] == [], "closed"
    house.commit({f"projects/{leaver}.yaml": text})
    assert wrong(house.settle()) == []
    assert house.of(leaver) == before
    house.remove(leaver)
    house.settle()
    house.after(WEEK)
    result = house.after(SOON)
    assert said(result, leaver).status == Status.REMOVED
    assert house.of(leaver)["registry"] == before["registry"]
    (key,) = house.of(leaver)["litellm"]["litellm"]["keys"]
    assert key["blocked"] is True


def test_a_wish_that_no_removal_can_fulfil_is_an_error_of_the_file(house: House) -> None:
    house.onboard("stayer")
    house.commit(
        {"projects/x.yaml": "repoOwner: acme\nrepoName: x\nonRemove: {recordings: delete, boar: keep}\n"}
    )
    errors = [str(error) for error in house.settle().broken]
    assert [error for error in errors if error.startswith("projects/x.yaml:3:")] == errors
    assert any("recordings cannot be removed by delete (write keep)" in error for error in errors)
    assert any("project has no boar" in error for error in errors)
