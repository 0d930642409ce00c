"""One repository, fetched and pushed to; nothing local carries over from one fetch to the next.

A push that comes too late is made again on the new head from what the edits mean, so no writer's commit is
ever lost or merged as text. Knows no stage and no kind.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reconciler.git.applied_edits import EditOutcome, Fate, apply_edits
from reconciler.git.clone import Clone, Damaged
from reconciler.git.edits import Edit
from reconciler.git.locations import Location
from reconciler.git.remote import Heads, Remote
from reconciler.git.snapshot import Snapshot
from reconciler.model.errors import (
    Collision,
    Denied,
    Emptied,
    Missing,
    Rejected,
    SystemFault,
    Unavailable,
)

__all__ = ["PushResult", "Repository", "Snapshot"]

MOST_ATTEMPTS = 20
"""Of a push that others overtake."""
MOST_FAULTS = 3
"""Of a push that ends without an answer, or at a lock, while the branch stays where it was."""
LONGEST_PAUSE = 0.5
"""Seconds between two attempts."""


@dataclass(frozen=True)
class PushResult:
    """What came of a push: its commit (empty without a difference), the branch after it, every fate.

    `onto`: the commit that it follows.
    """

    commit: str
    snapshot: Snapshot
    outcomes: tuple[EditOutcome, ...]
    onto: str = ""

    def fates(self, fate: Fate) -> tuple[EditOutcome, ...]:
        """Return the outcomes of that fate."""
        return tuple(outcome for outcome in self.outcomes if outcome.fate is fate)


class Repository:
    """One branch of one repository. Not for use by several threads at once."""

    def __init__(self, location: Location, *, pause: Callable[[float], None] = time.sleep) -> None:
        self.location = location
        self._remote = Remote(location)
        self._clone = Clone(location.clones, location.address)
        self._pause = pause
        self._latest: Snapshot | None = None
        self._branches: Mapping[str, str] = {}

    def fetch(self) -> Snapshot:
        """Return the branch as it is on the server now, whatever it was before.

        Snapshots from before are of no more use: a clone that has grown too large is made anew here.
        Unavailable, Denied or Missing when the server does not give it.
        """
        if self._clone.is_worn():
            self._clone.discard()
        return self._follow()

    def forget(self) -> None:
        """Forget what was ever fetched, so that a repository that was emptied is a new one."""
        self._clone.discard()
        self._latest = None

    def close(self) -> None:
        """Let go of the clone's files."""
        self._clone.close()

    def branches(self, prefix: str) -> dict[str, str]:
        """Return the commits of the branches that begin so, as the last fetch saw them."""
        return {name: commit for name, commit in self._branches.items() if name.startswith(prefix)}

    def branch(self, name: str) -> Snapshot:
        """Return another branch as it is on the server now; Missing when it is gone."""
        return Snapshot(self._clone, self._remote.fetch(self._clone.open(), name), name, self._follow)

    def preview(self, edits: Sequence[Edit], message: str = "Preview\n") -> Snapshot:
        """Return the branch as it would be with these edits. Nothing is pushed: that commit stays here."""
        snapshot = self.fetch()
        draft = snapshot.draft(self._clone)
        apply_edits(draft, edits)
        commit = self._clone.commit(draft.write(), snapshot.commit, self.location.author, message)
        return Snapshot(self._clone, commit, snapshot.branch, self._follow)

    def push(
        self,
        edits: Sequence[Edit],
        message: str,
        trailers: Mapping[str, str] | None = None,
        *,
        always: bool = False,
        check: Callable[[Snapshot], None] = lambda snapshot: None,
    ) -> PushResult:
        """Make one commit of all edits and push it, never by force; no commit when nothing would differ.

        `always`: a commit all the same, for what its message says.
        Edits whose guard no longer holds on the server are left out. `check` raises for a head that nothing
        is to be pushed on. Denied when the server refuses,
        Collision when others are always faster, Unavailable when it cannot be reached.
        """
        snapshot = self._latest or self.fetch()
        text = _message(message, trailers or {})
        standing = 0
        for attempt in range(MOST_ATTEMPTS):
            try:
                check(snapshot)
                commit, outcomes = self._committed(snapshot, edits, text, always=always)
            except Damaged:
                if attempt >= MOST_FAULTS:
                    raise
                snapshot = self._follow()
                continue
            if not commit:
                return PushResult("", snapshot, outcomes)
            fault = self._send(commit, snapshot)
            if fault is None:
                confirmed = self._confirmed(commit, snapshot.branch)
                return PushResult(commit, confirmed, outcomes, snapshot.commit)
            if isinstance(fault, Damaged):
                self._clone.discard()
            self._pause(random.uniform(0, LONGEST_PAUSE))  # noqa: S311 - jitter between writers
            newer = self._follow()
            if newer.contains(commit):
                # It arrived, only the answer was lost.
                return PushResult(commit, newer, outcomes, snapshot.commit)
            standing += newer.commit == snapshot.commit
            if newer.commit == snapshot.commit and (isinstance(fault, Denied) or standing >= MOST_FAULTS):
                raise fault
            snapshot = newer
        raise Collision("git", f"others pushed to {snapshot.branch} faster, {MOST_ATTEMPTS} times in a row")

    def _committed(
        self, snapshot: Snapshot, edits: Sequence[Edit], text: str, *, always: bool
    ) -> tuple[str, tuple[EditOutcome, ...]]:
        """Make a commit in the clone, none where nothing differs; Damaged when the clone does not let it."""
        draft = snapshot.draft(self._clone)
        outcomes = tuple(apply_edits(draft, edits))
        root = draft.write()
        if root == snapshot.root and not always:
            return "", outcomes
        return self._clone.commit(root, snapshot.commit, self.location.author, text), outcomes

    def _follow(self) -> Snapshot:
        """Fetch, and keep what snapshots of this pass may still read."""
        try:
            self._latest = self._fetch()
        except Damaged:
            self._clone.discard()
            self._latest = self._fetch()
        return self._latest

    def _send(self, commit: str, snapshot: Snapshot) -> SystemFault | None:
        try:
            self._remote.push(self._clone.open(), commit, snapshot.branch, snapshot.commit)
        except (Unavailable, Collision, Denied) as fault:
            return fault
        return None

    def _confirmed(self, commit: str, branch: str) -> Snapshot:
        """Ask the server for its head: libgit2's word alone that a push went through proves nothing."""
        head = self._heads().branches.get(branch)
        if head != commit:
            snapshot = self._follow()
            if not snapshot.contains(commit):
                raise Rejected("git", f"the server took our commit, and {branch} does not have it")
            return snapshot
        self._latest = Snapshot(self._clone, commit, branch, self._follow)
        return self._latest

    def _fetch(self) -> Snapshot:
        heads = self._heads()
        branch = _branch(heads, self.location)
        head = heads.branches.get(branch, "")
        before = self._clone.followed(branch) or (self._latest.commit if self._latest else "")
        if not head and before:
            raise Emptied(
                f"the {self.location.section} repository has no branch any more, and was at commit {before}",
                remedy=f"push that commit to {branch} again, from a clone that has it; nothing is pushed "
                "until then. If it is really to begin anew: reconcile --once --make-anew git",
            )
        if head and not self._clone.has(head):
            head = self._fetched(branch)
        if head and head != self._clone.followed(branch):
            self._clone.follow(branch, head)
        return Snapshot(self._clone, head, branch, self._follow, before)

    def _fetched(self, branch: str) -> str:
        try:
            return self._remote.fetch(self._clone.open(), branch)
        except (Unavailable, Collision, Missing):
            # The server answered a moment ago, and the clone's own objects and refs are read here: whatever
            # of them is not whole is told in words that nobody can tell from a server's.
            self._clone.discard()
            return self._remote.fetch(self._clone.open(), branch)

    def _heads(self) -> Heads:
        heads = self._remote.heads(self._clone.open())
        self._branches = heads.branches
        return heads


def _branch(heads: Heads, location: Location) -> str:
    """Return the branch that is meant; Missing when a repository with commits does not have it."""
    branch = location.branch or heads.default or "main"
    if heads.branches and branch not in heads.branches:
        raise Missing("git", f"there is no branch {branch}", remedy=f"set {location.section}.branch")
    return branch


def _message(message: str, trailers: Mapping[str, str]) -> str:
    lines = [f"{name}: {' '.join(value.split())}" for name, value in trailers.items()]
    return "\n\n".join([message.strip(), *(["\n".join(lines)] if lines else [])]) + "\n"
