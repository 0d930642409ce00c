"""Who am I, repositories, branches and the rules on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.sandbox.emulators.github import bodies
from reconciler.sandbox.emulators.github.call import VERSIONS, Answer, Call
from reconciler.sandbox.emulators.github.errors import Refusal, inaccessible, not_found
from reconciler.sandbox.emulators.github.identity import (
    METADATA,
    READ_ADMINISTRATION,
    READ_CONTENTS,
)
from reconciler.sandbox.emulators.github.repositories import is_protected

RULESET_ID = 4711


def viewer(call: Call) -> Answer:
    """GET /user."""
    if call.identity.anonymous:
        raise Refusal(401, "Requires authentication")
    if call.identity.kind == "app":
        raise inaccessible("app", "")
    counts = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
    private = dict.fromkeys(
        ("private_gists", "total_private_repos", "owned_private_repos", "disk_usage", "collaborators"), 0
    )
    unknown = dict.fromkeys(("company", "location", "email", "hireable", "bio"))
    return Answer(
        {
            **bodies.user(call, call.identity.login),
            "name": call.identity.login,
            "blog": "",
            **unknown,
            **counts,
            **private,
            "two_factor_authentication": True,
            "created_at": "2020-01-01T00:00:00Z",
            "updated_at": "2020-01-01T00:00:00Z",
        }
    )


def rate_limit(call: Call) -> Answer:
    """GET /rate_limit; free, and without `rate` in the newer version."""
    resources = {
        name: {**call.world.limits.state(call.identity, name), "resource": name}
        for name in ("core", "graphql")
    }
    search = {**resources["core"], "limit": 30, "remaining": 30, "used": 0, "resource": "search"}
    old = {} if call.version == VERSIONS[1] else {"rate": resources["core"]}
    return Answer({"resources": {**resources, "search": search}, **old})


def get_repository(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}."""
    return Answer(bodies.repository(call, call.repository(METADATA)))


def list_branches(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/branches."""
    repository = call.repository(READ_CONTENTS)
    names = sorted(
        name.removeprefix("refs/heads/")
        for name in call.world.git.open(repository).references
        if name.startswith("refs/heads/")
    )
    return call.page([_short_branch(call, repository, name) for name in names])


def get_branch(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/branches/{branch}; sees classic protection only."""
    repository = call.repository(READ_CONTENTS)
    name = call.parameter("branch")
    found = call.world.git.branch(repository, name)
    if found is None:
        raise Refusal(404, "Branch not found")
    address = f"{call.api}/repos/{repository['owner']}/{repository['name']}/branches/{name}"
    return Answer(
        {
            **_short_branch(call, repository, name),
            "commit": bodies.commit(call, repository, found),
            "_links": {
                "self": address,
                "html": f"{call.site}/{repository['owner']}/{repository['name']}/tree/{name}",
            },
            "protection": {
                "enabled": _classic(repository, name),
                "required_status_checks": {
                    "enforcement_level": "everyone" if _classic(repository, name) else "off",
                    "contexts": [],
                    "checks": [],
                },
            },
            "protection_url": f"{address}/protection",
        }
    )


def get_branch_protection(call: Call) -> Answer:
    """GET …/branches/{branch}/protection; 404 does not mean that no ruleset protects it."""
    repository = call.repository(READ_ADMINISTRATION)
    name = call.parameter("branch")
    if call.world.git.branch(repository, name) is None:
        raise Refusal(404, "Branch not found")
    if not _classic(repository, name):
        raise Refusal(404, "Branch not protected")
    address = f"{call.api}/repos/{repository['owner']}/{repository['name']}/branches/{name}/protection"
    return Answer(
        {
            "url": address,
            "required_pull_request_reviews": {
                "url": f"{address}/required_pull_request_reviews",
                "dismiss_stale_reviews": False,
                "require_code_owner_reviews": False,
                "require_last_push_approval": False,
                "required_approving_review_count": 1,
            },
            "enforce_admins": {"url": f"{address}/enforce_admins", "enabled": True},
            "required_linear_history": {"enabled": False},
            "allow_force_pushes": {"enabled": False},
            "allow_deletions": {"enabled": False},
        }
    )


def get_branch_rules(call: Call) -> Answer:
    """GET …/rules/branches/{branch}: what rulesets say, also of a branch that is not there."""
    repository = call.repository(METADATA)
    applies = (
        repository["protection"] == "ruleset" and call.parameter("branch") == repository["defaultBranch"]
    )
    rule = {
        "type": "pull_request",
        "ruleset_source_type": "Repository",
        "ruleset_source": f"{repository['owner']}/{repository['name']}",
        "ruleset_id": RULESET_ID,
        "parameters": {
            "allowed_merge_methods": ["merge", "squash", "rebase"],
            "dismiss_stale_reviews_on_push": False,
            "require_code_owner_review": False,
            "require_last_push_approval": False,
            "required_approving_review_count": 1,
            "required_review_thread_resolution": False,
        },
    }
    return call.page([rule] if applies else [])


def collaborator_permission(call: Call) -> Answer:
    """GET …/collaborators/{username}/permission, for the token's own user."""
    repository = call.repository(METADATA)
    if call.parameter("username").lower() != call.identity.login.lower():
        raise not_found()
    level = call.identity.level(repository)
    coarse = {"maintain": "write", "triage": "read"}.get(level, level)
    who = {**bodies.user(call, call.identity.login), "role_name": level}
    who["permissions"] = bodies.permissions_of(call, repository)
    return Answer({"permission": coarse, "role_name": level, "user": who})


def _classic(repository: Mapping[str, Any], branch: str) -> bool:
    return repository["protection"] != "ruleset" and is_protected(repository, branch)


def _short_branch(call: Call, repository: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = call.world.git.branch(repository, name)
    sha = str(found.id) if found else ""
    address = f"{call.api}/repos/{repository['owner']}/{repository['name']}"
    return {
        "name": name,
        "commit": {"sha": sha, "url": f"{address}/commits/{sha}"},
        "protected": _classic(repository, name),
    }
