"""Pull requests: their filters, and the refusals that are ordinary."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.github_emulator import Emulated, put, wrote

PULLS = "/repos/acme/widgets/pulls"


@pytest.fixture
def github() -> Emulated:
    one = Emulated()
    one.repository()
    return one


def branch_off(github: Emulated, name: str, *, change: str | None = "new.txt") -> None:
    sha = github.http.get("/repos/acme/widgets/git/ref/heads/main").json()["object"]["sha"]
    github.http.post("/repos/acme/widgets/git/refs", json={"ref": f"refs/heads/{name}", "sha": sha})
    if change:
        assert put(github.http, change, name, branch=name).status_code == 201


def propose(github: Emulated, head: str = "side", **more: object) -> httpx.Response:
    body: dict[str, object] = {"title": "Take it", "head": head, "base": "main", **more}
    return github.http.post(PULLS, json=body)


def listed(github: Emulated, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = github.http.get(PULLS, params=query).json()
    return found


def test_propose_and_find_by_owner_and_branch(github: Emulated) -> None:
    branch_off(github, "side")
    branch_off(github, "other")
    created = propose(github)
    assert (created.status_code, wrote(created), created.json()["number"]) == (201, True, 1)
    propose(github, "other")
    assert [pull["number"] for pull in listed(github, head="acme:side", base="main")] == [1]
    assert [pull["number"] for pull in listed(github, head="ACME:side", state="all")] == [1]
    assert listed(github, head="acme:side", base="none") == []


def test_head_without_an_owner_filters_nothing(github: Emulated) -> None:
    for name in ("side", "other"):
        branch_off(github, name)
        propose(github, name)
    assert len(listed(github, head="side")) == 2


def test_the_second_proposal_is_a_422_with_its_message(github: Emulated) -> None:
    branch_off(github, "side")
    propose(github)
    refused = propose(github, "acme:side")
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["message"] == "A pull request already exists for acme:side."
    assert not wrote(refused)


def test_no_commits_between_is_a_422(github: Emulated) -> None:
    branch_off(github, "side", change=None)
    refused = propose(github)
    assert refused.json()["errors"][0]["message"] == "No commits between main and side"


@pytest.mark.parametrize("field", ["title", "head", "base"])
def test_missing_fields_and_absent_branches(github: Emulated, field: str) -> None:
    branch_off(github, "side")
    good = {"title": "Take it", "head": "side", "base": "main"}
    missing = github.http.post(PULLS, json={**good, field: None})
    assert missing.json()["errors"][0]["code"] == "missing_field"
    if field != "title":
        assert github.http.post(PULLS, json={**good, field: "none"}).json()["errors"] == [
            {"resource": "PullRequest", "code": "invalid", "field": field}
        ]


def test_a_person_merges_although_the_branch_is_protected(github: Emulated) -> None:
    branch_off(github, "side")
    github.seam("repositories/acme/widgets", {"protection": "ruleset"}, method="PATCH")
    propose(github)
    blocked = github.http.put(f"{PULLS}/1/merge", json={})
    assert (blocked.status_code, wrote(blocked)) == (405, False)
    assert github.http.get(f"{PULLS}/1").json()["mergeable_state"] == "blocked"
    github.seam("pulls/acme/widgets/1/merge", {})
    merged = github.http.get(f"{PULLS}/1").json()
    assert (merged["state"], merged["merged"], merged["merged_by"]["login"]) == ("closed", True, "a-person")
    assert github.http.get("/repos/acme/widgets/contents/new.txt").status_code == 200
    tip = github.http.get("/repos/acme/widgets/branches/main").json()["commit"]
    assert (tip["sha"], len(tip["parents"])) == (merged["merge_commit_sha"], 2)


def test_a_closed_one_stays_closed_and_is_listed_with_all(github: Emulated) -> None:
    branch_off(github, "side")
    propose(github)
    github.seam("pulls/acme/widgets/1/close", {})
    assert listed(github) == []
    [found] = listed(github, state="all")
    assert (found["state"], found["merged_at"]) == ("closed", None)
    assert found["closed_at"] is not None


def test_merge_over_the_api(github: Emulated) -> None:
    branch_off(github, "side")
    sha = propose(github).json()["head"]["sha"]
    assert github.http.put(f"{PULLS}/1/merge", json={"sha": "0" * 40}).status_code == 409
    merged = github.http.put(f"{PULLS}/1/merge", json={"sha": sha, "merge_method": "squash"})
    assert (merged.status_code, merged.json()["merged"], wrote(merged)) == (200, True, True)
    assert github.http.put(f"{PULLS}/1/merge", json={}).status_code == 405
    tip = github.http.get("/repos/acme/widgets/branches/main").json()["commit"]
    assert len(tip["parents"]) == 1


def test_a_conflict_is_not_mergeable(github: Emulated) -> None:
    branch_off(github, "side")
    propose(github)
    put(github.http, "new.txt", "something else")
    assert github.http.get(f"{PULLS}/1").json()["mergeable"] is False
    assert github.http.put(f"{PULLS}/1/merge", json={}).status_code == 405


def test_deleting_the_branch_closes_its_pull_request(github: Emulated) -> None:
    branch_off(github, "side")
    propose(github)
    gone = github.http.delete("/repos/acme/widgets/git/refs/heads/side")
    assert (gone.status_code, wrote(gone)) == (204, True)
    assert github.http.get(f"{PULLS}/1").json()["state"] == "closed"
    reopened = github.http.patch(f"{PULLS}/1", json={"state": "open"})
    assert reopened.status_code == 422


def test_close_and_reopen_over_the_api(github: Emulated) -> None:
    branch_off(github, "side")
    propose(github)
    assert github.http.patch(f"{PULLS}/1", json={"state": "closed"}).json()["state"] == "closed"
    assert github.http.patch(f"{PULLS}/1", json={"state": "open"}).json()["state"] == "open"
