"""The emulator's REST answers against the strict models that githubkit makes of GitHub's description."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from githubkit_schemas.latest import models
from pydantic import TypeAdapter

from tests.support.github_emulator import Emulated, encoded, put

WIDGETS = "/repos/acme/widgets"
HOOK = {"config": {"url": "https://hooks.example/", "content_type": "json", "secret": "canary"}}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGd5"


@pytest.fixture(params=["Organization", "User"])
def github(request: pytest.FixtureRequest) -> Iterator[Emulated]:
    one = Emulated()
    one.http.headers["X-GitHub-Api-Version"] = "2026-03-10"
    one.repository(files={"docs/a.txt": "x"}, ownerType=request.param, protection="none")
    yield one
    one.http.close()


class Checked:
    """Sends requests and holds each answer to a model."""

    def __init__(self, github: Emulated) -> None:
        self._http = github.http

    def __call__(self, status: int, model: Any, method: str, path: str, **body: object) -> Any:
        response = self._http.request(method, path, json=body or None)
        assert response.status_code == status, response.text
        TypeAdapter(model).validate_python(response.json())
        return response.json()


def test_repositories_branches_and_identity(github: Emulated) -> None:
    checked = Checked(github)
    checked(200, models.FullRepository, "GET", WIDGETS)
    checked(200, models.PrivateUser, "GET", "/user")
    checked(200, models.RateLimitOverview, "GET", "/rate_limit")
    checked(200, list[models.ShortBranch], "GET", f"{WIDGETS}/branches")
    checked(200, models.BranchWithProtection, "GET", f"{WIDGETS}/branches/main")
    person = github.http.get("/user").json()["login"]
    permission = f"{WIDGETS}/collaborators/{person}/permission"
    checked(200, models.RepositoryCollaboratorPermission, "GET", permission)
    github.seam("repositories/acme/widgets", {"protection": "classic"}, method="PATCH")
    checked(200, models.BranchProtection, "GET", f"{WIDGETS}/branches/main/protection")
    github.seam("repositories/acme/widgets", {"protection": "ruleset"}, method="PATCH")
    rules = f"{WIDGETS}/rules/branches/main"
    checked(200, list[models.RepositoryRuleDetailedOneof7], "GET", rules)


def test_contents_and_references(github: Emulated) -> None:
    checked = Checked(github)
    checked(200, models.ContentFile, "GET", f"{WIDGETS}/contents/docs/a.txt")
    checked(200, models.ContentFile, "GET", f"{WIDGETS}/readme")
    checked(200, list[models.ContentDirectoryItems], "GET", f"{WIDGETS}/contents/")
    new = f"{WIDGETS}/contents/new.txt"
    made = checked(201, models.FileCommit, "PUT", new, message="m", content=encoded("x"))
    sha = made["content"]["sha"]
    checked(422, models.BasicError, "PUT", new, message="m", content=encoded("y"))
    checked(409, models.BasicError, "PUT", new, message="m", content=encoded("y"), sha="no")
    checked(200, models.FileCommit, "PUT", new, message="m", content=encoded("y"), sha=sha)
    now = github.http.get(new).json()["sha"]
    checked(200, models.FileCommit, "DELETE", new, message="m", sha=now)
    found = checked(200, models.GitRef, "GET", f"{WIDGETS}/git/ref/heads/main")
    sha = found["object"]["sha"]
    checked(201, models.GitRef, "POST", f"{WIDGETS}/git/refs", ref="refs/heads/side", sha=sha)
    checked(200, models.GitRef, "PATCH", f"{WIDGETS}/git/refs/heads/side", sha=sha, force=True)


def test_pull_requests(github: Emulated) -> None:
    checked = Checked(github)
    sha = github.http.get(f"{WIDGETS}/git/ref/heads/main").json()["object"]["sha"]
    github.http.post(f"{WIDGETS}/git/refs", json={"ref": "refs/heads/side", "sha": sha})
    put(github.http, "b.txt", "x", branch="side")
    pulls = f"{WIDGETS}/pulls"
    checked(201, models.PullRequest, "POST", pulls, title="t", head="side", base="main")
    checked(422, models.ValidationError, "POST", pulls, title="t", head="side", base="main")
    checked(200, list[models.PullRequestSimple], "GET", pulls)
    checked(200, models.PullRequest, "PATCH", f"{pulls}/1", title="u")
    checked(200, models.PullRequestMergeResult, "PUT", f"{pulls}/1/merge")
    checked(200, models.PullRequest, "GET", f"{pulls}/1")


def test_hooks_and_keys(github: Emulated) -> None:
    checked = Checked(github)
    hook = checked(201, models.Hook, "POST", f"{WIDGETS}/hooks", name="web", events=["push"], **HOOK)
    own = f"{WIDGETS}/hooks/{hook['id']}"
    checked(422, models.ValidationError, "POST", f"{WIDGETS}/hooks", name="web", events=["push"], **HOOK)
    checked(200, list[models.Hook], "GET", f"{WIDGETS}/hooks")
    checked(200, models.Hook, "GET", own)
    checked(200, models.Hook, "PATCH", own, active=False)
    checked(200, models.WebhookConfig, "GET", f"{own}/config")
    checked(200, models.WebhookConfig, "PATCH", f"{own}/config", secret="new")
    [delivery] = checked(200, list[models.HookDeliveryItem], "GET", f"{own}/deliveries")
    checked(200, models.HookDelivery, "GET", f"{own}/deliveries/{delivery['id']}")
    key = checked(201, models.DeployKey, "POST", f"{WIDGETS}/keys", title="pod", key=KEY)
    checked(422, models.ValidationError, "POST", f"{WIDGETS}/keys", title="pod", key=KEY)
    checked(200, list[models.DeployKey], "GET", f"{WIDGETS}/keys")
    checked(200, models.DeployKey, "GET", f"{WIDGETS}/keys/{key['id']}")


def test_hooks_of_organizations(github: Emulated) -> None:
    checked = Checked(github)
    hooks = "/orgs/acme/hooks"
    wish = {"name": "web", "events": ["projects_v2_item"], **HOOK}
    if github.http.get("/repos/acme/widgets").json()["owner"]["type"] == "User":
        checked(404, models.BasicError, "POST", hooks, **wish)
        return
    hook = checked(201, models.OrgHook, "POST", hooks, **wish)
    refused = checked(422, models.ValidationError, "POST", hooks, **wish)
    assert refused["errors"][0]["message"] == "Hook already exists on this organization"
    checked(200, list[models.OrgHook], "GET", hooks)
    checked(200, models.OrgHook, "GET", f"{hooks}/{hook['id']}")
    checked(200, models.OrgHook, "PATCH", f"{hooks}/{hook['id']}", active=False)
    checked(200, models.WebhookConfig, "GET", f"{hooks}/{hook['id']}/config")
    assert "canary" not in github.http.get(hooks).text
    # What happens on boards is an organization's.
    checked(422, models.ValidationError, "POST", f"{WIDGETS}/hooks", **wish)


def test_errors(github: Emulated) -> None:
    checked = Checked(github)
    checked(404, models.BasicError, "GET", "/repos/none/such")
    checked(404, models.BasicError, "GET", "/no/such/call")
    github.seam("repositories/acme/widgets", {"protection": "ruleset"}, method="PATCH")
    refused = checked(
        409,
        models.RepositoryRuleViolationError,
        "PUT",
        f"{WIDGETS}/contents/c.txt",
        message="m",
        content=encoded("x"),
    )
    assert refused["message"].startswith("Repository rule violations found\n\nChanges must be made")
    github.seam("repositories/acme/widgets", {"name": "gadgets"}, method="PATCH")
    checked(301, models.BasicError, "GET", WIDGETS)
