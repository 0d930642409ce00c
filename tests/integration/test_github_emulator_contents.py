"""Files, references and protected branches: docs/systems/github.md's tables, row by row."""

from __future__ import annotations

import base64

import pytest

from tests.support.github_emulator import Emulated, encoded, put, wrote


@pytest.fixture
def github() -> Emulated:
    one = Emulated()
    one.repository(files={"docs/a.txt": "first"})
    return one


def sha_of(github: Emulated, path: str, ref: str = "main") -> str:
    return str(github.http.get(f"/repos/acme/widgets/contents/{path}", params={"ref": ref}).json()["sha"])


def head(github: Emulated, branch: str = "main") -> str:
    return str(github.http.get(f"/repos/acme/widgets/git/ref/heads/{branch}").json()["object"]["sha"])


def branch_off(github: Emulated, name: str) -> None:
    body = {"ref": f"refs/heads/{name}", "sha": head(github)}
    assert github.http.post("/repos/acme/widgets/git/refs", json=body).status_code == 201


def test_a_file_is_read_with_newlines_in_its_base64(github: Emulated) -> None:
    put(github.http, "long.txt", "x" * 500)
    found = github.http.get("/repos/acme/widgets/contents/long.txt").json()
    assert "\n" in found["content"].strip()
    assert base64.b64decode(found["content"]) == b"x" * 500
    assert found["encoding"] == "base64"


def test_a_directory_is_a_list(github: Emulated) -> None:
    found = github.http.get("/repos/acme/widgets/contents/docs").json()
    assert [entry["path"] for entry in found] == ["docs/a.txt"]
    assert {e["name"]: e["type"] for e in github.http.get("/repos/acme/widgets/contents/").json()} == {
        "README.md": "file",
        "docs": "dir",
    }


def test_raw_media_type_gives_the_bytes(github: Emulated) -> None:
    raw = {"Accept": "application/vnd.github.raw+json"}
    assert github.http.get("/repos/acme/widgets/contents/docs/a.txt", headers=raw).text == "first"


@pytest.mark.parametrize(
    "address", ["contents/none", "contents/README.md?ref=none", "contents/docs/", "hooks/"]
)
def test_absent_things_and_slashes_at_the_end_are_404(github: Emulated, address: str) -> None:
    response = github.http.get(f"/repos/acme/widgets/{address}")
    assert response.status_code == 404
    assert response.json()["status"] == "404"


def test_create_update_delete(github: Emulated) -> None:
    created = put(github.http, "new.txt", "one")
    assert (created.status_code, wrote(created)) == (201, True)
    sha = created.json()["content"]["sha"]
    updated = put(github.http, "new.txt", "two", sha=sha)
    assert (updated.status_code, updated.json()["commit"]["sha"]) == (200, head(github))
    address = "/repos/acme/widgets/contents/new.txt"
    stale = github.http.request("DELETE", address, json={"message": "no", "sha": sha})
    assert (stale.status_code, wrote(stale)) == (409, False)
    now = updated.json()["content"]["sha"]
    gone = github.http.request("DELETE", address, json={"message": "away", "sha": now})
    assert (gone.status_code, gone.json()["content"]) == (200, None)
    assert github.http.get(address).status_code == 404


def test_an_existing_file_without_sha_is_422_without_errors(github: Emulated) -> None:
    refused = put(github.http, "docs/a.txt", "mine")
    assert refused.status_code == 422
    assert refused.json()["message"] == 'Invalid request.\n\n"sha" wasn\'t supplied.'
    assert "errors" not in refused.json()
    assert not wrote(refused)


@pytest.mark.parametrize("sha", ["nonsense", "0" * 40, "README"])
def test_a_wrong_sha_is_409(github: Emulated, sha: str) -> None:
    given = sha_of(github, "README.md") if sha == "README" else sha
    refused = put(github.http, "docs/a.txt", "mine", sha=given)
    assert (refused.status_code, refused.json()["message"]) == (409, f"docs/a.txt does not match {given}")


def test_the_sha_of_another_branch_is_409(github: Emulated) -> None:
    branch_off(github, "other")
    changed = put(github.http, "docs/a.txt", "theirs", sha=sha_of(github, "docs/a.txt"), branch="other")
    assert put(github.http, "docs/a.txt", "x", sha=changed.json()["content"]["sha"]).status_code == 409


def test_the_branch_goes_into_the_body_and_not_into_the_query(github: Emulated) -> None:
    branch_off(github, "other")
    address = "/repos/acme/widgets/contents/here.txt?ref=other"
    github.http.put(address, json={"message": "m", "content": encoded("x")})
    assert github.http.get("/repos/acme/widgets/contents/here.txt").status_code == 200
    assert github.http.get(address).status_code == 404


def test_an_absent_file_ignores_any_sha(github: Emulated) -> None:
    assert put(github.http, "new.txt", "x", sha="nonsense").status_code == 201


def test_an_absent_branch_is_404_before_the_sha_is_looked_at(github: Emulated) -> None:
    refused = put(github.http, "docs/a.txt", "x", sha="nonsense", branch="none")
    assert (refused.status_code, refused.json()["message"]) == (404, "Branch none not found")


