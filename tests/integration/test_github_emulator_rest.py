"""What is common to all REST calls, and rate limits."""

from __future__ import annotations

import httpx
import pytest

from tests.support.github_emulator import Emulated, put, wrote

WIDGETS = "/repos/acme/widgets"


@pytest.fixture
def github() -> Emulated:
    one = Emulated()
    one.repository()
    return one


def test_names_are_case_insensitive_and_answers_canonical(github: Emulated) -> None:
    assert github.http.get("/repos/ACME/Widgets").json()["full_name"] == "acme/widgets"
    assert (
        github.http.get("/api/v3/repos/acme/widgets")
        .json()["url"]
        .startswith("http://github.test/api/v3/repos/")
    )


def test_making_a_repository_again_changes_nothing(github: Emulated) -> None:
    put(github.http, "mine.txt", "x")
    again = github.repository(defaultBranch="other")
    found = github.http.get(WIDGETS).json()
    assert (found["id"], found["default_branch"]) == (again["id"], "main")
    assert github.http.get(f"{WIDGETS}/contents/mine.txt").status_code == 200


def test_a_renamed_repository_redirects_by_its_number(github: Emulated) -> None:
    number = github.http.get(WIDGETS).json()["id"]
    github.seam("repositories/acme/widgets", {"name": "gadgets"}, method="PATCH")
    moved = github.http.get(f"{WIDGETS}/hooks?per_page=5")
    assert moved.status_code == 301
    assert moved.headers["location"] == f"http://github.test/repositories/{number}/hooks?per_page=5"
    assert github.http.get(moved.headers["location"]).json() == []
    assert put(github.http, "a", "b").status_code == 307
    assert github.http.get(f"/repositories/{number}").json()["full_name"] == "acme/gadgets"
    github.repository()
    assert github.http.get(WIDGETS).json()["id"] != number


def test_a_transferred_repository_redirects_too(github: Emulated) -> None:
    github.seam("repositories/acme/widgets", {"owner": "umbrella"}, method="PATCH")
    assert github.http.get(WIDGETS).status_code == 301
    assert github.http.get("/repos/umbrella/widgets").json()["owner"]["login"] == "umbrella"


def test_a_private_repository_is_404_to_those_without_rights(github: Emulated) -> None:
    github.repository("acme/secret", private=True)
    weak = github.token("weak", default="none")
    assert github.http.get("/repos/acme/secret").status_code == 200
    assert weak.get("/repos/acme/secret").json()["message"] == "Not Found"
    assert weak.get(WIDGETS).json()["permissions"]["push"] is False
    assert github.client(None).get("/repos/acme/secret").status_code == 404
    assert "permissions" not in github.client(None).get(WIDGETS).json()


def test_a_classic_token_without_the_scope_gets_404(github: Emulated) -> None:
    weak = github.token("weak", scopes=["read:org"])
    assert weak.get(f"{WIDGETS}/hooks").status_code == 404
    assert put(weak, "a", "b").status_code == 404
    assert weak.get(WIDGETS).headers["x-oauth-scopes"] == "read:org"


@pytest.mark.parametrize(
    ("kind", "whom"), [("app", "integration"), ("fine-grained", "personal access token")]
)
def test_app_and_fine_grained_tokens_get_403_and_the_permission(
    github: Emulated, kind: str, whom: str
) -> None:
    weak = github.token("weak", kind=kind, permissions={"contents": "read", "metadata": "read"})
    refused = put(weak, "a", "b")
    assert (refused.status_code, refused.json()["message"]) == (403, f"Resource not accessible by {whom}")
    assert refused.headers["x-accepted-github-permissions"] == "contents=write"
    assert weak.get(f"{WIDGETS}/contents/README.md").status_code == 200


def test_an_app_token_does_not_look_like_an_admin(github: Emulated) -> None:
    app = github.token("app", kind="app", permissions={"contents": "write", "repository_hooks": "write"})
    assert app.get(WIDGETS).json()["permissions"] == {
        "admin": False,
        "maintain": False,
        "push": True,
        "triage": True,
        "pull": True,
    }
    assert app.get(f"{WIDGETS}/hooks").status_code == 200
    assert app.get("/user").status_code == 403


