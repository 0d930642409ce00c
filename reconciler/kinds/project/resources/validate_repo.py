"""The repository itself: there, writable, ours to administer, and still the one that it was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, NoReturn

from reconciler.clients.github import GitHub, GitHubRepository, GitHubSettings
from reconciler.engine.contract import Resource, Target
from reconciler.engine.one_by_one import read_each
from reconciler.kinds.project.limits import ProjectsSettings, repository_refused
from reconciler.kinds.project.resources.repository_reads import read_repositories
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.kinds.project.waits import ARCHIVED
from reconciler.model.decision import Change, Decision, Failed, Settled, Waiting
from reconciler.model.json import Object
from reconciler.model.observation import Absent, Known, Observation, Seen, State
from reconciler.model.removal import OnRemove
from reconciler.settings.giving import Reading, Settings, Writing


class RepositoryState(State):
    """The repository as GitHub tells it.

    `id` is GitHub's number, which survives renames. `permission` None: GitHub does not tell it to an App.
    `branch` None: the project names one that does not exist. `twins`: slugs of this pass's other projects
    that turned out to be the same repository.
    """

    node_id: str
    id: int
    owner: str
    name: str
    owner_id: str
    owner_type: Literal["User", "Organization"]
    default_branch: str
    branch: str | None
    empty: bool = False
    archived: bool = False
    disabled: bool = False
    permission: str | None = "ADMIN"
    twins: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """The name as GitHub writes it today."""
        return f"{self.owner}/{self.name}"


class ValidateRepo(Resource[ProjectSpec, RepositoryState]):
    """Reads the repository and its branch; never changes or deletes anything anywhere.

    It holds the slug fast: a status file that remembers the repository's number keeps its slug, and a slug
    whose number changed is another repository.
    """

    name: ClassVar[str] = "validate-repo"
    phase: ClassVar[str] = "initialization"
    system: ClassVar[str] = "GitHub"
    state: ClassVar[type[State]] = RepositoryState
    provides: ClassVar[tuple[str, ...]] = (
        "nodeId",
        "id",
        "defaultBranch",
        "ownerType",
        "ownerId",
        "fullName",
    )
    section: ClassVar[str] = "repository"
    settings: ClassVar[tuple[type[Settings], ...]] = (GitHubSettings, ProjectsSettings)
    on_remove: ClassVar[tuple[OnRemove, ...]] = (OnRemove.KEEP,)

    def observe(
        self, targets: Sequence[Target[ProjectSpec]], read: Reading
    ) -> Mapping[str, Observation[RepositoryState]]:
        """Read all repositories; an empty one is asked once more, by itself, for its default branch."""
        there, missing = read_repositories(targets, read)
        slugs: dict[int, list[str]] = defaultdict(list)
        for slug, each in there.items():
            slugs[each.number].append(slug)
        twins = {
            slug: tuple(other for other in slugs[each.number] if other != slug)
            for slug, each in there.items()
        }
        found = {
            slug: Known(_state(each, default, twins[slug]))
            for slug, each in there.items()
            if (default := each.default_branch)
        }
        empty = [target for target in targets if target.slug in there and target.slug not in found]

        def look(target: Target[ProjectSpec]) -> Known[RepositoryState]:
            repository = there[target.slug]
            default = read.get(GitHub).default_branch(repository.full_name)
            return Known(_state(repository, default, twins[target.slug]))

        return {**missing, **found, **read_each(empty, read, look)}

    def plan(
        self, target: Target[ProjectSpec], seen: Seen[RepositoryState], outputs: Mapping[str, Object]
    ) -> Decision:
        """Return what others need of the repository, or what is wrong with it."""
        if isinstance(seen, Absent):
            return Failed(
                f"the repository {target.spec.full_name} does not exist, or the token may not see it",
                remedy="check repoOwner and repoName, and the repositories that the token or App may access",
            )
        state = seen.state
        first = _identity(target, state) or self._allowed(state) or _archived(state)
        if wrong := first or self._condition(state) or _branch(target, state):
            return wrong
        note = ""
        if state.full_name.lower() != target.spec.full_name.lower():
            note = (
                f"it is called {state.full_name} on GitHub now: write "
                f"repoOwner: {state.owner} and repoName: {state.name}, and add slug: {target.slug}"
            )
        return Settled(
            outputs={
                "nodeId": state.node_id,
                "id": state.id,
                "defaultBranch": state.branch or state.default_branch,
                "ownerType": state.owner_type,
                "ownerId": state.owner_id,
                "fullName": state.full_name,
            },
            note=note,
            section={"owner": state.owner, "name": state.name, "id": state.id},
        )

    def apply(self, target: Target[ProjectSpec], change: Change, write: Writing) -> NoReturn:
        """Never called: there is nothing that this resource would change."""
        raise NotImplementedError(f"{self.name} only reads")

    def _allowed(self, state: RepositoryState) -> Failed | None:
        """Refuse what may not be onboarded by the name that GitHub gives it: files may have one of before."""
        refused = repository_refused(self.sections, state.full_name)
        return Failed(*refused) if refused else None

    def _condition(self, state: RepositoryState) -> Failed | None:
        if state.disabled:
            return Failed(
                f"GitHub has disabled the repository {state.full_name}", remedy="ask GitHub's support"
            )
        user = self.sections.get(GitHubSettings).is_user
        if user and state.permission and state.permission != "ADMIN":
            return Failed(
                f"the token's user has {state.permission.lower()} access to {state.full_name}, not admin",
                remedy="give that user admin access to the repository",
            )
        return None


def _state(repository: GitHubRepository, default: str, twins: tuple[str, ...]) -> RepositoryState:
    owner, _, name = repository.full_name.partition("/")
    return RepositoryState(
        node_id=repository.id,
        id=repository.number,
        owner=owner,
        name=name,
        owner_id=repository.owner_id,
        owner_type=repository.owner_type,
        default_branch=default,
        branch=repository.branch,
        empty=repository.default_branch is None,
        archived=repository.archived,
        disabled=repository.disabled,
        permission=repository.permission,
        twins=twins,
    )


def _identity(target: Target[ProjectSpec], state: RepositoryState) -> Failed | None:
    remembered = target.section.get("id")
    if remembered is None:
        for slug, section in sorted(target.siblings.items()):
            if slug != target.slug and section.get("id") == state.id:
                return Failed(
                    f"the repository {state.full_name} is already known as {slug}, and a slug is fixed",
                    remedy=f"write slug: {slug}",
                )
    if state.twins and remembered is None:
        others = ", ".join(state.twins)
        return Failed(
            f"{target.spec.full_name} is the same repository as that of {others}: it was renamed",
            remedy=f"keep one file, the one that names {state.full_name}",
        )
    return None


def _archived(state: RepositoryState) -> Waiting | None:
    """Let everything be as it is: nothing can be written there, and what was made may be wanted again."""
    if not state.archived:
        return None
    return Waiting(
        f"the repository {state.full_name} is archived",
        ARCHIVED,
        todo="Its repository is archived, and nothing is changed meanwhile. Unarchive it to go on, or remove "
        "its file from projects/ to offboard it.",
        outputs={},
    )


def _branch(target: Target[ProjectSpec], state: RepositoryState) -> Failed | None:
    named = target.spec.default_branch
    if named is None or state.branch == named or (state.empty and named == state.default_branch):
        return None
    return Failed(
        f"the repository {state.full_name} has no branch {named}; "
        f"its default branch is {state.default_branch}",
        remedy="correct defaultBranch, or leave it out to use the repository's own",
    )
