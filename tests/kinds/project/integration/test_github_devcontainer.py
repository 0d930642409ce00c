"""devcontainer against the emulator: the file, the branch and the pull request that come of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.kinds.project.manifests.devcontainer_text import default_text, has_feature
from reconciler.kinds.project.manifests.pods import PodsSettings
from reconciler.kinds.project.resources.devcontainer import Devcontainer
from reconciler.kinds.project.waits import MERGE
from reconciler.model.decision import Failed, Needed, Settled, Waiting
from reconciler.settings.giving import Writing
from tests.kinds.project.support.github import Stage, stage, target

PATH = ".devcontainer/devcontainer.json"
BRANCH = "onboard/acme-widgets/devcontainer"
REFERENCE = "registry.example/mesh-six/mesh-six-tools:2"
PODS = PodsSettings(feature_reference=REFERENCE)
THEIRS = """{
  // Ours since 2021
  "image": "python:3.12", /* pinned */
  "features": {
    "ghcr.io/devcontainers/features/go:1": {}, // tools
  },
}
"""


@pytest.fixture
def github() -> Iterator[Stage]:
    with stage() as made:
        made.settings["pods"] = {"featureReference": REFERENCE}
        yield made


def resource_of(github: Stage) -> Devcontainer:
    return Devcontainer(github.sections())


def pulls(github: Stage) -> list[Any]:
    found: list[Any] = github.rest("/repos/acme/widgets/pulls?state=all")
    return found


def test_a_repository_without_one_gets_the_default_file(github: Stage) -> None:
    github.repository()
    settled = github.settle(resource_of(github), target())
    assert settled == Settled({"path": PATH})
    assert github.file(PATH) == default_text(PODS)
    assert github.wire.writes == 1
    assert github.settle(resource_of(github), target()) == settled
    assert github.wire.writes == 1
    assert pulls(github) == []


def test_an_empty_repository_gets_its_first_commit(github: Stage) -> None:
    github.repository(empty=True, defaultBranch="trunk")
    assert github.settle(resource_of(github), target()) == Settled({"path": PATH})
    assert github.file(PATH, "trunk") == default_text(PODS)
    assert github.settle(resource_of(github), target()) == Settled({"path": PATH})


@pytest.mark.parametrize("path", [PATH, ".devcontainer.json", ".devcontainer/x/devcontainer.json"])
def test_an_existing_file_only_gets_the_feature_inserted(github: Stage, path: str) -> None:
    github.repository(files={path: THEIRS})
    assert github.settle(resource_of(github), target()) == Settled({"path": path})
    edited = github.file(path)
    assert edited
    assert has_feature(edited, REFERENCE)
    lines = edited.splitlines()
    assert [line for line in THEIRS.splitlines() if line not in lines] == []
    assert len(lines) == len(THEIRS.splitlines()) + 1
    if path != PATH:
        assert github.file(PATH) is None


def test_a_file_with_the_feature_is_left_alone(github: Stage) -> None:
    text = f'{{"image": "x", "features": {{"{REFERENCE.partition(":2")[0]}:3": {{}}}}}}'
    github.repository(files={PATH: text}, protection="ruleset")
    assert github.settle(resource_of(github), target()) == Settled({"path": PATH})
    assert github.wire.writes == 0
    assert github.wire.requests == ["POST /graphql"]


def test_the_projects_branch_is_the_one_that_counts(github: Stage) -> None:
    github.repository(files={PATH: THEIRS})
    headers = {"Authorization": "Bearer ghp_token-of-the-tests"}
    sha = github.rest("/repos/acme/widgets/git/ref/heads/main")["object"]["sha"]
    made = github.people.post(
        "/repos/acme/widgets/git/refs", json={"ref": "refs/heads/dev", "sha": sha}, headers=headers
    )
    assert made.status_code == 201
    assert isinstance(github.settle(resource_of(github), target(defaultBranch="dev")), Settled)
    edited = github.file(PATH, "dev")
    assert edited
    assert has_feature(edited, REFERENCE)
    assert github.file(PATH) == THEIRS


@pytest.mark.parametrize("protection", ["classic", "classic-403", "ruleset"])
@pytest.mark.parametrize("files", [{}, {PATH: THEIRS}])
def test_a_protected_branch_gets_a_pull_request(
    github: Stage, protection: str, files: dict[str, str]
) -> None:
    github.repository(protection=protection, files=files)
    waiting = github.settle(resource_of(github), target())
    assert isinstance(waiting, Waiting)
    assert (waiting.awaits, waiting.again_in) == (MERGE, None)
    (pull,) = pulls(github)
    assert pull["html_url"] in waiting.todo
    assert (pull["head"]["ref"], pull["base"]["ref"]) == (BRANCH, "main")
    assert github.file(PATH) == files.get(PATH)
    writes = github.wire.writes
    assert github.settle(resource_of(github), target()) == waiting
    assert github.wire.writes == writes
    github.does("POST", f"pulls/acme/widgets/{pull['number']}/merge")
    assert github.settle(resource_of(github), target()) == Settled({"path": PATH})
    assert github.wire.writes == writes


def test_a_protection_that_only_shows_when_written_to(github: Stage) -> None:
    github.repository(protection="ruleset")
    upgrade = b'{"message": "Upgrade to GitHub Pro or make this repository public to enable this feature."}'
    github.wire.refusals = {"GET /repos/acme/widgets/rules/branches/main": (403, upgrade)}
    assert isinstance(github.settle(resource_of(github), target()), Waiting)
    assert [pull["head"]["ref"] for pull in pulls(github)] == [BRANCH]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("cut_at", [1, 2, 3, 4])
def test_killed_at_any_write_there_is_one_pull_request(github: Stage, cut_at: int, after: bool) -> None:
    github.repository(protection="ruleset", files={PATH: THEIRS})
    was_cut, done = github.settle_though_cut(resource_of(github), target(), cut_at=cut_at, after=after)
    assert was_cut == (cut_at <= 3)
    assert isinstance(done, Waiting)
    (pull,) = pulls(github)
    assert pull["state"] == "open"
    edited = github.file(PATH, BRANCH)
    assert edited
    assert edited.count(REFERENCE) == 1


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_the_direct_commit(github: Stage, after: bool) -> None:
    github.repository()
    was_cut, done = github.settle_though_cut(resource_of(github), target(), cut_at=1, after=after)
    assert was_cut
    assert done == Settled({"path": PATH})
    assert len(github.rest("/repos/acme/widgets/branches")) == 1


def test_a_closed_pull_request_is_a_no(github: Stage) -> None:
    github.repository(protection="ruleset")
    github.settle(resource_of(github), target())
    writes = github.wire.writes
    github.does("POST", "pulls/acme/widgets/1/close")
    failed = github.settle(resource_of(github), target())
    assert isinstance(failed, Failed)
    assert "closed without merging" in failed.reason
    assert REFERENCE in failed.remedy
    assert github.wire.writes == writes
    assert len(pulls(github)) == 1


def test_a_feature_added_by_hand_after_a_no_is_a_yes(github: Stage) -> None:
    github.repository(protection="ruleset")
    github.settle(resource_of(github), target())
    github.does("POST", "pulls/acme/widgets/1/close")
    text = default_text(PODS)
    github.does("PATCH", "repositories/acme/widgets", {"files": {".devcontainer.json": text}})
    assert github.settle(resource_of(github), target()) == Settled({"path": ".devcontainer.json"})


def test_a_feature_removed_after_the_merge_is_not_put_back(github: Stage) -> None:
    github.repository(protection="ruleset")
    github.settle(resource_of(github), target())
    github.does("POST", "pulls/acme/widgets/1/merge")
    github.does("PATCH", "repositories/acme/widgets", {"files": {PATH: THEIRS}})
    writes = github.wire.writes
    failed = github.settle(resource_of(github), target())
    assert isinstance(failed, Failed)
    assert "removed after" in failed.reason
    assert github.wire.writes == writes


def test_a_file_that_nobody_can_read_is_for_a_person(github: Stage) -> None:
    github.repository(files={PATH: '{"image": '})
    failed = github.settle(resource_of(github), target())
    assert isinstance(failed, Failed)
    assert PATH in failed.reason
    assert github.file(PATH) == '{"image": '


def test_a_file_that_appears_meanwhile_is_not_overwritten(github: Stage) -> None:
    github.repository()
    resource = resource_of(github)
    decision = github.plan(resource, target())
    assert isinstance(decision, Needed)
    github.does("PATCH", "repositories/acme/widgets", {"files": {PATH: THEIRS}})
    writing = Writing(github.sections())
    assert isinstance(resource.apply(target(), decision.change, writing), Settled)
    writing.close()
    edited = github.file(PATH)
    assert edited
    assert "Ours since 2021" in edited


def test_the_plan_says_what_will_happen(github: Stage) -> None:
    github.repository(files={PATH: THEIRS})
    decision = github.plan(resource_of(github), target())
    assert isinstance(decision, Needed)
    assert decision.change.before == {"path": PATH, "branch": "main"}
    assert decision.change.after["feature"] == REFERENCE


@pytest.mark.parametrize(
    "text", ['{"dockerComposeFile": "compose.yaml"}', '{"name": "x"}', "\ufeff{}", '{"features": null}']
)
def test_what_can_never_be_built_is_left_as_it_is(github: Stage, text: str) -> None:
    github.repository(files={PATH: text})
    failed = github.plan(resource_of(github), target())
    assert isinstance(failed, Failed)
    assert failed.remedy
    assert github.file(PATH) == text
    assert pulls(github) == []


API, WEB = ".devcontainer/api/devcontainer.json", ".devcontainer/web/devcontainer.json"


def test_of_several_files_none_is_touched_before_one_is_named(github: Stage) -> None:
    github.repository(files={API: THEIRS, WEB: THEIRS})
    failed = github.settle(resource_of(github), target())
    assert isinstance(failed, Failed)
    assert f"{API}, {WEB}" in failed.reason
    assert f"devcontainer: {API}" in failed.remedy
    assert github.wire.writes == 0
    assert github.settle(resource_of(github), target(devcontainer=WEB)) == Settled({"path": WEB})
    assert github.file(API) == THEIRS
    edited = github.file(WEB)
    assert edited
    assert has_feature(edited, REFERENCE)


def test_the_one_that_has_the_feature_already_stays_the_one(github: Stage) -> None:
    github.repository(files={API: THEIRS, WEB: default_text(PODS)})
    assert github.settle(resource_of(github), target()) == Settled({"path": WEB})
    assert github.wire.writes == 0


def test_what_tools_look_for_first_needs_no_choice_and_may_be_passed_over(github: Stage) -> None:
    github.repository(files={PATH: THEIRS, WEB: THEIRS})
    assert github.settle(resource_of(github), target(devcontainer=WEB)) == Settled({"path": WEB})
    assert github.file(PATH) == THEIRS
    assert github.settle(resource_of(github), target()) == Settled({"path": PATH})


@pytest.mark.parametrize("protection", [None, "ruleset"])
def test_a_choice_that_is_not_there_names_those_that_are(github: Stage, protection: str | None) -> None:
    github.repository(files={API: THEIRS}, **({"protection": protection} if protection else {}))
    failed = github.settle(resource_of(github), target(devcontainer=WEB))
    assert isinstance(failed, Failed)
    assert WEB in failed.reason
    assert API in failed.reason
    assert github.wire.writes == 0
    assert github.file(WEB) is None


def test_where_there_is_none_the_default_file_goes_to_the_chosen_place(github: Stage) -> None:
    github.repository()
    assert github.settle(resource_of(github), target(devcontainer=WEB)) == Settled({"path": WEB})
    assert github.file(WEB) == default_text(PODS)
    assert github.file(PATH) is None


def test_a_choice_on_a_protected_branch_is_proposed(github: Stage) -> None:
    github.repository(files={API: THEIRS, WEB: THEIRS}, protection="ruleset")
    assert isinstance(github.settle(resource_of(github), target(devcontainer=WEB)), Waiting)
    (pull,) = pulls(github)
    assert WEB in pull["body"]
    github.does("POST", f"pulls/acme/widgets/{pull['number']}/merge")
    assert github.settle(resource_of(github), target(devcontainer=WEB)) == Settled({"path": WEB})
    assert github.file(API) == THEIRS