def test_wrong_tokens_and_headers(github: Emulated) -> None:
    wrong = github.client("wrong").get(WIDGETS)
    assert (wrong.status_code, wrong.json()["message"]) == (401, "Bad credentials")
    assert github.client(None).get("/user").status_code == 401
    old = github.http.get(WIDGETS, headers={"X-GitHub-Api-Version": "2022-11-28"})
    assert "has_downloads" in old.json()
    new = github.http.get(WIDGETS, headers={"X-GitHub-Api-Version": "2026-03-10"})
    assert "has_downloads" not in new.json()
    assert github.http.get(WIDGETS, headers={"X-GitHub-Api-Version": "2020-01-01"}).status_code == 400
    nameless = github.http.get(WIDGETS, headers={"User-Agent": ""})
    assert nameless.status_code == 403
    assert "User-Agent" in nameless.text


def test_an_archived_repository_refuses_every_write(github: Emulated) -> None:
    github.seam("repositories/acme/widgets", {"archived": True}, method="PATCH")
    writes = [
        put(github.http, "a", "b"),
        github.http.post(f"{WIDGETS}/hooks", json={}),
        github.http.post(f"{WIDGETS}/keys", json={}),
        github.http.post(f"{WIDGETS}/pulls", json={}),
        github.http.post(f"{WIDGETS}/git/refs", json={}),
    ]
    for refused in writes:
        assert (refused.status_code, wrote(refused)) == (403, False)
        assert refused.json()["message"] == "Repository was archived so is read-only."
    assert github.http.get(WIDGETS).json()["archived"] is True


def test_the_old_node_id_is_not_the_new_one_and_both_lead_there(github: Emulated) -> None:
    old = github.http.get(WIDGETS).json()["node_id"]
    answer = github.graphql('{repository(owner:"acme",name:"widgets"){id}}')
    new = answer["data"]["repository"]["id"]
    assert new.startswith("R_kgDO")
    assert new != old
    for node_id in (old, new):
        found = github.graphql("query($id:ID!){node(id:$id){...on Repository{databaseId}}}", id=node_id)
        assert found["data"]["node"]["databaseId"] == github.http.get(WIDGETS).json()["id"]


def test_bad_bodies(github: Emulated) -> None:
    assert github.http.put(f"{WIDGETS}/contents/a", content="{").json()["message"] == "Problems parsing JSON"
    assert github.http.put(f"{WIDGETS}/contents/a", content="[]").status_code == 400
    assert github.http.get("/no/such/thing").json()["status"] == "404"
    assert github.http.put(WIDGETS, json={}).status_code == 404


def test_pages_are_linked(github: Emulated) -> None:
    for number in range(7):
        config = {"url": f"https://hooks.example/{number}"}
        github.seam("hooks", {"repository": "acme/widgets", "config": config})
    address, seen = f"{WIDGETS}/hooks?per_page=3", []
    while address:
        response = github.http.get(address)
        seen += [hook["config"]["url"][-1] for hook in response.json()]
        address = response.links.get("next", {}).get("url", "")
    assert seen == list("0123456")
    assert "prev" in response.links


def test_not_modified_is_not_charged(github: Emulated) -> None:
    first = github.http.get(WIDGETS)
    assert first.headers["cache-control"] == "private, max-age=60, s-maxage=60"
    again = github.http.get(WIDGETS, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert used(github.http.get("/rate_limit")) == 1
    put(github.http, "a", "b")
    github.clock.advance(seconds=5)
    github.seam("repositories/acme/widgets", {"archived": True}, method="PATCH")
    changed = github.http.get(WIDGETS, headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200


def used(response: httpx.Response) -> int:
    return int(response.json()["resources"]["core"]["used"])


def test_the_primary_limit_runs_out_and_comes_back(github: Emulated) -> None:
    github.seam("rate_limit", {"limit": 2})
    assert [github.http.get(WIDGETS).status_code for _ in range(3)] == [200, 200, 403]
    refused = github.http.get(WIDGETS)
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert int(refused.headers["x-ratelimit-reset"]) == int(github.clock().timestamp()) + 3600
    github.clock.advance(hours=1, seconds=1)
    assert github.http.get(WIDGETS).status_code == 200


@pytest.mark.parametrize(("mode", "waits"), [("secondary", "60"), ("secondary-silent", None)])
def test_the_secondary_limit_may_not_say_how_long(github: Emulated, mode: str, waits: str | None) -> None:
    github.seam("rate_limit", {"mode": mode, "times": 1, "status": 429})
    refused = github.http.get(WIDGETS)
    assert (refused.status_code, refused.headers.get("retry-after")) == (429, waits)
    assert "secondary rate limit" in refused.json()["message"]
    assert refused.headers["x-ratelimit-remaining"] != "0"
    assert github.http.get(WIDGETS).status_code == 200
