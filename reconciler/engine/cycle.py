"""The pass: load → observe → plan → apply → report → publish, once. Read this file first."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog

from reconciler.crypto.sealing import SealingSettings
from reconciler.engine import removing, viewing
from reconciler.engine.contract import AnyResource, Target
from reconciler.engine.emptied import Emptiness
from reconciler.engine.history import History, Reported
from reconciler.engine.kind import Kinds
from reconciler.engine.leaving import RemovalSettings, followed, leaving
from reconciler.engine.loss import Loss, doubting, losses
from reconciler.engine.naming import chosen_item
from reconciler.engine.repositories import Fetched, Preview, Repositories
from reconciler.engine.result import BUSY, KindView, Look, PassResult
from reconciler.engine.stages import apply, observe, publish, report
from reconciler.engine.stages import plan as planning
from reconciler.engine.stages.load import foreign_recipients, load
from reconciler.engine.trailers import COMMIT_TRAILER
from reconciler.git.clone import Damaged
from reconciler.git.edits import Edit
from reconciler.git.manifest_tree import ManifestEdits
from reconciler.git.snapshot import Snapshot
from reconciler.model.decision import Change
from reconciler.model.errors import ConfigurationError
from reconciler.model.item import Item, ItemId
from reconciler.model.loaded import Loaded
from reconciler.model.observation import Finding
from reconciler.model.outcome import Condition, ItemReport, Outcome, Status
from reconciler.model.plan import ItemPlan, Plan
from reconciler.model.removal import Leaving
from reconciler.settings.giving import Reader, Reading, Sections, Writing
from reconciler.settings.program import ScheduleSettings

log = structlog.get_logger()

Announce = Callable[[Change], None]
Postpone = Callable[[Loaded, datetime], frozenset[ItemId]]
"""Names the items that a pass is to leave alone for now."""


def new_pass_id() -> str:
    """Return what tells one pass from all others."""
    return secrets.token_hex(6)


class Cycle:
    """Passes over one configuration. Nothing is carried from one pass to the next."""

    def __init__(
        self,
        sections: Sections,
        kinds: Kinds,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """Wire a cycle; `before` is called before each pass (the sandbox merges `projects/` there)."""
        self.sections = sections
        self.kinds = kinds
        self.repositories = Repositories(sections)
        self._clock = clock
        self._before = before
        self._resources: Mapping[str, tuple[AnyResource, ...]] = {
            name: tuple(make(sections) for make in kind.resources) for name, kind in kinds.items()
        }

    def look(self, *, only: Sequence[str] = (), as_if: Preview | None = None) -> Look:
        """Load, observe and plan; writes nothing. `only` limits it to these items (SLUG or KIND/SLUG).

        `as_if`: a commit that would be in the config repository.
        """
        self.sections.renew()
        with closing(History.reading(self.sections, self.kinds)) as history:
            emptiness = self._emptiness(history)
            _, look = self._seen(history, emptiness, partial(self._look, only=only), as_if=as_if)
            return replace(look, reports=tuple(self._foreseen(look, look.plan)))

    def run(
        self,
        *,
        stopping: Callable[[], bool] = lambda: False,
        announce: Announce = lambda change: None,
        only: Sequence[str] = (),
        postpone: Postpone = lambda loaded, now: frozenset(),
        pass_id: str = "",
        make_anew: Set[str] = frozenset(),
    ) -> PassResult:
        """Do one whole pass; every line that it logs has its `pass_id`, and so has every commit.

        `make_anew`: systems, or resources, that have really lost what they held (`engine/loss.py`).
        """
        pass_id = pass_id or new_pass_id()
        with structlog.contextvars.bound_contextvars(pass_id=pass_id):
            return self._run({COMMIT_TRAILER: pass_id}, stopping, announce, only, postpone, make_anew)

    def _run(
        self,
        trailers: Mapping[str, str],
        stopping: Callable[[], bool],
        announce: Announce,
        only: Sequence[str],
        postpone: Postpone,
        make_anew: Set[str],
    ) -> PassResult:
        self.sections.renew()
        self._before()
        with closing(History.writing(self.sections, self.kinds)) as history:
            if not history.alone:
                return PassResult((), (), (BUSY,), 0, (), busy=True)
            self.repositories.check_program()
            emptiness = self._emptiness(history, make_anew)
            looking = partial(self._look, only=only, postpone=postpone, make_anew=make_anew)
            fetched, look = self._seen(history, emptiness, looking, stopping)
            history.begin(self._changing(look), look.changed_when_audited)
            edits = ManifestEdits()
            with closing(
                Writing(self.sections, given={**fetched.readers, ManifestEdits: lambda: edits})
            ) as write:
                outcomes = {
                    item.id: (removing.apply if item.id in look.leaving else apply.apply)(
                        item,
                        look.views[item.id.kind],
                        write,
                        stopping=lambda: stopping() or history.is_lost(),
                        announce=announce,
                        look_again=partial(self._look_again, fetched.readers),
                    )
                    for item in look.plan
                }
            pushed = publish.manifests(
                self.repositories,
                fetched.gate,
                edits.by_item,
                look.loaded,
                confirm=history.confirm,
                trailers=trailers,
                check=emptiness.manifests,
            )
            return self._conclude(look, outcomes, pushed, history, emptiness, trailers)

    def _emptiness(self, history: History, make_anew: Set[str] = frozenset()) -> Emptiness:
        made = self.repositories.emptiness(make_anew)
        made.verified(item for item, _ in history.verifications or ())
        return made

    def _seen(
        self,
        history: History,
        emptiness: Emptiness,
        look: Callable[[Snapshot, Reading, History, Emptiness], Look],
        stopping: Callable[[], bool] = lambda: False,
        as_if: Preview | None = None,
    ) -> tuple[Fetched, Look]:
        """Fetch and look; once more with new clones if one of them turned out to be broken on the way."""
        known = tuple(history.problems)

        def seen() -> tuple[Fetched, Look]:
            fetched = self.repositories.fetched(history.problems, emptiness, as_if)
            with closing(Reading(self.sections, given=fetched.readers, stopping=stopping)) as read:
                return fetched, look(fetched.config, read, history, emptiness)

        try:
            return seen()
        except Damaged:
            history.problems[:] = known
            return seen()

    def _look_again(
        self,
        readers: Mapping[type[Reader], Callable[[], Reader]],
        resource: AnyResource,
        target: Target[Any],
    ) -> Finding[Any]:
        with closing(Reading(self.sections, given=readers)) as read:
            return observe.observe(resource, [replace(target, verify=True)], read)[target.slug]

    def load(self) -> Loaded:
        """Return the items and status files as they stand in the config repository, allowed or not."""
        return load(self.repositories.config.fetch(), self.kinds, None)

    def _look(
        self,
        config: Snapshot,
        read: Reading,
        history: History,
        emptiness: Emptiness,
        only: Sequence[str],
        postpone: Postpone = lambda loaded, now: frozenset(),
        make_anew: Set[str] = frozenset(),
    ) -> Look:
        now = self._clock()
        loaded = load(config, self.kinds, self.sections)
        emptiness.loaded(loaded, self.kinds)
        history.problems += foreign_recipients(loaded, self.kinds, self._trusted())
        postponed = postpone(loaded, now)
        active = _selected(loaded, only, postponed)
        gone = leaving(
            loaded,
            config,
            self.kinds,
            followed(history.followed(self._branch(config.branch)), config),
            now=now,
            grace=self.sections.get(RemovalSettings).grace,
        )
        if only:
            gone = {item: each for item, each in gone.items() if item in _chosen(loaded, only)}
        views: dict[str, KindView] = {}
        planned: list[ItemPlan] = []
        removed: list[ItemPlan] = []
        lost: list[Loss] = []
        for kind in self.kinds:
            members = [item for item in active if item.kind == kind]
            outgoing = {item.slug: each for item, each in gone.items() if item.kind == kind and each.goes}
            view = self._view(kind, members, [*outgoing.values()], loaded, read, history, now)
            plans = planning.plan(view, [item.slug for item in members])
            if many := losses(view, plans, make_anew):
                lost += many
                view = doubting(view, many)
                plans = planning.plan(view, [item.slug for item in members])
            views[kind] = view
            removed += removing.plan(view, outgoing)
            planned += plans
        alarms = [*map(str, lost), *removing.alarms(gone, loaded)]
        history.problems += alarms
        return Look(
            now,
            loaded,
            views,
            Plan((*removed, *planned)),
            tuple(history.problems),
            postponed,
            alarm=bool(alarms) or emptiness.alarm,
            leaving=gone,
            whole=not only,
        )

    def _branch(self, name: str) -> str:
        return f"{self.repositories.config.location.address}#{name}"

    def _view(
        self,
        kind: str,
        members: Sequence[Item[Any]],
        outgoing: Sequence[Leaving],
        loaded: Loaded,
        read: Reading,
        history: History,
        now: datetime,
    ) -> KindView:
        return viewing.view(
            self.kinds[kind],
            self._resources[kind],
            members,
            loaded,
            read,
            history.verifications,
            self.sections.places(),
            outgoing,
            now=now,
            verify_within=self.sections.get(ScheduleSettings).verify_within,
        )

    def _foreseen(self, look: Look, plans: Iterable[ItemPlan]) -> Iterator[ItemReport]:
        """Yield the reports of items whose plan is carried out as it stands."""
        for each in plans:
            view = look.views[each.id.kind]
            outcomes = tuple(
                apply.outcome_of(
                    resource,
                    each.planned[resource.name],
                    view.targets[resource.name][each.id.slug].remembered,
                )
                for resource in view.resources
            )
            yield self._report(look, each.id, outcomes)

    def _report(self, look: Look, item: ItemId, outcomes: tuple[Outcome, ...]) -> ItemReport:
        if leaving := look.leaving.get(item):
            return removing.report(leaving, item, look.loaded, outcomes)
        return report.report(look.items[item], self.kinds[item.kind], outcomes, look.loaded)

    def _changing(self, look: Look) -> list[Reported]:
        """Return the items that this pass is about to change, with what is foreseen of them."""
        foreseen = self._foreseen(look, [each for each in look.plan if each.changes])
        return [(look.items[each.id], each) for each in foreseen]

    def _conclude(
        self,
        look: Look,
        outcomes: Mapping[ItemId, tuple[Outcome, ...]],
        pushed: publish.Published,
        history: History,
        emptiness: Emptiness,
        trailers: Mapping[str, str],
    ) -> PassResult:
        """Report, publish status files, and record what was seen."""
        reports = self._reported(look, outcomes, pushed.refused)
        resting = [*report.at_rest(look.loaded), *removing.held(look.leaving, look.loaded)]

        def state(reports: Iterable[ItemReport], together: Sequence[Edit]) -> publish.Published:
            return publish.statuses(
                self.repositories,
                report.status_changes(reports, look.loaded, self.kinds, now=look.now),
                together,
                look.loaded,
                kinds=self.kinds,
                public_key=self._public_key(history.problems),
                confirm=history.confirm,
                trailers=trailers,
                check=emptiness.both if together else emptiness.config,
            )

        history.end([(look.items[each.id], each) for each in reports if each.status == Status.REMOVED])
        first = stated = state([*reports, *resting], pushed.together)
        commits = first.commits
        if first.declined.keys() & {edit.item for edit in pushed.together}:
            # Most likely for their manifests: then their status files can say so.
            reports = self._reported(look, outcomes, {**first.declined, **pushed.refused})
            stated = state([each for each in reports if each.id in first.declined], ())
            commits += stated.commits
        verified = {
            pair: seen
            for view in look.views.values()
            for pair, seen in observe.verified(view, look.now, self.sections.places()).items()
        }
        history.record(
            [(look.items[each.id], each) for each in reports],
            {each.id: each.status for each in resting},
            verified,
        )
        if look.whole and not stated.problems:
            history.follow(self._branch(look.loaded.branch), stated.head or look.loaded.commit, look.now)
        postponed = {*look.postponed, *(look.loaded.gone - look.leaving.keys())}
        return PassResult(
            reports=(*reports, *resting, *report.as_written(look.loaded, postponed, self.kinds)),
            broken=look.loaded.broken,
            problems=(*history.problems, *pushed.problems, *stated.problems),
            changes=sum(o.condition is Condition.CHANGED for each in reports for o in each.outcomes),
            commits=(*pushed.commits, *commits),
            alarm=look.alarm or emptiness.alarm,
            verified=observe.longest_ago(look.views.values(), look.now),
        )

    def _reported(
        self,
        look: Look,
        outcomes: Mapping[ItemId, tuple[Outcome, ...]],
        refused: Mapping[ItemId, publish.Refused],
    ) -> list[ItemReport]:
        """Return what came of the items, and of their manifests."""
        return [
            self._report(look, item, publish.amend(came, refused.get(item), look.views[item.kind].resources))
            for item, came in outcomes.items()
        ]

    def _trusted(self) -> frozenset[str]:
        """Return whom people may seal to; nobody while the setting is of no use (`_public_key` tells it)."""
        with suppress(ConfigurationError):
            return self.sections.get(SealingSettings).trusted
        return frozenset()

    def _public_key(self, problems: list[str]) -> str:
        """Return whom to seal to; "" when there is nobody, or no key that can be used."""
        try:
            return self.sections.get(SealingSettings).recipient
        except ConfigurationError as error:
            problems.append(str(error))
            return ""


def _chosen(loaded: Loaded, only: Sequence[str]) -> set[ItemId]:
    """Return the items that are meant by these names, of those that have a file and those that had one."""
    names = [*(item.id for item in loaded.items), *sorted(loaded.gone)]
    return {chosen_item(name, names) for name in only}


def _selected(loaded: Loaded, only: Sequence[str], postponed: frozenset[ItemId]) -> list[Item[Any]]:
    chosen = _chosen(loaded, only)
    return [
        item
        for item in loaded.items
        if not item.spec.suspend
        and item.id not in loaded.unreadable_statuses
        and item.id not in postponed
        and (not only or item.id in chosen)
    ]
