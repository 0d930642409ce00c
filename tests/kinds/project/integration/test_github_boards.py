"""validate-repo and project-board against the emulator: the resulting boards, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from reconciler.engine.result import KindView
from reconciler.engine.stages.plan import plan
from reconciler.kinds import KINDS
from reconciler.kinds.project.resources.board_claims import begun_title, marker
from reconciler.kinds.project.resources.board_fields import FIELDS
from reconciler.kinds.project.resources.project_board import ProjectBoard
from reconciler.kinds.project.resources.validate_repo import ValidateRepo
from reconciler.model.decision import Failed, Needed, Settled
from reconciler.model.item import Identity
from reconciler.model.observation import Absent, Known
from reconciler.model.plan import Planned
from reconciler.settings.giving import Reading
from tests.kinds.project.support.github import Stage, stage, target

TITLE = "mesh-six: acme/widgets"


@pytest.fixture
def github() -> Iterator[Stage]:
    with stage() as made:
        yield made


def board_of(github: Stage) -> ProjectBoard:
    return ProjectBoard(github.sections())


def only(boards: list[Any]) -> Any:
    (board,) = boards
    return board


def status_of(board: Any) -> dict[str, Any]:
    (status,) = [field for field in board["fields"]["nodes"] if field["name"] == "Status"]
    return {option["name"]: option for option in status["options"]}


def is_complete(board: Any, repository: int) -> bool:
    names = {field["name"]: field["dataType"] for field in board["fields"]["nodes"]}
    linked = [each["nameWithOwner"] for each in board["repositories"]["nodes"]]
    return (
        names.items() >= FIELDS.items()
        and linked == ["acme/widgets"]
        and f"onboard-id: {repository}" in board["readme"]
        and board["title"] == TITLE
    )


def test_a_repository_is_what_others_need_to_know(github: Stage) -> None:
    made = github.repository(defaultBranch="trunk")
    settled = github.settle(ValidateRepo(github.sections()), target(repoOwner="ACME", repoName="Widgets"))
    assert isinstance(settled, Settled)
    assert settled.outputs["fullName"] == "acme/widgets"
    assert settled.outputs["defaultBranch"] == "trunk"
    assert settled.section == {"owner": "acme", "name": "widgets", "id": made["id"]}
    assert github.wire.writes == 0


def test_an_empty_repository_is_fine(github: Stage) -> None:
    github.repository(empty=True, defaultBranch="trunk")
    validate = ValidateRepo(github.sections())
    settled = github.settle(validate, target())
    assert isinstance(settled, Settled)
    assert settled.outputs["defaultBranch"] == "trunk"
    assert isinstance(github.settle(validate, target(defaultBranch="trunk")), Settled)
    assert isinstance(github.settle(validate, target(defaultBranch="other")), Failed)


def test_a_renamed_repository_is_known_by_its_number(github: Stage) -> None:
    made = github.repository()
    github.does("PATCH", "repositories/acme/widgets", {"name": "gadgets"})
    section = {"owner": "acme", "name": "widgets", "id": made["id"]}
    validate = ValidateRepo(github.sections())
    settled = github.settle(validate, target(section=section))
    assert isinstance(settled, Settled)
    assert settled.section == {"owner": "acme", "name": "gadgets", "id": made["id"]}
    assert "repoName: gadgets" in settled.note
    another = github.repository("widgets")
    before = Identity("repository acme/widgets", str(made["id"]))
    known = replace(target(section=section), identity=before)

    def planned() -> Planned:
        findings = {validate.name: github.observe(validate, known)}
        view = KindView(KINDS["project"], (validate,), {validate.name: {known.slug: known}}, findings)
        return plan(view, [known.slug])[0].planned[validate.name]

    # Somebody else's of the old name is not believed to be it.
    followed = planned()
    assert isinstance(followed, Settled)
    assert (followed.outputs["fullName"], followed.outputs["id"]) == ("acme/gadgets", made["id"])
    # Only once the repository itself is gone there is nothing left to follow.
    github.does("PATCH", "repositories/acme/gadgets", {"deleted": True})
    failed = planned()
    assert isinstance(failed, Failed)
    assert failed.conflict
    assert "repository acme/widgets is another one than before" in failed.reason
    assert f"GitHub's number of it is {another['id']}, and it was {made['id']}" in failed.reason


def test_two_files_that_turn_out_to_be_one_repository(github: Stage) -> None:
    github.repository()
    github.does("PATCH", "repositories/acme/widgets", {"name": "gadgets"})
    validate = ValidateRepo(github.sections())
    old, new = target(), target(repoName="gadgets")
    seen = github.observe(validate, old, new)
    for each in (old, new):
        known = seen[each.slug]
        assert isinstance(known, Known)
        failed = validate.plan(each, known, {})
        assert isinstance(failed, Failed)
        assert "acme/gadgets" in failed.remedy


def test_a_hidden_or_missing_repository_fails_alone(github: Stage) -> None:
    github.repository()
    validate = ValidateRepo(github.sections())
    here, gone = target(), target(repoName="gone")
    seen = github.observe(validate, here, gone)
    assert isinstance(seen[here.slug], Known)
    assert isinstance(seen[gone.slug], Absent)
    # Nothing is done about it, since validate-repo holds it back.
    assert github.observe(board_of(github), here, gone)[gone.slug] == Absent()


def test_a_user_without_admin_rights_is_told(github: Stage) -> None:
    github.repository()
    github.does("POST", "tokens", {"token": "ghp_reader", "kind": "classic", "default": "write"})
    validate = ValidateRepo(github.sections(token="ghp_reader"))
    seen = github.observe(validate, target(), token="ghp_reader")[target().slug]
    assert isinstance(seen, Known)
    failed = validate.plan(target(), seen, {})
    assert isinstance(failed, Failed)
    assert "not admin" in failed.reason


def test_a_board_is_made_once_and_then_left_alone(github: Stage) -> None:
    made = github.repository()
    first = github.settle(board_of(github), target())
    assert isinstance(first, Settled)
    writes = github.wire.writes
    assert github.settle(board_of(github), target(first.outputs)) == first
    assert github.settle(board_of(github), target()) == first
    assert github.wire.writes == writes
    board = only(github.boards())
    assert is_complete(board, made["id"])
    options = {option["name"]: option["id"] for option in board["fields"]["nodes"][2]["options"]}
    assert first.outputs["statusOptions"] == options
    assert list(options) == ["Todo", "Planning", "In Progress", "QA", "Review", "Done", "Blocked"]
    named = first.outputs["fieldIds"]
    assert isinstance(named, dict)
    assert set(named) == {"status", "sessionId", "podName", "workflowId", "priority"}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("cut_at", range(1, 9))
def test_killed_at_any_write_the_next_pass_converges(github: Stage, cut_at: int, after: bool) -> None:
    made = github.repository()
    was_cut, done = github.settle_though_cut(board_of(github), target(), cut_at=cut_at, after=after)
    assert was_cut == (cut_at <= 7)
    assert isinstance(done, Settled)
    assert is_complete(only(github.boards()), made["id"])
    assert github.plan(board_of(github), target()) == done


def test_applying_twice_makes_one(github: Stage) -> None:
    made = github.repository()
    resource = board_of(github)
    decision = github.plan(resource, target())
    assert isinstance(decision, Needed)
    for _ in range(2):
        github.settle(resource, target())
        again = github.plan(resource, target())
        assert isinstance(again, Settled)
    assert is_complete(only(github.boards()), made["id"])


def test_foreign_boards_survive_and_ours_is_made_beside_them(github: Stage) -> None:
    made = github.repository()
    wish = {"owner": "acme", "title": "Roadmap", "readme": "Ours!", "repositories": ["acme/widgets"]}
    github.does("POST", "projects", wish)
    assert isinstance(github.settle(board_of(github), target()), Settled)
    roadmap, ours = sorted(github.boards(), key=lambda board: str(board["title"]))
    assert (roadmap["title"], roadmap["readme"], len(roadmap["fields"]["nodes"])) == ("Roadmap", "Ours!", 10)
    assert is_complete(ours, made["id"])


@pytest.mark.parametrize("linked", [["acme/widgets"], []])
def test_a_board_of_our_title_is_a_conflict_until_adopted(github: Stage, linked: list[str]) -> None:
    made = github.repository()
    wish = {"owner": "acme", "title": TITLE, "readme": "Written by hand.", "repositories": linked}
    github.does("POST", "projects", wish)
    failed = github.settle(board_of(github), target())
    assert isinstance(failed, Failed)
    assert failed.conflict
    assert "adopt: true" in failed.remedy
    assert only(github.boards())["readme"] == "Written by hand."
    assert github.wire.writes == 0
    settled = github.settle(board_of(github), target(adopt=True))
    assert isinstance(settled, Settled)
    board = only(github.boards())
    assert is_complete(board, made["id"])
    assert board["readme"].startswith("Written by hand.\n\n<!-- onboard-id")
    assert github.plan(board_of(github), target()) == settled


def test_the_board_of_another_repository_with_our_title_is_no_conflict(github: Stage) -> None:
    github.repository()
    wish = {"owner": "acme", "title": TITLE, "readme": marker(77), "repositories": ["acme/widgets"]}
    github.does("POST", "projects", wish)
    assert isinstance(github.settle(board_of(github), target()), Settled)
    assert len(github.boards()) == 2
    assert [board["readme"] for board in github.boards() if "onboard-id: 77" in board["readme"]] == [
        marker(77)
    ]


def test_columns_are_added_in_order_and_what_people_made_keeps_its_id(github: Stage) -> None:
    made = github.repository()
    theirs = [
        {"name": "Ideas", "color": "PINK", "description": "Not yet"},
        {"name": "In Progress", "color": "BLUE", "description": "Now"},
        {"name": "Done", "color": "GRAY", "description": ""},
    ]
    wish = {
        "owner": "acme",
        "title": TITLE,
        "readme": marker(made["id"]),
        "repositories": ["acme/widgets"],
        "fields": [{"name": "Status", "dataType": "SINGLE_SELECT", "options": theirs}],
    }
    github.does("POST", "projects", wish)
    before = status_of(only(github.boards()))
    assert isinstance(github.settle(board_of(github), target()), Settled)
    after = status_of(only(github.boards()))
    assert list(after) == ["Ideas", "Planning", "In Progress", "QA", "Review", "Done", "Blocked"]
    assert {name: after[name] for name in before} == before
    # A column that people remove comes back, and the others still keep what they are.
    field = next(each for each in only(github.boards())["fields"]["nodes"] if each["name"] == "Status")
    github.graphql(
        """mutation($f:ID!,$o:[ProjectV2SingleSelectFieldOptionInput!]!){
          updateProjectV2Field(input:{fieldId:$f,singleSelectOptions:$o}){clientMutationId}}""",
        f=field["id"],
        o=[option for option in field["options"] if option["name"] != "QA"],
    )
    assert isinstance(github.settle(board_of(github), target()), Settled)
    again = status_of(only(github.boards()))
    assert again.pop("QA") != after.pop("QA")
    assert again == after


@pytest.mark.parametrize("begun", [True, False])
def test_an_orphan_of_ours_is_linked_and_not_doubled(github: Stage, begun: bool) -> None:
    made = github.repository()
    number = made["id"]
    title, readme = (begun_title(number), None) if begun else (TITLE, marker(number))
    github.does("POST", "projects", {"owner": "acme", "title": title, "readme": readme})
    assert isinstance(github.settle(board_of(github), target()), Settled)
    assert is_complete(only(github.boards()), number)


def test_a_renamed_and_unlinked_board_is_found_by_its_remembered_id(github: Stage) -> None:
    made = github.repository()
    wish = {"owner": "acme", "title": "Our very own", "readme": f"Hello\n{marker(made['id'])}"}
    board = github.does("POST", "projects", wish)
    assert isinstance(github.settle(board_of(github), target({"boardId": board["nodeId"]})), Settled)
    kept = only(github.boards())
    assert kept["title"] == "Our very own"
    assert kept["repositories"]["nodes"] == [{"nameWithOwner": "acme/widgets"}]


def test_the_sixth_board_is_found_too(github: Stage) -> None:
    made = github.repository()
    for number in range(7):
        wish = {"owner": "acme", "title": f"Foreign {number}", "repositories": ["acme/widgets"]}
        github.does("POST", "projects", wish)
    first = github.settle(board_of(github), target())
    assert isinstance(first, Settled)
    assert github.settle(board_of(github), target()) == first
    assert len(github.boards()) == 8
    assert sum(is_complete(board, made["id"]) for board in github.boards()) == 1


def test_fields_that_people_made_are_used_as_they_are(github: Stage) -> None:
    made = github.repository()
    options = [{"name": "P0", "color": "RED", "description": ""}]
    wish = {
        "owner": "acme",
        "title": TITLE,
        "readme": marker(made["id"]),
        "repositories": ["acme/widgets"],
        "fields": [{"name": "Priority", "dataType": "SINGLE_SELECT", "options": options}],
    }
    github.does("POST", "projects", wish)
    before = only(github.boards())["fields"]["nodes"][-1]
    assert isinstance(github.settle(board_of(github), target()), Settled)
    board = only(github.boards())
    assert before in board["fields"]["nodes"]
    assert is_complete(board, made["id"])


def test_a_field_of_another_type_is_for_a_person(github: Stage) -> None:
    made = github.repository()
    wish = {
        "owner": "acme",
        "title": TITLE,
        "readme": marker(made["id"]),
        "repositories": ["acme/widgets"],
        "fields": [{"name": "Pod Name", "dataType": "NUMBER"}],
    }
    github.does("POST", "projects", wish)
    failed = github.settle(board_of(github), target())
    assert isinstance(failed, Failed)
    assert "rename that field" in failed.remedy
    assert github.wire.writes == 0


def test_a_user_owned_repository_gets_its_board_with_a_classic_token(github: Stage) -> None:
    github.repository(ownerType="User")
    assert isinstance(github.settle(board_of(github), target()), Settled)
    assert len(github.boards()) == 1


def test_a_thousand_settled_projects_would_cost_25_requests(github: Stage) -> None:
    """Counted at 80: two requests, shared by both resources of one pass."""
    names = [f"r{number}" for number in range(80)]
    github.does("POST", "repositories", [{"owner": "acme", "name": name} for name in names])
    targets = [target(repoName=name) for name in names]
    reading = Reading(github.sections())
    validate = ValidateRepo(github.sections())
    assert all(isinstance(each, Known) for each in validate.observe(targets, reading).values())
    board_of(github).observe(targets, reading)
    assert github.wire.requests == ["POST /graphql"] * 2
    reading.close()
