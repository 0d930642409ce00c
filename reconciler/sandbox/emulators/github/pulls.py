"""Pull requests as documents, and merging them for real. Knows no route and no right.

A document: number, title, body, draft, head and base (branch names of this repository), headSha and baseSha
(as of now, frozen when closed), state, merged, mergeSha, user, createdAt, updatedAt, closedAt, mergedAt,
mergedBy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.sandbox.emulators.github.errors import Refusal, validation_failed
from reconciler.sandbox.emulators.github.world import World

PULLS = "github.pulls"
Document = dict[str, Any]


def all_of(world: World, repository: Mapping[str, Any]) -> list[Document]:
    """Return a repository's pull requests, newest first."""
    found = [
        _current(world, repository, pull) for _, pull in world.store.items(PULLS, f"{repository['id']}/")
    ]
    return found[::-1]


def find(world: World, repository: Mapping[str, Any], number: int) -> Document | None:
    """Return one by its number."""
    pull = world.store.get(PULLS, _key(repository, number))
    return None if pull is None else _current(world, repository, pull)


def create(world: World, repository: Mapping[str, Any], wish: Mapping[str, Any], user: str) -> Document:
    """Open one. One that is open already, and branches that do not differ, are 422 and ordinary outcomes."""
    head, base = wish["head"], wish["base"]
    owner, colon, branch = head.rpartition(":")
    if colon and owner.lower() != repository["owner"].lower():
        raise validation_failed("PullRequest", "invalid", field="head")
    tips = {}
    for field, name in (("head", branch), ("base", base)):
        tip = world.git.branch(repository, name)
        if tip is None:
            raise validation_failed("PullRequest", "invalid", field=field)
        tips[field] = str(tip.id)
    if any(
        p["state"] == "open" and (p["head"], p["base"]) == (branch, base) for p in all_of(world, repository)
    ):
        message = f"A pull request already exists for {repository['owner']}:{branch}."
        raise validation_failed("PullRequest", "custom", message=message)
    head_sha, base_sha = tips["head"], tips["base"]
    if world.git.merge_base(repository, head_sha, base_sha) == head_sha:
        message = f"No commits between {base} and {branch}"
        raise validation_failed("PullRequest", "custom", message=message)
    pull: Document = {
        "id": 2_000_000_000 + world.store.next_number(PULLS),
        "number": world.store.next_number(f"{PULLS}/{repository['id']}"),
        "title": wish["title"],
        "body": wish.get("body"),
        "draft": bool(wish.get("draft")),
        "head": branch,
        "base": base,
        "headSha": head_sha,
        "baseSha": base_sha,
        "state": "open",
        "user": user,
        "createdAt": world.now(),
        "updatedAt": world.now(),
        **dict.fromkeys(("mergeSha", "closedAt", "mergedAt", "mergedBy")),
    }
    return save(world, repository, pull)


def save(world: World, repository: Mapping[str, Any], pull: Document) -> Document:
    """Keep it."""
    pull["updatedAt"] = world.now()
    world.store.put(PULLS, _key(repository, pull["number"]), pull)
    return pull


def close(world: World, repository: Mapping[str, Any], pull: Document) -> Document:
    """Close it without merging: a person's no."""
    if pull["state"] == "closed":
        return pull
    return save(world, repository, {**pull, "state": "closed", "closedAt": world.now()})


def reopen(world: World, repository: Mapping[str, Any], pull: Document) -> Document:
    """Open it again; refused when merged or when its branch is gone."""
    if pull["mergedAt"] or world.git.branch(repository, pull["head"]) is None:
        message = "state cannot be changed. The pull request cannot be reopened."
        raise validation_failed("PullRequest", "invalid", field="state", message=message)
    return save(world, repository, {**pull, "state": "open", "closedAt": None})


def merge(
    world: World, repository: Mapping[str, Any], pull: Document, user: str, *, method: str = "merge"
) -> Document:
    """Merge it; `squash` and `rebase` both make one commit without the second parent."""
    if pull["state"] == "closed" or pull["draft"] or not is_mergeable(world, repository, pull):
        raise Refusal(405, "Pull Request is not mergeable")
    tree = world.git.merged_tree(repository, pull["baseSha"], pull["headSha"])
    assert tree is not None  # noqa: S101 - mergeable, checked above
    parents = [pull["baseSha"], pull["headSha"]] if method == "merge" else [pull["baseSha"]]
    title = (
        f"Merge pull request #{pull['number']} from {repository['owner']}/{pull['head']}\n\n{pull['title']}"
        if method == "merge"
        else f"{pull['title']} (#{pull['number']})"
    )
    sha = world.git.commit_tree(repository, pull["base"], tree, parents, title)
    world.repositories.touch(repository)
    now = world.now()
    done = {"state": "closed", "closedAt": now, "mergedAt": now, "mergedBy": user, "mergeSha": sha}
    return save(world, repository, {**pull, **done})


def is_mergeable(world: World, repository: Mapping[str, Any], pull: Document) -> bool:
    """Whether it has no conflict."""
    return world.git.merged_tree(repository, pull["baseSha"], pull["headSha"]) is not None


def close_those_of_branch(world: World, repository: Mapping[str, Any], branch: str) -> None:
    """Close the open ones whose branch is about to go."""
    for pull in all_of(world, repository):
        if pull["state"] == "open" and branch in {pull["head"], pull["base"]}:
            close(world, repository, pull)


def _key(repository: Mapping[str, Any], number: int) -> str:
    return f"{repository['id']}/{number:08d}"


def _current(world: World, repository: Mapping[str, Any], pull: Document) -> Document:
    if pull["state"] == "open":
        for side in ("head", "base"):
            tip = world.git.branch(repository, pull[side])
            pull[f"{side}Sha"] = str(tip.id) if tip is not None else pull[f"{side}Sha"]
    return pull
