"""The pass: load → observe → plan → apply → report → publish, once (design §3). Read this file first."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog

from reconciler.config import ScheduleSettings
from reconciler.errors import ConfigurationError, SystemFault, UsageError
from reconciler.gitops.edits import File
from reconciler.gitops.kustomize import Gate
from reconciler.gitops.manifest_tree import ManifestEdits, ManifestTree
from reconciler.gitops.snapshot import Snapshot
from reconciler.history import History
from reconciler.model.decision import Change
from reconciler.model.loaded import Loaded
from reconciler.model.outcome import Condition, Outcome, ProjectReport, Status
from reconciler.model.plan import Plan, ProjectPlan
from reconciler.model.project import Project
from reconciler.model.run import RunRow
from reconciler.repositories import Repositories
from reconciler.resources.contract import Kind, Resource, Target
from reconciler.result import BUSY, Look, PassResult
from reconciler.sealing import SealingSettings
from reconciler.stages import apply, observe, publish, report
from reconciler.stages import plan as planning
from reconciler.stages.load import load
from reconciler.systems import Reader, Reading, Sections, Writing

log = structlog.get_logger()

Announce = Callable[[Change], None]
Postpone = Callable[[Loaded, datetime], frozenset[str]]
"""Names the slugs that a pass is to leave alone for now."""

COMMIT_TRAILER = "Reconciler-Pass"
"""Ends the message of every commit that a pass makes; its value is the `pass_id` of the log."""


def new_pass_id() -> str:
    """Return what tells one pass from all others."""
    return secrets.token_hex(6)


class Cycle:
    """Passes over one configuration. Nothing is carried from one pass to the next."""

    def __init__(
        self,
        sections: Sections,
        kinds: Mapping[str, Kind],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """Wire a cycle; `before` is called before each pass (the sandbox merges `projects/` there)."""
        self.sections = sections
        self.kinds = kinds
        self.repositories = Repositories(sections)
        self._clock = clock
        self._before = before
        self._resources = {name: [make(sections) for make in kind.resources] for name, kind in kinds.items()}

    def look(self, *, only: Sequence[str] = (), merged: Mapping[str, bytes] = {}) -> Look:
        """Load, observe and plan; writes nothing. `only` limits it to these slugs.

        `merged`: files by path, as if a pull request with them was merged into the config repository.
        """
        self.sections.renew()
        with closing(History.reading(self.sections)) as history:
            config, manifests = self._fetch(history.problems, merged)
            with closing(Reading(self.sections, given=_tree(manifests))) as read:
                look = self._look(config, read, history, only)
                return replace(look, reports=tuple(self._foreseen(look, look.plan)))

    def run(
        self,
        *,
        stopping: Callable[[], bool] = lambda: False,
        announce: Announce = lambda change: None,
        only: Sequence[str] = (),
        postpone: Postpone = lambda loaded, now: frozenset(),
        pass_id: str = "",
    ) -> PassResult:
        """Do one whole pass; every line that it logs has its `pass_id`, and so has every commit."""
        pass_id = pass_id or new_pass_id()
        with structlog.contextvars.bound_contextvars(pass_id=pass_id):
            return self._run({COMMIT_TRAILER: pass_id}, stopping, announce, only, postpone)

    def _run(
        self,
        trailers: Mapping[str, str],
        stopping: Callable[[], bool],
        announce: Announce,
        only: Sequence[str],
        postpone: Postpone,
    ) -> PassResult:
        self.sections.renew()
        self._before()
        with closing(History.writing(self.sections)) as history:
            if not history.alone:
                return PassResult((), (), (BUSY,), 0, (), busy=True)
            config, manifests = self._fetch(history.problems)
            gate = self._gate(manifests)
            with closing(Reading(self.sections, given=_tree(manifests), stopping=stopping)) as read:
                look = self._look(config, read, history, only, postpone)
            history.begin(self._running(look))
            edits = ManifestEdits()
            given: dict[type[Reader], Reader | SystemFault] = {**_tree(manifests), ManifestEdits: edits}
            with closing(Writing(self.sections, given=given)) as write:
                outcomes = {
                    project.slug: self._apply(
                        project, look, write, lambda: stopping() or history.is_lost(), announce
                    )
                    for project in look.plan
                }
            pushed = publish.manifests(
                self.repositories,
                gate,
                edits.by_slug,
                look.loaded,
                confirm=history.confirm,
                trailers=trailers,
            )
            return self._conclude(look, outcomes, pushed, history, trailers)

    def human_keys(self) -> dict[str, tuple[str, ...]]:
        """Return the keys of a status file that people write, by the top-level key that they stand in."""
        return report.human_keys(self._status_sections())

    def load(self) -> Loaded:
        """Return the projects and status files as they stand in the config repository."""
        return load(self.repositories.config.fetch(), self.kinds)

    def _fetch(
        self, problems: list[str], merged: Mapping[str, bytes] = {}
    ) -> tuple[Snapshot, Snapshot | SystemFault]:
        """Return both repositories as they are now; the fault where only the manifests cannot be had."""
        repository = self.repositories.config
        files = [File(slug=path, path=path, content=content) for path, content in merged.items()]
        config = repository.preview(files) if files else repository.fetch()
        if self.repositories.together:
            return config, config
        try:
            return config, self.repositories.manifests.fetch()
        except SystemFault as error:
            problems.append(str(error))
            return config, error

    def _look(
        self,
        config: Snapshot,
        read: Reading,
        history: History,
        only: Sequence[str],
        postpone: Postpone = lambda loaded, now: frozenset(),
    ) -> Look:
        now = self._clock()
        loaded = load(config, self.kinds)
        postponed = postpone(loaded, now)
        active = _selected(loaded, only, postponed)
        targets: dict[str, dict[str, Target[Any]]] = {}
        findings: dict[str, Mapping[str, Any]] = {}
        planned: list[ProjectPlan] = []
        for kind, resources in self._resources.items():
            members = [project for project in active if project.kind == kind]
            asked = self._targets(resources, members, loaded, history, now)
            seen = observe.observe(
                resources, {name: list(each.values()) for name, each in asked.items()}, read
            )
            names = [(project.slug, kind) for project in members]
            planned += planning.plan(names, resources, asked, seen)
            targets |= asked
            findings |= seen
        plan = Plan(tuple(planned))
        return Look(now, loaded, targets, findings, plan, tuple(history.problems), postponed)

    def _targets(
        self,
        resources: Sequence[Resource[Any, Any]],
        members: Sequence[Project[Any]],
        loaded: Loaded,
        history: History,
        now: datetime,
    ) -> dict[str, dict[str, Target[Any]]]:
        within = self.sections.get(ScheduleSettings).verify_within
        return {
            resource.name: {
                target.slug: target
                for target in observe.targets(
                    resource, members, loaded, history.verifications, now=now, verify_within=within
                )
            }
            for resource in resources
        }

    def _foreseen(self, look: Look, plans: Iterable[ProjectPlan]) -> Iterator[ProjectReport]:
        """Yield the reports of projects whose plan is carried out as it stands."""
        projects = {project.slug: project for project in look.loaded.projects}
        for each in plans:
            outcomes = tuple(
                apply.outcome_of(
                    resource, each.planned[resource.name], look.targets[resource.name][each.slug].remembered
                )
                for resource in self._resources[each.kind]
            )
            yield report.report(projects[each.slug], outcomes, look.loaded)

    def _apply(
        self,
        project: ProjectPlan,
        look: Look,
        write: Writing,
        stopping: Callable[[], bool],
        announce: Announce,
    ) -> tuple[Outcome, ...]:
        resources = self._resources[project.kind]
        return apply.apply(
            project, resources, look.targets, look.findings, write, stopping=stopping, announce=announce
        )

    def _conclude(
        self,
        look: Look,
        outcomes: Mapping[str, tuple[Outcome, ...]],
        pushed: publish.Published,
        history: History,
        trailers: Mapping[str, str],
    ) -> PassResult:
        """Report, publish status files, and record what was seen."""
        active = _in_plan(look.loaded.projects, look.plan)
        amended = {
            each.slug: publish.amend(
                outcomes[each.slug], pushed.refused.get(each.slug), self._resources[each.kind]
            )
            for each in look.plan
        }
        reports = [report.report(project, amended[project.slug], look.loaded) for project in active]
        reports += report.at_rest(look.loaded)
        sections = self._status_sections()
        changes = report.status_changes(reports, look.loaded, sections=sections, now=look.now)
        stated = publish.statuses(
            self.repositories,
            changes,
            pushed.together,
            look.loaded,
            human=report.human_keys(sections),
            public_key=self._public_key(history.problems),
            confirm=history.confirm,
            trailers=trailers,
        )
        made = sum(each.condition is Condition.CHANGED for several in amended.values() for each in several)
        rows = [
            row(project.spec, each, {})
            for project, each in zip(active, reports, strict=False)
            if (row := self.kinds[project.kind].run)
        ]
        verified = [
            pair
            for resources in self._resources.values()
            for pair in observe.verified(resources, look.findings)
        ]
        resting = {each.slug: str(each.status) for each in reports[len(active) :]}
        history.record(rows, resting, [pair for pair in verified if pair[0] in amended], look.now)
        return PassResult(
            reports=(*reports, *report.as_written(look.loaded, look.postponed, self.kinds)),
            broken=look.loaded.broken,
            problems=(*history.problems, *pushed.problems, *stated.problems),
            changes=made,
            commits=(*pushed.commits, *stated.commits),
            verified=observe.longest_ago(self._resources.values(), look.findings, look.now),
        )

    def _running(self, look: Look) -> list[RunRow]:
        """Return the run rows of the projects that this pass is about to change."""
        changing = [each for each in look.plan if each.changes]
        specs = {project.slug: project.spec for project in look.loaded.projects}
        return [
            row(specs[each.slug], replace(each, status=Status.RUNNING), {})
            for each in self._foreseen(look, changing)
            if (row := self.kinds[each.kind].run)
        ]

    def _status_sections(self) -> dict[str, report.SectionKey]:
        return {
            resource.name: report.SectionKey(resource.section, resource.human_keys)
            for resources in self._resources.values()
            for resource in resources
            if resource.section
        }

    def _public_key(self, problems: list[str]) -> str:
        """Return whom to seal to; "" when there is nobody, or no key that can be used."""
        try:
            return self.sections.get(SealingSettings).recipient
        except ConfigurationError as error:
            problems.append(str(error))
            return ""

    def _gate(self, manifests: Snapshot | SystemFault) -> Gate | None:
        return Gate(self.sections, manifests) if isinstance(manifests, Snapshot) else None


def _tree(fetched: Snapshot | SystemFault) -> dict[type[Reader], Reader | SystemFault]:
    return {ManifestTree: fetched if isinstance(fetched, SystemFault) else ManifestTree(fetched)}


def _selected(loaded: Loaded, only: Sequence[str], postponed: frozenset[str]) -> list[Project[Any]]:
    unknown = set(only) - {project.slug for project in loaded.projects}
    if unknown:
        names = ", ".join(sorted(unknown))
        raise UsageError(f"no project called {names}", remedy="`reconcile status` lists the slugs")
    return [
        project
        for project in loaded.projects
        if not project.spec.suspend
        and project.slug not in loaded.unreadable_statuses
        and project.slug not in postponed
        and (not only or project.slug in only)
    ]


def _in_plan(projects: Iterable[Project[Any]], plan: Plan) -> list[Project[Any]]:
    by_slug = {project.slug: project for project in projects}
    return [by_slug[each.slug] for each in plan]
