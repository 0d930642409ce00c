"""Which items are on their way out, and how far: files that are gone, and the evidence for it in git.

Nothing is taken away because a file cannot be seen. A commit that took it away has to be in the history of
the branch that the passes before this one followed, the file as it was has to be the item's, and no broken
file may be its new place. Whatever is not so sure is *held*, with the way out of it, and so are many at once.
What is begun goes on with time alone (model/removal.py has the steps), and ends where the file comes back.
Reads git and status files; asks no system, and decides nothing about any single thing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, ClassVar

from reconciler.engine.item_file import InvalidFiles, parse
from reconciler.engine.kind import Kinds
from reconciler.engine.trailers import OFFBOARD_TRAILER
from reconciler.git.past import Removal
from reconciler.git.snapshot import Snapshot
from reconciler.model.duration import DurationOrZero
from reconciler.model.errors import BeyondBounds, printable
from reconciler.model.item import Item, ItemId
from reconciler.model.json import Object
from reconciler.model.loaded import Loaded
from reconciler.model.removal import Leaving, Step
from reconciler.model.status_file import entry, identity, mapping
from reconciler.settings.giving import Settings

MOST_AT_ONCE = 3
MOST_PART = 0.1
"""More than that many, if it is also more than this part of a kind, go only once a commit names them. So do
just as many, if projects/ is left without any file."""
NOTICE = timedelta(hours=1)
"""How long before the end the status file says that it is near. So no clock that is wrong for a moment ends
what has days to go."""
_NAMES = re.compile(rf"^{OFFBOARD_TRAILER}:[ \t]*(.+)$", re.MULTILINE | re.IGNORECASE)


class RemovalSettings(Settings):
    """What happens to items whose file was removed."""

    section: ClassVar[str] = "removal"

    grace: DurationOrZero = timedelta(days=7)
    """How long everything is only disabled, and comes back with its file, before any of it is taken away."""


@dataclass(frozen=True)
class Followed:
    """What the passes so far knew of the branch: its commit; None when nobody remembers one.

    `rewritten`: it has that commit no more.
    """

    commit: str | None = None
    rewritten: bool = False


def followed(commit: str | None, config: Snapshot) -> Followed:
    """Return what is known of a branch of which a pass has last seen that commit."""
    return Followed(commit, rewritten=commit is not None and not config.contains(commit))


def leaving(
    loaded: Loaded,
    config: Snapshot,
    kinds: Kinds,
    before: Followed,
    *,
    now: datetime,
    grace: timedelta,
) -> dict[ItemId, Leaving]:
    """Return every item whose file is gone, with how far it has come."""
    sources = {gone: str(loaded.status(gone).get("source", "")) for gone in sorted(loaded.gone)}
    found = config.removals(sources.values())
    past = _Past(config, loaded)
    looks = {
        gone: _Look(gone, source, loaded, config, past, kinds, before, now, grace, found.get(source))
        for gone, source in sources.items()
    }
    answers = {gone: look.answer() for gone, look in looks.items()}
    return {**answers, **_too_many(answers, looks, loaded)}


def acknowledged(messages: Iterable[str]) -> frozenset[str]:
    """Return the names in the trailers of these messages: `kind/slug`, or a slug alone."""
    named = (found for message in messages for found in _NAMES.findall(message))
    return frozenset(name for names in named for name in re.split(r"[,\s]+", names) if name)


class _Past:
    """What many items ask: a thousand files that one commit took away are looked into once."""

    def __init__(self, config: Snapshot, loaded: Loaded) -> None:
        self.claims = {(item.kind, item.spec.claim()): item for item in loaded.items}
        """Who asks for what."""
        self.names = cache(lambda commit: acknowledged(config.messages_since(commit)))
        """Who is named in the messages of the commits since that one."""
        self.at = cache(config.at)
        """The branch as it was at a commit."""


@dataclass(frozen=True)
class _Look:
    """One item whose file is gone."""

    id: ItemId
    source: str
    loaded: Loaded
    config: Snapshot
    past: _Past
    kinds: Kinds
    before: Followed
    now: datetime
    grace: timedelta
    removal: Removal | None

    @property
    def document(self) -> Object:
        return self.loaded.status(self.id)

    @property
    def written(self) -> Object:
        return mapping(self.document.get("removal"))

    def answer(self) -> Leaving:
        """Return how far it has come by what the pass before has written."""
        removal = self.removal
        if removal is None and self._nothing_made and self._file_asks_for_another:
            # A slug that was corrected before anything was made: there is nothing to take away.
            return Leaving(Step.REMOVING, self.now)
        if removal is None:
            return self._held(
                f"no commit of {self.config.branch} took {printable(self.source)} away",
                "put the file back; if its history was rewritten on purpose, add the file once more and have "
                f"`reconcile offboard {self.id.slug}` remove it",
            )
        item = self._item(removal)
        if isinstance(item, Leaving):
            return item
        sure = self._is_named(removal) or self._was_followed(removal) or self._is_begun(removal)
        known = Leaving(
            Step.HELD,
            self.held_since,
            item,
            identity(self.document),
            acknowledged=self._is_named(removal),
        )
        if not sure:
            return replace(known, reason=self._unfollowed(removal), remedy=self._name_it())
        known = replace(known, commit=removal.commit)
        step, since = self._written_step(removal)
        if not known.acknowledged and (doubt := self._broken(removal) or self._same(item)):
            until, (reason, remedy) = self._until(step, since), doubt
            return replace(known, step=step, since=since, until=until, reason=reason, remedy=remedy)
        step, since = self._next_step(step, since, removal)
        return replace(known, step=step, since=since, until=self._until(step, since))

    def _held(self, reason: str, remedy: str) -> Leaving:
        return Leaving(Step.HELD, self._since(), None, identity(self.document), reason=reason, remedy=remedy)

    def _item(self, removal: Removal) -> Item[Any] | Leaving:
        """Return the item as the file last asked for it."""
        try:
            content = self.config.content(removal.blob)
            item = parse(self.source, content, self.kinds, blob=removal.blob)
        except (InvalidFiles, BeyondBounds) as error:
            return self._held(
                f"the file that {removal.commit[:10]} took away was broken: {error}",
                "put it back, mend it, and let a pass see it before it is removed",
            )
        written = identity(self.document)
        proven = self.kinds[self.id.kind].proof is not None
        same = written is None or proven or written.claim == item.spec.claim()
        if item.id == self.id and same:
            return item
        return self._held(
            f"the file that {removal.commit[:10]} took away asked for {item.id}, {item.spec.claim()}",
            f"put back the file of {self.id} as it was, and let a pass see it before it is removed",
        )

    def _is_named(self, removal: Removal) -> bool:
        return not self.past.names(removal.before).isdisjoint({str(self.id), self.id.slug})

    def _was_followed(self, removal: Removal) -> bool:
        """Tell whether it was removed on the branch that the passes have followed, and since the last one."""
        last = self.before.commit
        return (
            last is not None and not self.before.rewritten and not self.config.follows(removal.commit, last)
        )

    def _is_begun(self, removal: Removal) -> bool:
        return self.written.get("commit") == removal.commit

    def _unfollowed(self, removal: Removal) -> str:
        if self.before.commit is None:
            return f"{removal.commit[:10]} took its file away, and no pass remembers the branch from before"
        if self.before.rewritten:
            return f"the history of {self.config.branch} was rewritten since the last pass"
        return f"{removal.commit[:10]} took its file away before the last pass, which has not seen that"

    def _name_it(self) -> str:
        return f"put its file back, or confirm the removal with `reconcile offboard {self.id.slug}`"

    def _broken(self, removal: Removal) -> tuple[str, str] | None:
        """Say which broken file may be the item's new place: one that was not there, or not so, before."""
        earlier = self.past.at(removal.before)
        for path in dict.fromkeys(error.path for error in self.loaded.broken):
            if path.startswith("status/") or not (there := self.config.entry(path)):
                continue
            if (then := earlier.entry(path)) is None or then.id != there.id:
                reason = f"{printable(path)} is broken, and may be what became of its file"
                return reason, f"mend that file, or {self._name_it()}"
        return None

    def _same(self, item: Item[Any]) -> tuple[str, str] | None:
        """Say which file asks for the same thing by another slug: it may be meant to be the same item."""
        other = self.past.claims.get((item.kind, item.spec.claim()))
        if other is None:
            return None
        reason = f"{printable(other.source.path)} asks for {item.spec.claim()}, too, as {other.slug}"
        return reason, f"write `slug: {item.slug}` there, or {self._name_it()}"

    def _written_step(self, removal: Removal) -> tuple[Step, datetime]:
        """Return how far it had come, and since when; anything strange counts as not begun."""
        state = str(self.written.get("state"))
        since = self._since()
        begun = self._is_begun(removal) and state in set(Step) and not self.before.rewritten
        if not begun:
            return Step.HELD, self.held_since
        # A time in the future was written by a clock that was wrong: the waiting begins anew.
        return (
            (Step(state), since)
            if since <= self.now
            else (min(Step(state), Step.DISABLED, key=_order), self.now)
        )

    def _next_step(self, step: Step, since: datetime, removal: Removal) -> tuple[Step, datetime]:
        if step is Step.HELD:
            return (Step.REMOVING if self._nothing_made else Step.DISABLED), self.now
        # Nobody can make the waiting shorter by writing an earlier time into the file.
        began = max(since, removal.moment) if removal.moment <= self.now else since
        if step is Step.DISABLED and self.now >= began + self.grace:
            return (Step.ENDING if self._notice else Step.REMOVING), self.now
        if (
            step is Step.ENDING
            and self.now >= since + self._notice
            and self.now >= removal.moment + self.grace
        ):
            return Step.REMOVING, self.now
        return step, since

    @property
    def _nothing_made(self) -> bool:
        resources = self.kinds[self.id.kind].resources
        return not any(entry(self.document, resource.name).get("outputs") for resource in resources)

    @property
    def _file_asks_for_another(self) -> bool:
        return any(item.source.path == self.source for item in self.loaded.items)

    @property
    def _notice(self) -> timedelta:
        return min(NOTICE, self.grace)

    def _until(self, step: Step, since: datetime) -> datetime | None:
        lengths = {Step.DISABLED: self.grace, Step.ENDING: self._notice}
        return since + lengths[step] if step in lengths else None

    @property
    def held_since(self) -> datetime:
        """Since when it is held, if this pass holds it."""
        return self._since() if self.written.get("state") == Step.HELD else self.now

    def _since(self) -> datetime:
        try:
            found = datetime.fromisoformat(str(self.written.get("since")))
        except ValueError:
            return self.now
        return found if found.tzinfo else found.replace(tzinfo=UTC)


