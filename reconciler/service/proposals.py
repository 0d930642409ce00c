"""Pull requests in the config repository, each of which adds one project file. Knows GitHub, and no face.

A branch of a fixed name for each slug is what keeps a request that is repeated from opening a second one, and
what finds it again after a restart.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from reconciler.clients.github import GitHub, GitHubWriter
from reconciler.errors import Collision, ConfigurationError, Conflict, InvalidFile
from reconciler.gitops.repository import Repository
from reconciler.gitops.settings import config_location
from reconciler.gitops.snapshot import Snapshot
from reconciler.model.project import SLUG_PATTERN, Project
from reconciler.project_file import InvalidFiles, Kinds, parse
from reconciler.service.runs import Proposed
from reconciler.systems import Reading, Sections, Writing

PREFIX, SUFFIX = "onboard/", "/project"
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

    def open(self, snapshot: Snapshot, project: Project[Any], text: bytes, title: str) -> tuple[str, bool]:
        """Return the pull request that adds the file, and whether this call opened it.

        Conflict when there is one that says something else, or that somebody closed.
        """
        name, branch, path = self.repository(), _branch(project.slug), project.source.path
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
            self._put(github, name, project, text, title)
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

    def find(self, config: Repository, snapshot: Snapshot) -> dict[str, Proposed]:
        """Return what open and closed pull requests ask for, by slug; empty where nobody asks for anything.

        One request to GitHub for each branch, at most once a minute.
        """
        found: dict[str, Proposed] = {}
        for branch, commit in config.branches(PREFIX).items():
            slug = branch.removeprefix(PREFIX).removesuffix(SUFFIX)
            if not branch.endswith(SUFFIX) or not SLUG_PATTERN.fullmatch(slug):
                continue
            known = self._known.get(branch)
            if known is None or known.commit != commit or time.monotonic() > known.until:
                known = self._look_up(config, branch, commit, snapshot.branch)
            if known.proposed is not None:
                found[slug] = known.proposed
        return found

    def _put(self, github: GitHubWriter, name: str, project: Project[Any], text: bytes, title: str) -> None:
        """Have the file on the branch; Conflict when the branch has one that asks for something else."""
        branch, path = _branch(project.slug), project.source.path
        if github.file(name, path, branch) is None:
            content = text.decode()
            _if_absent(github.put_file, name, path, text=content, message=title, branch=branch, replaces=None)
        there = github.file(name, path, branch)
        asked = self._parsed(path, (there.text or "").encode()) if there else None
        if asked is None or not asked.spec.asks_the_same(project.spec):
            remedy = f"change it there, or close its pull request and delete the branch {branch}"
            raise Conflict(f"the branch {branch} asks for something else for {project.slug}", remedy=remedy)

    def _look_up(self, config: Repository, branch: str, commit: str, base: str) -> _Known:
        with self._reading() as github:
            pulls = github.pull_requests(self.repository(), head=branch, base=base)
        path = path_of(branch.removeprefix(PREFIX).removesuffix(SUFFIX))
        content = config.branch(branch).read(path) if pulls and pulls[0].state != "merged" else None
        project = self._parsed(path, content) if content is not None else None
        proposed = Proposed(project, pulls[0].url, pulls[0].state) if project else None
        self._known[branch] = _Known(commit, time.monotonic() + LOOKED_UP_FOR, proposed)
        return self._known[branch]

    def _parsed(self, path: str, content: bytes) -> Project[Any] | None:
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


def path_of(slug: str) -> str:
    """Return where a project file goes that the API writes."""
    return f"projects/{slug}.yaml"


def _branch(slug: str) -> str:
    return f"{PREFIX}{slug}{SUFFIX}"


def _if_absent(call: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - a writer's method
    """Make something; that somebody else made it meanwhile is as good."""
    with suppress(Collision):
        call(*args, **kwargs)
