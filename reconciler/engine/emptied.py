"""Tells a repository that was emptied from one that nobody has begun with.

A branch that somebody deleted, a base kustomization that is gone, a branch of another name: what a pass would
push there makes a new root that others have to force away, or a tree that lists our environments alone, and
has Argo CD prune all else. So where something was, a pass pushes nothing, and says what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set

from reconciler.engine.kind import Kinds
from reconciler.engine.loss import LEAST
from reconciler.engine.trailers import COMMIT_TRAILER
from reconciler.git.kustomize_paths import followed, kustomization_of
from reconciler.git.manifest_tree import ManifestTree
from reconciler.git.snapshot import Snapshot
from reconciler.model.errors import Emptied, InvalidFile
from reconciler.model.item import ItemId
from reconciler.model.loaded import Loaded
from reconciler.model.status_file import outputs

GIT = ManifestTree.system
"""What `--make-anew` calls both repositories."""
OURS = ("projects", "status", "keys")
"""The folders of a config repository."""
_OR_ELSE = f"If it is really to begin anew: reconcile --once --make-anew {GIT}"


class Emptiness:
    """What one pass knows of what was in its repositories. Each look raises Emptied, and is remembered.

    `path`: the folder of the base kustomization. `accepted`: what may be made anew.
    """

    def __init__(self, path: str, accepted: Set[str] = frozenset()) -> None:
        self._path = path
        self._accepted = GIT in accepted
        self._deployed = False
        self._known = 0
        self.alarm = False

    @property
    def accepted(self) -> bool:
        """Whether a person has said that what was there may be made anew."""
        return self._accepted

    def verified(self, items: Iterable[ItemId]) -> None:
        """Hear for which items the database knows when they were last read."""
        self._known = len(set(items))

    def loaded(self, loaded: Loaded, kinds: Kinds) -> None:
        """Hear what status files remember. Files that are gone from projects/ are `leaving`'s."""
        self._deployed = any(
            outputs(document, resource.name)
            for item, document in loaded.statuses.items()
            for resource in kinds[item.kind].resources
            if resource.deferred
        )

    def config(self, snapshot: Snapshot, elsewhere: Callable[[], bool] = lambda: False) -> None:
        """Look at the config repository. `elsewhere`: whether the manifest repository has environments."""
        present = {name for name in OURS if snapshot.entry(name) is not None}
        if present & {"projects", "status"} or _by_ourselves(snapshot):
            return
        before = _latest(snapshot, lambda then: len(list(then.files("status"))))
        if (before or self._known) >= LEAST or (not present and (before or self._known or elsewhere())):
            self._tell(
                f"the config repository has neither projects/ nor status/ on branch {snapshot.branch}, and "
                "had them: nothing is done, and nothing is pushed there",
                "restore the branch, or let config.repository and config.branch name the right one. "
                f"{_OR_ELSE}",
            )

    def manifests(self, snapshot: Snapshot) -> None:
        """Look at the manifest repository, for a base kustomization."""
        if _has_base(snapshot, self._path):
            return
        below = any(entry.path.endswith((".yaml", ".yml")) for entry in snapshot.files(self._path))
        if self._deployed or below or _latest(snapshot, lambda then: int(_has_base(then, self._path))):
            what = "is empty" if not snapshot.commit else f"has no kustomization in {self._path}"
            self._tell(
                f"the manifest repository {what} on branch {snapshot.branch}, and had one: a new one would "
                "have all else pruned, so nothing is pushed there",
                "restore it from its last commit, or let manifests.repository, manifests.branch and "
                f"manifests.path name the right place. {_OR_ELSE}",
            )

    def both(self, snapshot: Snapshot) -> None:
        """Look at the one repository that is both."""
        self.config(snapshot)
        self.manifests(snapshot)

    def _tell(self, message: str, remedy: str) -> None:
        if not self._accepted:
            self.alarm = True
            raise Emptied(message, remedy=remedy)


def has_environments(snapshot: Snapshot, path: str) -> bool:
    """Tell whether a manifest repository has an environment of anybody's."""
    return bool(snapshot.names(f"{path}/envs"))


def _has_base(snapshot: Snapshot, path: str) -> bool:
    draft = snapshot.draft()
    try:
        return kustomization_of(draft, followed(draft, path) or path) is not None
    except InvalidFile:
        return True  # it is broken, and so it is there


def _by_ourselves(snapshot: Snapshot) -> bool:
    """Tell whether it was a pass that took the last status file away: the last item was removed."""
    then = next((each for each in snapshot.earlier() if each.entry("status") is not None), None)
    if then is None or snapshot.rewritten:
        return False
    *_, first = ("", *snapshot.messages_since(then.commit))
    return f"\n{COMMIT_TRAILER}: " in first


def _latest(snapshot: Snapshot, count: Callable[[Snapshot], int]) -> int:
    """Return the count at the last commit before this one that has any; 0 for none."""
    return next((found for then in snapshot.earlier() if (found := count(then))), 0)
