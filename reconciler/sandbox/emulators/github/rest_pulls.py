"""Pull requests, and the filters of their list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.sandbox.emulators.github import bodies, pulls
from reconciler.sandbox.emulators.github.call import Answer, Call
from reconciler.sandbox.emulators.github.errors import Refusal, not_found, validation_failed
from reconciler.sandbox.emulators.github.identity import MERGE, READ_PULLS, WRITE_PULLS

Document = Mapping[str, Any]


def list_pulls(call: Call) -> Answer:
    """GET …/pulls; a `head` without `owner:` is ignored, as GitHub does."""
    repository = call.repository(READ_PULLS)
    state = call.query.get("state", "open")
    owner, _, branch = call.query.get("head", "").rpartition(":")
    base = call.query.get("base")
    found = [
        pull
        for pull in pulls.all_of(call.world, repository)
        if (state in {"all", pull["state"]})
        and (not owner or (owner.lower(), branch) == (repository["owner"].lower(), pull["head"]))
        and (not base or base == pull["base"])
    ]
    if call.query.get("direction") == "asc":
        found.reverse()
    return call.page([_short(call, repository, pull) for pull in found])


def create_pull(call: Call) -> Answer:
    """POST …/pulls."""
    repository = call.repository(WRITE_PULLS)
    if call.identity.anonymous:
        raise Refusal(401, "Requires authentication")
    for field in ("title", "head", "base"):
        if not isinstance(call.body.get(field), str) or not call.body[field]:
            raise validation_failed("PullRequest", "missing_field", field=field)
    pull = pulls.create(call.world, repository, call.body, call.identity.login)
    call.wrote()
    return Answer(_full(call, repository, pull), status=201)


def get_pull(call: Call) -> Answer:
    """GET …/pulls/{number}."""
    repository = call.repository(READ_PULLS)
    return Answer(_full(call, repository, _found(call, repository)))


def update_pull(call: Call) -> Answer:
    """PATCH …/pulls/{number}: title, body, base, state."""
    repository = call.repository(WRITE_PULLS)
    pull = _found(call, repository)
    if not call.identity.reaches(repository, "triage"):
        raise Refusal(403, "Must have admin rights to Repository.")
    changed: dict[str, Any] = {key: call.body[key] for key in ("title", "body", "base") if key in call.body}
    pull = pulls.save(call.world, repository, {**pull, **changed})
    match call.body.get("state"):
        case "closed":
            pull = pulls.close(call.world, repository, pull)
        case "open":
            pull = pulls.reopen(call.world, repository, pull)
    call.wrote()
    return Answer(_full(call, repository, pull))


def merge_pull(call: Call) -> Answer:
    """PUT …/pulls/{number}/merge: 405 not mergeable, 409 when the head moved on."""
    repository = call.repository(MERGE)
    pull = _found(call, repository)
    if call.body.get("sha") not in {None, pull["headSha"]}:
        raise Refusal(409, "Head branch was modified. Review and try the merge again.")
    if repository["protection"] != "none" and pull["base"] == repository["defaultBranch"]:
        raise Refusal(405, "At least 1 approving review is required by reviewers with write access.")
    method = call.body.get("merge_method", "merge")
    merged = pulls.merge(call.world, repository, pull, call.identity.login, method=method)
    call.wrote()
    return Answer({"sha": merged["mergeSha"], "merged": True, "message": "Pull Request successfully merged"})


def _found(call: Call, repository: Document) -> dict[str, Any]:
    pull = pulls.find(call.world, repository, call.parameter("number"))
    if pull is None:
        raise not_found()
    return pull


def _short(call: Call, repository: Document, pull: Document) -> dict[str, Any]:
    full_name = f"{repository['owner']}/{repository['name']}"
    address, page = f"{call.api}/repos/{full_name}", f"{call.site}/{full_name}/pull/{pull['number']}"
    addresses = {
        "html": page,
        "issue": f"{address}/issues/{pull['number']}",
        "comments": f"{address}/issues/{pull['number']}/comments",
        "review_comments": f"{address}/pulls/{pull['number']}/comments",
        "review_comment": f"{address}/pulls/comments{{/number}}",
        "commits": f"{address}/pulls/{pull['number']}/commits",
        "statuses": f"{address}/statuses/{pull['headSha']}",
    }
    own = f"{address}/pulls/{pull['number']}"
    lists: dict[str, list[Any]] = {
        key: [] for key in ("labels", "assignees", "requested_reviewers", "requested_teams")
    }
    return {
        "url": own,
        "id": pull["id"],
        "node_id": f"PR_{pull['id']}",
        **{f"{key}_url": value for key, value in addresses.items()},
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "number": pull["number"],
        "state": pull["state"],
        "locked": False,
        "title": pull["title"],
        "user": bodies.user(call, pull["user"]),
        "body": pull["body"],
        **lists,
        "milestone": None,
        "assignee": None,
        "created_at": pull["createdAt"],
        "updated_at": pull["updatedAt"],
        "closed_at": pull["closedAt"],
        "merged_at": pull["mergedAt"],
        "merge_commit_sha": pull["mergeSha"],
        "head": _side(call, repository, pull, "head"),
        "base": _side(call, repository, pull, "base"),
        "_links": {key: {"href": value} for key, value in {"self": own, **addresses}.items()},
        "author_association": "MEMBER",
        "auto_merge": None,
        "draft": pull["draft"],
    }


def _full(call: Call, repository: Document, pull: Document) -> dict[str, Any]:
    open_one = pull["state"] == "open"
    mergeable = pulls.is_mergeable(call.world, repository, dict(pull)) if open_one else None
    diff = call.world.git.open(repository).diff(
        call.world.git.merge_base(repository, pull["baseSha"], pull["headSha"]), pull["headSha"]
    )
    state = {True: "clean", False: "dirty", None: "unknown"}[mergeable]
    if mergeable and repository["protection"] != "none" and pull["base"] == repository["defaultBranch"]:
        state = "blocked"
    return {
        **_short(call, repository, pull),
        "merged": pull["mergedAt"] is not None,
        "mergeable": mergeable,
        "rebaseable": mergeable,
        "mergeable_state": state,
        "merged_by": bodies.user(call, pull["mergedBy"]) if pull["mergedBy"] else None,
        "comments": 0,
        "review_comments": 0,
        "maintainer_can_modify": False,
        "commits": 1,
        "additions": diff.stats.insertions,
        "deletions": diff.stats.deletions,
        "changed_files": diff.stats.files_changed,
    }


def _side(call: Call, repository: Document, pull: Document, side: str) -> dict[str, Any]:
    return {
        "label": f"{repository['owner']}:{pull[side]}",
        "ref": pull[side],
        "sha": pull[f"{side}Sha"],
        "user": bodies.user(call, repository["owner"]),
        "repo": bodies.repository(call, repository),
    }
