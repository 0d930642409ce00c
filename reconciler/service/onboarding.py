"""What both faces of the service do: ask for a project, hand over its tokens, tell where each one stands.

All of it is in git: a request becomes a project file, tokens become a sealed entry, and what is told is read
from the config repository. Knows no HTTP and no MCP.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog

from reconciler.clients.run_store import RunStore
from reconciler.config import ServeSettings
from reconciler.errors import (
    Conflict,
    NotConfigured,
    ReconcilerError,
    Unavailable,
    UnknownProject,
)
from reconciler.gitops.edits import Fate, NewFile
from reconciler.gitops.snapshot import Snapshot
from reconciler.gitops.status_file import dump_status
from reconciler.model.loaded import Loaded
from reconciler.model.project import Project
from reconciler.model.project_spec import OnboardProjectRequest, ProjectSpec
from reconciler.model.run import Recorded
from reconciler.model.status_file import mapping
from reconciler.project_file import Kinds, parse
from reconciler.repositories import Repositories
from reconciler.resources.login import SEALED, SECTION
from reconciler.seal_command import commit_entry, sealed_entry
from reconciler.sealing import Opened, SealingSettings, read_tokens, unseal
from reconciler.service.proposals import Proposals, path_of
from reconciler.service.runs import OnboardingRun, Proposed, runs_of
from reconciler.stages.load import load
from reconciler.systems import Reading, Sections

log = structlog.get_logger()

T = TypeVar("T")

STALE_AFTER = 10.0
"""Seconds after which what is told is read again, in the background."""
ASKED_AGAIN_AFTER = 2.0
"""Seconds before which an unknown id does not cause another fetch."""
LEFT_ALONE_FOR = 60.0
"""Seconds for which nobody waits for a system that did not answer."""
LONGEST_WAIT = 20.0
"""Seconds that a request waits for those before it. A server that hangs is given up after a minute."""
HEADING = "# Asked for through the onboarding API. From here on it is a project file like any other.\n"


@dataclass(frozen=True)
class View:
    """All runs at one commit of the config repository."""

    commit: str = ""
    runs: Mapping[str, OnboardingRun] = field(default_factory=dict)
    key: object = None
    """What it was made from; the same makes the same."""


class Onboarding:
    """Safe for any number of threads; one of them at a time works with git.

    `wake` is called with a reason after a commit that a pass should look at.
    """

    def __init__(
        self,
        sections: Sections,
        kinds: Kinds,
        *,
        wake: Callable[[str], None] = lambda reason: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sections = sections
        self._kinds = kinds
        self._wake = wake
        self._clock = clock
        self._by_pull_request = sections.get(ServeSettings).onboard_by == "pull-request"
        self._repository = Repositories(sections, clones="service")
        self._proposals = Proposals(sections, kinds)
        self._working = threading.Lock()
        self._background = ThreadPoolExecutor(1, thread_name_prefix="refresh")
        self._refreshing = False
        self._loaded: Loaded | None = None
        self._recorded: Mapping[str, Recorded] = {}
        self._last_proposed: Mapping[str, Proposed] = {}
        self._leave_alone: dict[str, float] = {}
        self._view = View()
        self._read_at = self._looked_at = float("-inf")

    def close(self) -> None:
        """Let go of the background thread."""
        self._background.shutdown(wait=True, cancel_futures=True)

    def view(self) -> View:
        """Return all runs as last read, at once; what is old is read again behind the caller's back."""
        if time.monotonic() - self._read_at > STALE_AFTER and not self._refreshing:
            self.look_again()
        return self._view

    def look_again(self) -> None:
        """Read the config repository soon, in the background."""
        self._refreshing = True
        self._background.submit(self._refresh_quietly)

    @property
    def has_read(self) -> bool:
        """Whether there is a view yet."""
        return self._view.key is not None

    def refresh(self) -> View:
        """Read the config repository now. Raises SystemFault when it cannot be had.

        Those who waited here for one another share one look: it began after they asked.
        """
        asked = time.monotonic()
        with self._alone():
            begun = time.monotonic()
            if self._looked_at <= asked:
                self._read(self._repository.config.fetch())
                self._looked_at = begun
            return self._view

    def run(self, slug: str) -> OnboardingRun:
        """Return one run; UnknownProject when there is none, also not after another look."""
        found = self.view().runs.get(slug)
        if found is None and time.monotonic() - self._read_at > ASKED_AGAIN_AFTER:
            found = self.refresh().runs.get(slug)
        if found is None:
            raise UnknownProject(f"there is no run {slug}", remedy="GET /onboard lists them")
        return found

    def start(self, request: OnboardProjectRequest) -> tuple[OnboardingRun, bool]:
        """Ask for a project: by pull request or commit. Return its run, and whether it is new.

        The same request again gives the same run. Conflict when something else is asked for or there
        already, InvalidFiles when no file can be made of it.
        """
        text, project = self._file(request)
        with self._alone():
            config = self._repository.config
            snapshot = config.fetch()
            view = self._read(snapshot)
            if standing := self._standing(project):
                return view.runs[standing], False
            if self._by_pull_request:
                url, new = self._proposals.open(snapshot, project, text, _title(project))
                asked = Proposed(project, url, "open")
                view = self._read(config.fetch(), also={project.slug: asked})
                log.info("onboarding proposed", slug=project.slug, pull_request=url, new=new)
                return view.runs[project.slug], new
            pushed = config.push(
                [NewFile(slug=project.slug, path=project.source.path, content=text)], _title(project)
            )
            for written in pushed.fates(Fate.REFUSED):
                raise Conflict(written.reason, remedy=written.remedy)
            view = self._read(pushed.snapshot)
        if pushed.commit:
            log.info("onboarding committed", slug=project.slug, commit=pushed.commit)
            self._wake(f"{project.slug} was asked for")
        return view.runs[project.slug], bool(pushed.commit)

    def submit(self, slug: str, tokens: bytes) -> OnboardingRun:
        """Seal a login's tokens and commit them; the same tokens again change nothing.

        UnknownProject, Conflict when none are asked for or others are on their way, UsageError for tokens
        that are none or past their time.
        """
        with self._alone():
            config = self._repository.config
            view = self._read(config.fetch())
            assert self._loaded is not None  # noqa: S101 - just read
            if slug not in self._loaded.statuses:
                if slug in view.runs:
                    raise Conflict(
                        f"{slug} does not ask for tokens yet", remedy="ask again after its first pass"
                    )
                raise UnknownProject(f"there is no run {slug}", remedy="GET /onboard lists them")
            if self._is_on_its_way(slug, tokens):
                return view.runs[slug]
            commit = commit_entry(config, slug, sealed_entry(self._loaded, slug, tokens, self._clock()))
            view = self._read(config.fetch())
        log.info("tokens sealed and committed", slug=slug, commit=commit)
        self._wake(f"{slug} was logged in")
        return view.runs[slug]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Work with git; Unavailable when whoever does so now takes too long, so that no queue builds up."""
        if not self._working.acquire(timeout=LONGEST_WAIT):
            raise Unavailable("git", "the requests before this one still wait for it")
        try:
            yield
        finally:
            self._working.release()

    def _is_on_its_way(self, slug: str, tokens: bytes) -> bool:
        """Tell whether the very same tokens wait to be stored; Conflict when others do."""
        assert self._loaded is not None  # noqa: S101 - the caller has just read
        section = mapping(self._loaded.statuses[slug].get(SECTION))
        entry = section.get(SEALED)
        if section.get("state") in {"sealed", "stored"} and not entry:
            # Whoever calls again after that repeats himself; a new login is asked for, or sealed by hand.
            raise Conflict(
                f"{slug} has its tokens",
                remedy="seal new ones with `reconcile seal`, or have it ask for a login",
            )
        if not isinstance(entry, str) or section.get("state") == "rejected":
            return False
        keys = self._sections.get(SealingSettings).keys
        opened = unseal(entry, keys, slug, self._clock())
        if isinstance(opened, Opened) and opened.tokens == read_tokens(tokens.decode("utf-8", "replace")):
            return True
        raise Conflict(
            f"other tokens for {slug} are on their way already", remedy="wait for the next pass to store them"
        )

    def _file(self, request: OnboardProjectRequest) -> tuple[bytes, Project[ProjectSpec]]:
        document = request.model_dump(by_alias=True, exclude_unset=True, exclude_none=True)
        text = dump_status(document, HEADING)
        slug = ProjectSpec.model_validate(document).default_slug()
        return text, parse(path_of(slug), text, self._kinds)

    def _standing(self, project: Project[ProjectSpec]) -> str | None:
        """Return the slug of the project that asks for the same; Conflict when it asks for something else."""
        loaded = self._loaded
        assert loaded is not None  # noqa: S101 - the caller has just read
        for each in loaded.projects:
            if each.spec.identity() == project.spec.identity():
                if each.spec.asks_the_same(project.spec):
                    return each.slug
                remedy = f"change {each.source.path} by a pull request"
                raise Conflict(f"{each.source.path} asks for something else for {each.slug}", remedy=remedy)
            if each.slug == project.slug:
                remedy = "add a file with another `slug:` to projects/ by a pull request"
                raise Conflict(f"the slug {project.slug} is taken by {each.source.path}", remedy=remedy)
        for broken in loaded.broken:
            if broken.path == project.source.path:
                raise Conflict(f"{broken.path} is there and broken: {broken.message}", remedy=broken.remedy)
        return None

    def _read(self, snapshot: Snapshot, also: Mapping[str, Proposed] | None = None) -> View:
        """Make the view of a snapshot; the caller holds the lock."""
        if self._loaded is None or self._loaded.commit != snapshot.commit:
            self._loaded = load(snapshot, self._kinds)
        if self._by_pull_request:
            self._last_proposed = {**self._proposed(snapshot), **(also or {})}
        proposed = self._last_proposed
        self._recorded = self._ask_recorded()
        key = (snapshot.commit, self._recorded, proposed)
        if key != self._view.key:
            self._view = View(
                snapshot.commit, runs_of(self._loaded, self._kinds, self._recorded, proposed), key
            )
        self._read_at = time.monotonic()
        return self._view

    def _proposed(self, snapshot: Snapshot) -> Mapping[str, Proposed]:
        """Return what pull requests ask for; without GitHub, what they asked for when it last answered."""
        config = self._repository.config
        return self._or_before("GitHub", lambda: self._proposals.find(config, snapshot), self._last_proposed)

    def _ask_recorded(self) -> Mapping[str, Recorded]:
        def ask() -> Mapping[str, Recorded]:
            with closing(Reading(self._sections)) as read:
                try:
                    return read.get(RunStore).recorded()
                except NotConfigured:
                    return {}

        return self._or_before("PostgreSQL", ask, self._recorded)

    def _or_before(self, system: str, ask: Callable[[], T], before: T) -> T:
        """Ask a system that runs can be told without; leave it alone for a while when it does not answer."""
        if time.monotonic() < self._leave_alone.get(system, float("-inf")):
            return before
        try:
            return ask()
        except ReconcilerError as error:
            log.warning("told without a system that does not answer", system=system, error=error.message)
            self._leave_alone[system] = time.monotonic() + LEFT_ALONE_FOR
            return before

    def _refresh_quietly(self) -> None:
        try:
            self.refresh()
        except ReconcilerError as error:
            log.warning("config repository cannot be read", error=error.message)
        finally:
            self._read_at = max(self._read_at, time.monotonic() - STALE_AFTER / 2)
            self._refreshing = False


def _title(project: Project[Any]) -> str:
    return f"Onboard {project.spec.full_name}"