def test_bad_base64_and_missing_fields_are_422(github: Emulated) -> None:
    assert put(github.http, "b.txt", "", content="not base64!").status_code == 422
    missing = github.http.put("/repos/acme/widgets/contents/b.txt", json={"content": ""})
    assert '"message" wasn\'t supplied' in missing.json()["message"]


@pytest.mark.parametrize("path", ["../up.txt", "docs/.git/config", "docs//b.txt", "docs", "docs/a.txt/b.txt"])
def test_paths_that_cannot_be_are_422(github: Emulated, path: str) -> None:
    address = "/repos/acme/widgets/contents/" + path.replace("..", "%2E%2E")
    refused = github.http.put(address, json={"message": "m", "content": encoded("x")})
    assert (refused.status_code, wrote(refused)) == (422, False)


def test_the_same_content_again_is_a_commit(github: Emulated) -> None:
    before = head(github)
    again = put(github.http, "docs/a.txt", "first", sha=sha_of(github, "docs/a.txt"))
    assert (again.status_code, wrote(again)) == (200, True)
    assert again.json()["commit"]["parents"][0]["sha"] == before
    assert head(github) != before


def test_an_empty_repository_takes_contents_but_no_reference(github: Emulated) -> None:
    github.repository("acme/empty", empty=True, defaultBranch="trunk")
    assert github.http.get("/repos/acme/empty/contents/a").json()["message"] == "This repository is empty."
    reference = github.http.get("/repos/acme/empty/git/ref/heads/trunk")
    assert (reference.status_code, reference.json()["message"]) == (409, "Git Repository is empty.")
    body = {"ref": "refs/heads/x", "sha": "0" * 40}
    assert github.http.post("/repos/acme/empty/git/refs", json=body).status_code == 409
    assert github.http.get("/repos/acme/empty/branches").json() == []
    answer = github.graphql('{repository(owner:"acme",name:"empty"){isEmpty defaultBranchRef{name}}}')
    assert answer["data"]["repository"] == {"isEmpty": True, "defaultBranchRef": None}
    assert put(github.http, "a", "x", "acme/empty").status_code == 201
    assert [one["name"] for one in github.http.get("/repos/acme/empty/branches").json()] == ["trunk"]


@pytest.mark.parametrize(
    ("protection", "status", "says"),
    [
        ("ruleset", 409, "Repository rule violations found\n\nChanges must be made through a pull request."),
        ("classic", 409, "protected branch"),
        ("classic-403", 403, "protected branch"),
    ],
)
def test_a_protected_branch_refuses_commits(
    github: Emulated, protection: str, status: int, says: str
) -> None:
    github.seam("repositories/acme/widgets", {"protection": protection}, method="PATCH")
    branch_off(github, "side")
    refused = put(github.http, "new.txt", "x")
    assert (refused.status_code, says in refused.json()["message"], wrote(refused)) == (status, True, False)
    assert put(github.http, "new.txt", "x", branch="side").status_code == 201


def test_rules_see_rulesets_and_protection_sees_classic_only(github: Emulated) -> None:
    def seen() -> tuple[list[str], int, bool]:
        rules = github.http.get("/repos/acme/widgets/rules/branches/main").json()
        protection = github.http.get("/repos/acme/widgets/branches/main/protection").status_code
        branch = github.http.get("/repos/acme/widgets/branches/main").json()
        return [rule["type"] for rule in rules], protection, branch["protected"]

    assert seen() == ([], 404, False)
    github.seam("repositories/acme/widgets", {"protection": "ruleset"}, method="PATCH")
    assert seen() == (["pull_request"], 404, False)
    github.seam("repositories/acme/widgets", {"protection": "classic"}, method="PATCH")
    assert seen() == ([], 200, True)
    assert github.http.get("/repos/acme/widgets/branches/none").status_code == 404


def test_a_reference_that_exists_is_422(github: Emulated) -> None:
    branch_off(github, "onboard/acme-widgets/devcontainer")
    body = {"ref": "refs/heads/onboard/acme-widgets/devcontainer", "sha": head(github)}
    refused = github.http.post("/repos/acme/widgets/git/refs", json=body)
    assert (refused.status_code, refused.json()["message"]) == (422, "Reference already exists")
    assert github.http.get("/repos/acme/widgets/git/ref/heads/onboard").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"ref": "main", "sha": "HEAD"},
        {"ref": "refs/heads/x", "sha": "0" * 40},
        {"ref": "refs/heads/x", "sha": "short"},
        {"ref": "refs/heads/x"},
        {"ref": "refs/heads/a..b", "sha": "HEAD"},
        {"ref": "refs/heads/main/below", "sha": "HEAD"},
    ],
)
def test_bad_references_are_422(github: Emulated, body: dict[str, str]) -> None:
    if body.get("sha") == "HEAD":
        body = {**body, "sha": head(github)}
    assert github.http.post("/repos/acme/widgets/git/refs", json=body).status_code == 422


def test_a_person_commits_past_every_protection(github: Emulated) -> None:
    github.seam("repositories/acme/widgets", {"protection": "ruleset"}, method="PATCH")
    github.seam(
        "repositories/acme/widgets", {"files": {"README.md": "mine", "docs/a.txt": None}}, method="PATCH"
    )
    found = github.http.get("/repos/acme/widgets/contents/README.md").json()
    assert base64.b64decode(found["content"]) == b"mine"
    assert github.http.get("/repos/acme/widgets/contents/docs/a.txt").status_code == 404