def _order(step: Step) -> int:
    return list(Step).index(step)


def _too_many(
    answers: Mapping[ItemId, Leaving], looks: Mapping[ItemId, _Look], loaded: Loaded
) -> dict[ItemId, Leaving]:
    """Hold those of which too many begin at once, but for those that a commit names.

    One that was held so stays so, also when others of the same commit have gone on.
    """
    held: dict[ItemId, Leaving] = {}
    for kind in {item.kind for item in answers}:
        known = sum(1 for item in loaded.statuses if item.kind == kind)
        new = [
            item
            for item, each in answers.items()
            if item.kind == kind and each.step is not Step.HELD and _begins(each, looks[item])
        ]
        many = len(new) > MOST_AT_ONCE and len(new) > MOST_PART * known
        many = many or (len(new) == MOST_AT_ONCE and not loaded.items and not loaded.broken)
        for item in new:
            if not answers[item].acknowledged and (many or looks[item].written.get("tooMany") is True):
                held[item] = replace(
                    answers[item],
                    step=Step.HELD,
                    since=looks[item].held_since,
                    until=None,
                    alarm=True,
                    reason=f"it is one of many of kind {kind} that were removed at once",
                    remedy=f"put its file back, or confirm it by name with `reconcile offboard {item.slug}`",
                )
    return held


def _begins(each: Leaving, look: _Look) -> bool:
    """Tell whether this pass would be the first that does anything about it."""
    return not (look.written.get("commit") == each.commit and str(look.written.get("state")) != Step.HELD)
