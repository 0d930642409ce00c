"""JSON bodies that several calls share, as GitHub's OpenAPI description has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pygit2

from reconciler.sandbox.emulators.github import node_ids
from reconciler.sandbox.emulators.github.call import VERSIONS, Call
from reconciler.sandbox.emulators.github.repositories import Repositories

Body = dict[str, Any]
Document = Mapping[str, Any]

_USER_ADDRESSES = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}
_REPOSITORY_ADDRESSES = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}
_COUNTS = (
    "forks_count", "stargazers_count", "watchers_count", "size", "open_issues_count", "subscribers_count",
    "network_count", "forks", "open_issues", "watchers",
)  # fmt: skip


def user(call: Call, login: str) -> Body:
    """Return a SimpleUser, for a person or an organization."""
    known = call.world.repositories.owner(login) or {"id": 1, "login": login, "type": "User"}
    address = f"{call.api}/users/{known['login']}"
    return {
        "login": known["login"],
        "id": known["id"],
        "node_id": owner_node_id(known),
        "avatar_url": f"{call.site}/avatars/u/{known['id']}",
        "gravatar_id": "",
        "url": address,
        "html_url": f"{call.site}/{known['login']}",
        **{key: address + suffix for key, suffix in _USER_ADDRESSES.items()},
        "type": known["type"],
        "site_admin": False,
    }


def owner_node_id(owner: Document) -> str:
    """Return an owner's global node id."""
    prefix = node_ids.ORGANIZATION if owner["type"] == "Organization" else node_ids.USER
    return node_ids.encode(prefix, owner["id"])


def repository(call: Call, document: Document) -> Body:
    """Return a full repository. `node_id` is of the old style on purpose: REST's and GraphQL's may differ."""
    full_name = f"{document['owner']}/{document['name']}"
    address, page = f"{call.api}/repos/{full_name}", f"{call.site}/{full_name}"
    host = call.site.partition("://")[2]
    owner = user(call, document["owner"])
    organization = {"organization": owner} if document["ownerType"] == "Organization" else {}
    permissions = {} if call.identity.anonymous else {"permissions": permissions_of(call, document)}
    old = {} if call.version == VERSIONS[1] else {"has_downloads": True}
    return {
        "id": document["id"],
        "node_id": node_ids.old_repository(document["id"]),
        "name": document["name"],
        "full_name": full_name,
        "private": document["private"],
        "owner": owner,
        "html_url": page,
        "description": document["description"],
        "fork": False,
        "url": address,
        **{key: address + suffix for key, suffix in _REPOSITORY_ADDRESSES.items()},
        "created_at": document["createdAt"],
        "updated_at": document["updatedAt"],
        "pushed_at": document["updatedAt"],
        "git_url": f"git://{host}/{full_name}.git",
        "ssh_url": f"git@{host}:{full_name}.git",
        "clone_url": f"{page}.git",
        "svn_url": page,
        "mirror_url": None,
        "homepage": None,
        "language": None,
        "license": None,
        **dict.fromkeys(_COUNTS, 0),
        **dict.fromkeys(("has_issues", "has_projects", "has_wiki"), True),
        **dict.fromkeys(("has_pages", "has_discussions", "disabled", "is_template"), False),
        **old,
        "archived": document["archived"],
        "allow_forking": True,
        "web_commit_signoff_required": False,
        "topics": [],
        "visibility": "private" if document["private"] else "public",
        "default_branch": document["defaultBranch"],
        **permissions,
        **organization,
    }


def permissions_of(call: Call, document: Document) -> dict[str, bool]:
    """Return the five booleans of `permissions`."""
    wanted = {"admin": "admin", "maintain": "maintain", "push": "write", "triage": "triage", "pull": "read"}
    return {key: call.identity.reaches(document, level) for key, level in wanted.items()}


def commit(call: Call, document: Document, found: pygit2.Commit) -> Body:
    """Return a commit as the branches call shows it."""
    sha = str(found.id)
    full_name = f"{document['owner']}/{document['name']}"
    address, page = f"{call.api}/repos/{full_name}", f"{call.site}/{full_name}"
    return {
        "sha": sha,
        "node_id": f"C_{sha}",
        "commit": {**git_commit(call, document, found), "comment_count": 0},
        "url": f"{address}/commits/{sha}",
        "html_url": f"{page}/commit/{sha}",
        "comments_url": f"{address}/commits/{sha}/comments",
        "author": None,
        "committer": None,
        "parents": [
            {
                "sha": str(one),
                "url": f"{address}/commits/{one}",
                "html_url": f"{page}/commit/{one}",
            }
            for one in found.parent_ids
        ],
    }


def git_commit(call: Call, document: Document, found: pygit2.Commit) -> Body:
    """Return author, committer, message and tree of a commit."""
    address = f"{call.api}/repos/{document['owner']}/{document['name']}/git"
    return {
        "author": _signature(found.author),
        "committer": _signature(found.committer),
        "message": found.message,
        "tree": {"sha": str(found.tree_id), "url": f"{address}/trees/{found.tree_id}"},
        "url": f"{address}/commits/{found.id}",
        "verification": {
            "verified": False,
            "reason": "unsigned",
            "signature": None,
            "payload": None,
            "verified_at": None,
        },
    }


def _signature(who: pygit2.Signature) -> Body:
    return {"name": who.name, "email": who.email, "date": Repositories.moment(who.time)}
