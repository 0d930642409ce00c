"""Pull requests in the config repository, each of which adds one file. Knows GitHub, and no face.

A branch of a fixed name for each item, `onboard/<slug>/<kind>`, is what keeps a request that is repeated from
opening a second one, and what finds it again after a restart.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from reconciler.clients.github import GitHub, GitHubWriter
from reconciler.engine.item_file import InvalidFiles, parse
from reconciler.engine.kind import Kinds
from reconciler.faces.item_view import Proposed
from reconciler.git.locations import config_location
from reconciler.git.repository import Repository
from reconciler.git.snapshot import Snapshot
from reconciler.model.errors import Collision, ConfigurationError, Conflict, InvalidFile
from reconciler.model.item import SLUG_PATTERN, Item, ItemId
from reconciler.settings.giving import Reading, Sections, Writing

PREFIX = "onboard/"
LOOKED_UP_FOR = 60.0
"""Seconds for which GitHub's answer about a pull request is believed."""
_ON_A_SERVER = re.compile(
    r"(?:https?://|ssh://|[^/@\s]+@)[^/:\s]+(?::\d+)?[/:](?P<name>[^/\s]+/[^/\s]+?)(?:\.git)?/?"
)


@dataclass(frozen=True)
class _Known:
    """What a branch at a commit is known to ask for; believed until then."""

    commit: str
    until: float
    proposed: Proposed | None


class Proposals:
    """Opens them and finds them. Not for several threads at once."""

    def __init__(self, sections: Sections, kinds: Kinds) -> None:
        self._sections = sections
        self._kinds = kinds
        self._known: dict[str, _Known] = {}

    def open(self, snapshot: Snapshot, item: Item[Any], text: bytes, title: str) -> tuple[str, bool]:
        """Return the pull request that adds the file, and whether this call opened it.

        Conflict when there is one that says something else, or that somebody closed.
        """
        name, branch, path = self.repository(), _branch(item.id), item.source.path
        if not snapshot.commit:
            raise Conflict("the config repository has no commit yet", remedy="make a first one by hand")
        with self._writing() as github:
            pulls = github.pull_requests(name, head=branch, base=snapshot.branch)
            pull = next(iter(pulls), None)
            there = github.branch_head(name, branch)
            if there is not None and pull is not None and pull.state != "open":
                remedy = f"delete the branch {branch} to ask again"
                raise Conflict(f"{pull.url} is {pull.state}, and its branch is still there", remedy=remedy)
            if there is None:
                _if_absent(github.create_branch, name, branch, snapshot.commit)
            self._put(github, name, item, text, title)
            if pull is not None and pull.state == "open":
                return pull.url, False
            body = (
                f"Asked for through the onboarding API. Merge this to have `{path}` done; close it to say no."
            )
            try:
                made = github.create_pull_request(
                    name, title=title, body=body, head=branch, base=snapshot.branch
                )
            except Collision:
                # Somebody asked for the same at the same time.
                made = github.pull_requests(name, head=branch, base=snapshot.branch)[0]
            self._known.clear()
            return made.url, True

    def find(self, config: Repository, snapshot: Snapshot) -> dict[ItemId, Proposed]:
        """Return what open and closed pull requests ask for; empty where nobody asks for anything.

        One request to GitHub for each branch, at most once a minute.
        """
        found: dict[ItemId, Proposed] = {}
        for branch, commit in config.branches(PREFIX).items():
            slug, _, kind = branch.removeprefix(PREFIX).partition("/")
            if kind not in self._kinds or not SLUG_PATTERN.fullmatch(slug):
                continue
            item = ItemId(kind, slug)
            known = self._known.get(branch)
            if known is None or known.commit != commit or time.monotonic() > known.until:
                known = self._look_up(config, item, commit, snapshot.branch)
            if known.proposed is not None:
                found[item] = known.proposed
        return found

    def _put(self, github: GitHubWriter, name: str, item: Item[Any], text: bytes, title: str) -> None:
        """Have the file on the branch; Conflict when the branch has one that asks for something else."""
        branch, path = _branch(item.id), item.source.path
        if github.file(name, path, branch) is None:
            content = text.decode()
            _if_absent(github.put_file, name, path, text=content, message=title, branch=branch, replaces=None)
        there = github.file(name, path, branch)
        asked = self._parsed(path, (there.text or "").encode()) if there else None
        if asked is None or not _same(asked, item):
            remedy = f"change it there, or close its pull request and delete the branch {branch}"
            raise Conflict(f"the branch {branch} asks for something else for {item.slug}", remedy=remedy)

    def _look_up(self, config: Repository, item: ItemId, commit: str, base: str) -> _Known:
        branch = _branch(item)
        with self._reading() as github:
            pulls = github.pull_requests(self.repository(), head=branch, base=base)
        path = path_of(item, self._kinds)
        content = config.branch(branch).read(path) if pulls and pulls[0].state != "merged" else None
        asked = self._parsed(path, content) if content is not None else None
        proposed = Proposed(asked, pulls[0].url, pulls[0].state) if asked else None
        self._known[branch] = _Known(commit, time.monotonic() + LOOKED_UP_FOR, proposed)
        return self._known[branch]

    def _parsed(self, path: str, content: bytes) -> Item[Any] | None:
        try:
            return parse(path, content, self._kinds)
        except (InvalidFiles, InvalidFile):
            return None

    def repository(self) -> str:
        """Return owner/name of the config repository; ConfigurationError when it is not on a server."""
        found = _ON_A_SERVER.fullmatch(config_location(self._sections).address)
        if not found:
            raise ConfigurationError(
                "the config repository is not on GitHub, so no pull request can be opened there",
                remedy="set serve.onboardBy: commit",
            )
        return found["name"]

    @contextmanager
    def _reading(self) -> Iterator[GitHub]:
        systems = Reading(self._sections)
        try:
            yield systems.get(GitHub)
        finally:
            systems.close()

    @contextmanager
    def _writing(self) -> Iterator[GitHubWriter]:
        systems = Writing(self._sections)
        try:
            yield systems.get(GitHubWriter)
        finally:
            systems.close()


def path_of(item: ItemId, kinds: Kinds) -> str:
    """Return where a file goes that the API writes: a folder for each kind but the first."""
    first = kinds.first is not None and kinds.first.name == item.kind
    return f"projects/{item.slug}.yaml" if first else f"projects/{item.kind}/{item.slug}.yaml"


def _branch(item: ItemId) -> str:
    return f"{PREFIX}{item.slug}/{item.kind}"


def _same(one: Item[Any], other: Item[Any]) -> bool:
    return one.kind == other.kind and one.spec.asks_the_same(other.spec)


def _if_absent(call: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - a writer's method
    """Make something; that somebody else made it meanwhile is as good."""
    with suppress(Collision):
        call(*args, **kwargs)
