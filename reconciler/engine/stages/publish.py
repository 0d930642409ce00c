"""Stage six: one commit per repository, pushed and never forced; nothing changed means no commit.

With two repositories the manifests go first and what came of it goes into the status; with one, one commit
carries both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from reconciler.engine.contract import AnyResource
from reconciler.engine.kind import Kind
from reconciler.engine.repositories import Repositories
from reconciler.git.applied_edits import EditOutcome, Fate
from reconciler.git.build_gate import Gate
from reconciler.git.edits import Edit, File, Gone, Guard, StatusKeys
from reconciler.git.repository import PushResult
from reconciler.git.snapshot import Snapshot
from reconciler.git.split_push import SplitPush, split_push
from reconciler.git.status_text import HumanKeys
from reconciler.model.errors import Denied, ReconcilerError
from reconciler.model.item import ItemId
from reconciler.model.loaded import Loaded
from reconciler.model.outcome import Condition, Outcome
from reconciler.model.status_file import StatusChange, status_path

PUBLIC_KEY = "keys/reconciler.age.pub"
_NOT_DONE = {Fate.REFUSED, Fate.LEFT_OUT}


@dataclass(frozen=True)
class Refused:
    """Why an item's manifests were not published. `later`: the next pass may well succeed."""

    reason: str
    remedy: str = ""
    later: bool = False


@dataclass(frozen=True)
class Published:
    """What was pushed. `together` are edits that wait for the status commit, which is to carry them."""

    commits: tuple[str, ...] = ()
    refused: Mapping[ItemId, Refused] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    together: tuple[Edit, ...] = ()
    declined: Mapping[ItemId, Refused] = field(default_factory=dict)
    """Why a server took nothing of some items, and took others."""
    head: str = ""
    """The last commit, if nobody else's lies between it and what the pass has looked at."""


def manifests(
    repositories: Repositories,
    gate: Callable[[], Gate],
    edits: Mapping[ItemId, Sequence[Edit]],
    loaded: Loaded,
    *,
    confirm: Callable[[], None],
    trailers: Mapping[str, str],
    check: Callable[[Snapshot], None] = lambda snapshot: None,
) -> Published:
    """Build the tree with the edits, leave out what breaks it, and push the rest.

    `gate` is made only where there is something to push. `confirm` raises when this pass may not push any
    more, and `check` for a head on which it may not; `trailers` end the message. So in `statuses`.
    """
    if not edits:
        return Published()
    try:
        checking = gate()
        verdict = checking.check(edits)
    except ReconcilerError as error:
        everyone = dict.fromkeys(edits, Refused(error.message, error.remedy, later=True))
        return Published(refused=everyone, problems=(str(error),))
    if verdict.base_failure:
        reason = f"the manifest repository does not build as it is: {verdict.base_failure}"
        remedy = "mend it there; nothing is pushed until it builds"
        return Published(refused=dict.fromkeys(edits, Refused(reason, remedy)))
    refused = {
        item: Refused(
            f"the tree does not build with these manifests: {reason}",
            f"mend what it names in the manifest repository; the manifests of this {item.kind} wait",
        )
        for item, reason in verdict.culprits.items()
    }
    accepted = [edit for item, several in edits.items() if item not in refused for edit in several]
    # An item is published whole or not at all; and where the status goes into the same commit, it has to be
    # known before what the files do not let happen.
    refused |= _refusals(checking.rehearse(accepted))
    accepted = [edit for edit in accepted if edit.item not in refused]
    guards = _guards(loaded)
    if repositories.together:
        return Published(
            refused=refused,
            together=tuple(replace(edit, guard=_guard(guards, edit.item)) for edit in accepted),
        )
    try:
        # No push to one repository can depend on the other. What is removed between this look and the push
        # keeps its status file, by which the next pass tells of it.
        now = repositories.config.fetch().draft()
        refused |= {
            item: Refused(*guard.broken, later=True)
            for item, guard in guards.items()
            if item in edits and item not in refused and not guard.holds(now)
        }
        accepted = [edit for edit in accepted if edit.item not in refused]

        def push(some: Sequence[Edit]) -> PushResult:
            confirm()
            names = _names(dict.fromkeys(edit.item for edit in some if edit.item))
            return repositories.manifests.push(some, f"Manifests: {names}", trailers, check=check)

        pushed = split_push(push, accepted)
    except ReconcilerError as error:
        later = not isinstance(error, Denied)
        everyone = dict.fromkeys(edits, Refused(error.message, error.remedy, later=later))
        return Published(refused={**everyone, **refused}, problems=(str(error),))
    declined = {item: _declined(error) for item, error in pushed.refused.items() if item}
    return Published(
        commits=_commits(pushed),
        refused={**refused, **declined, **_refusals(_outcomes(pushed))},
    )


def amend(
    outcomes: Iterable[Outcome], refused: Refused | None, resources: Iterable[AnyResource]
) -> tuple[Outcome, ...]:
    """Return the outcomes with the truth about resources whose effect is the commit (`deferred`).

    Those that wait for that commit would wait in vain.
    """
    if refused is None:
        return tuple(outcomes)
    amended: list[Outcome] = []
    undone: set[str] = set()
    for outcome, resource in zip(outcomes, resources, strict=True):
        by = [name for name in (*resource.needs, *resource.uses) if name in undone]
        if resource.deferred and outcome.condition is Condition.CHANGED:
            undone.add(resource.name)
            amended.append(_undone(outcome, refused))
        elif by and outcome.condition is Condition.WAITING:
            amended.append(_blocked(outcome, by[0], refused))
        else:
            amended.append(outcome)
    return tuple(amended)


def statuses(
    repositories: Repositories,
    changes: Sequence[StatusChange],
    together: Sequence[Edit],
    loaded: Loaded,
    *,
    kinds: Mapping[str, Kind],
    public_key: str,
    confirm: Callable[[], None],
    trailers: Mapping[str, str],
    check: Callable[[Snapshot], None] = lambda snapshot: None,
) -> Published:
    """Push the status files, and with them the manifests that go into the same repository.

    An item whose file is gone meanwhile gets its status file all the same: else nobody would hear of what
    this pass has made for it.
    """
    guards = _guards(loaded, or_gone=True)
    edits = [
        _status_edit(change, guards.get(change.id), loaded, kinds[change.id.kind].human_keys)
        for change in changes
    ]
    if public_key:
        edits.append(File(item=None, path=PUBLIC_KEY, content=f"{public_key}\n".encode()))
    if not (changes or together or public_key):
        return Published()
    changing = {change.id for change in changes}

    def push(some: Sequence[Edit]) -> PushResult:
        confirm()
        everyone = dict.fromkeys(edit.item for edit in some if edit.item)
        names = _names([item for item in everyone if item in changing] or sorted(everyone))
        return repositories.config.push(some, f"Status: {names}", trailers, check=check)

    try:
        pushed = split_push(push, [*together, *edits])
    except ReconcilerError as error:
        return Published(problems=(str(error),))
    declined = {item: _declined(error) for item, error in pushed.refused.items()}
    told = [(item, each.reason, each.remedy) for item, each in declined.items()]
    told += [
        (written.edit.item, written.reason, written.remedy)
        for written in _outcomes(pushed)
        if written.fate in _NOT_DONE
    ]
    return Published(
        commits=_commits(pushed),
        head=_head(pushed, loaded),
        refused=_refusals(_outcomes(pushed)),
        problems=tuple(
            dict.fromkeys(f"{item or PUBLIC_KEY}: {reason}; {remedy}" for item, reason, remedy in told)
        ),
        declined={item: each for item, each in declined.items() if item},
    )


def _status_edit(change: StatusChange, guard: Guard | None, loaded: Loaded, human: HumanKeys) -> Edit:
    path, lies_at = status_path(change.id), loaded.moving.get(change.id, "")
    if change.gone:
        return Gone(item=change.id, guard=guard, path=lies_at or path)
    return StatusKeys(
        item=change.id,
        guard=guard,
        path=path,
        moved_from=lies_at,
        document=change.document,
        human=human,
        consumed=change.consumed,
    )


def _declined(error: ReconcilerError) -> Refused:
    return Refused(error.message, error.remedy, later=not isinstance(error, Denied))


def _commits(pushed: SplitPush) -> tuple[str, ...]:
    return tuple(each.commit for each in pushed.taken if each.commit)


def _outcomes(pushed: SplitPush) -> list[EditOutcome]:
    return [outcome for each in pushed.taken for outcome in each.outcomes]


def _head(pushed: SplitPush, loaded: Loaded) -> str:
    """Return the commit, if it is the only one and follows what the pass has looked at."""
    made = [each for each in pushed.taken if each.commit]
    return made[0].commit if len(made) == 1 and made[0].onto == loaded.commit else ""


def _undone(outcome: Outcome, refused: Refused) -> Outcome:
    condition = Condition.UNKNOWN if refused.later else Condition.ERROR
    return replace(
        outcome,
        condition=condition,
        reason=refused.reason,
        remedy=refused.remedy,
        outputs={},
        again_in=timedelta(seconds=10) if refused.later else None,
    )


def _blocked(outcome: Outcome, by: str, refused: Refused) -> Outcome:
    return Outcome(
        outcome.resource,
        outcome.phase,
        Condition.BLOCKED,
        reason=f"waits for {by}",
        because_unknown=refused.later,
    )


def _refusals(outcomes: Iterable[EditOutcome]) -> dict[ItemId, Refused]:
    return {
        written.edit.item: Refused(written.reason, written.remedy, later=written.fate is Fate.LEFT_OUT)
        for written in outcomes
        if written.fate in _NOT_DONE and written.edit.item
    }


def _guards(loaded: Loaded, *, or_gone: bool = False) -> dict[ItemId, Guard]:
    """Return what holds while an item's file is as this pass has read it; a file that is gone stays so.

    Where the file of an item that is gone asks for another one, it goes on doing that.
    """
    there = {item.id: Guard(item.source.path, item.source.blob, or_gone) for item in loaded.items}
    blobs = {item.source.path: item.source.blob for item in loaded.items}
    sources = {item: _source(loaded, item) for item in loaded.gone}
    gone = {item: Guard(path, blobs.get(path, ""), or_gone=True) for item, path in sources.items() if path}
    return {**there, **gone}


def _source(loaded: Loaded, item: ItemId) -> str:
    return str(loaded.status(item).get("source", ""))


def _guard(guards: Mapping[ItemId, Guard], item: ItemId | None) -> Guard | None:
    return guards.get(item) if item else None


def _names(items: Iterable[ItemId]) -> str:
    some = [item.slug for item in items]
    more = f" and {len(some) - 3} more" if len(some) > 3 else ""
    return (", ".join(some[:3]) or "public key") + more
