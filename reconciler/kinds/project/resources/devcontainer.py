"""The dev container file with mesh-six's tools: committed, or proposed where the branch is protected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, TypeAlias

from reconciler.clients.github import BranchProtected, FileContent, GitHub, GitHubRepository, GitHubWriter
from reconciler.engine.contract import Resource, Target
from reconciler.engine.one_by_one import read_each
from reconciler.kinds.project.manifests import devcontainer_text as text_of
from reconciler.kinds.project.manifests.pods import PodsSettings
from reconciler.kinds.project.resources.devcontainer_choice import Choice, choose, unchosen
from reconciler.kinds.project.resources.repository_reads import read_repositories, repository_of
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.kinds.project.waits import MERGE
from reconciler.model.decision import (
    Action,
    Applied,
    Change,
    Decision,
    Failed,
    Needed,
    Settled,
    Skipped,
    Waiting,
)
from reconciler.model.errors import InvalidFile
from reconciler.model.json import Object
from reconciler.model.observation import Absent, Known, Observation, Seen, State
from reconciler.model.removal import OnRemove
from reconciler.settings.giving import Reading, Settings, Writing

NO_DIRECT_COMMIT = {
    "protected",
    "pull_request",
    "required_status_checks",
    "required_deployments",
    "merge_queue",
    "update",
}
"""Rules under which a commit to the branch is not for us to make, even where our rights would let it pass."""
Standing: TypeAlias = Settled | Waiting | Failed


class DevcontainerState(State):
    """The file that tools take, on the project's branch, and our pull request if there was ever one.

    `path` None: there is no file. `others`: those from which one must be chosen. `problem`: why it cannot be
    read. `older`: the version of the feature that it names, if that is older than the settings'.
    """

    path: str | None = None
    others: tuple[str, ...] = ()
    has_feature: bool = False
    older: int | None = None
    problem: str = ""
    remedy: str = ""
    pull_request: str = ""
    pull_request_state: Literal["", "open", "closed", "merged"] = ""


class Devcontainer(Resource[ProjectSpec, DevcontainerState]):
    """A dev container file that installs mesh-six's tools, on the project's branch.

    Never overwrites or removes what people wrote: a file that exists only gets the one feature inserted.
    Never commits to a protected branch, never merges, reopens or closes a pull request, never repeats one
    that people closed, and never puts back a feature that people removed after merging it.
    """

    name: ClassVar[str] = "devcontainer"
    phase: ClassVar[str] = "dev_env"
    system: ClassVar[str] = "GitHub"
    state: ClassVar[type[State]] = DevcontainerState
    needs: ClassVar[tuple[str, ...]] = ("validate-repo",)
    provides: ClassVar[tuple[str, ...]] = ("path",)
    settings: ClassVar[tuple[type[Settings], ...]] = (PodsSettings,)

    def unwanted(self, target: Target[ProjectSpec]) -> Skipped | Failed | None:
        """Skip while nobody has said which feature to add; an error when that was taken away."""
        setting = self._pods().missing()
        if setting is None:
            return None
        if target.remembered:
            return Failed(
                f"{setting} is not set any more, and this project has an environment",
                remedy=f"set {setting} to the feature's reference",
            )
        return Skipped(f"environments are not configured: set {setting} to turn them on", unconfigured=True)

    on_remove: ClassVar[tuple[OnRemove, ...]] = (OnRemove.KEEP,)
    kept: ClassVar[str] = "the dev container file in the repository"

    def observe(
        self, targets: Sequence[Target[ProjectSpec]], read: Reading
    ) -> Mapping[str, Observation[DevcontainerState]]:
        """Look into the bulk read; only where the feature is missing, ask for our pull request."""
        there, missing = read_repositories(targets, read)
        seen: dict[str, Observation[DevcontainerState]] = {**missing}
        asked: list[Target[ProjectSpec]] = []
        for target in (target for target in targets if target.slug in there):
            repository = there[target.slug]
            state = self._file(target, repository)
            if _may_have_pull_request(state, repository):
                asked.append(target)
            else:
                seen[target.slug] = _seen(state)
        github = read.get(GitHub)
        return seen | read_each(asked, read, lambda each: self._observe(each, there[each.slug], github))

    def plan(
        self, target: Target[ProjectSpec], seen: Seen[DevcontainerState], outputs: Mapping[str, Object]
    ) -> Decision:
        """Return where the file is, whom it waits for, or the change that brings the feature in."""
        state = DevcontainerState() if isinstance(seen, Absent) else seen.state
        if standing := self._standing(target, state):
            return standing
        reference = self._feature
        branch = outputs["validate-repo"].get("defaultBranch")
        path = state.path or _new_path(target)
        after: Object = {"path": path, "feature": reference, "branch": branch}
        how = f"on {branch}, by pull request where it is protected"
        if state.path is None:
            summary = f"add {path} {how}"
            return Needed(Change(target.id, self.name, Action.CREATE, summary, after=after))
        summary = f"add the mesh-six-tools feature to {path} {how}"
        return Needed(
            Change(target.id, self.name, Action.UPDATE, summary, {"path": path, "branch": branch}, after)
        )

    def apply(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Look again, then commit to the branch, or to a branch of our own with a pull request."""
        github = write.get(GitHubWriter)
        repository = repository_of(target, github)
        if standing := self._standing(target, self._look(target, repository, github)):
            return standing
        file = self._choice(target, repository).file
        path, text = file.path if file else _new_path(target), self._text(file)
        if repository.head is None or repository.branch is None:
            # The first commit of an empty repository makes its default branch.
            self._put(github, repository, path, text, branch=None, replaces=None)
            return Settled({"path": path})
        if not NO_DIRECT_COMMIT & github.branch_restrictions(repository.full_name, repository.branch):
            try:
                replaces = file.oid if file else None
                self._put(github, repository, path, text, branch=repository.branch, replaces=replaces)
                return Settled({"path": path})
            except BranchProtected:
                pass
        return self._propose(target, repository, repository.branch, repository.head, path, github)

    def _propose(
        self,
        target: Target[ProjectSpec],
        repository: GitHubRepository,
        base: str,
        commit: str,
        path: str,
        github: GitHubWriter,
    ) -> Applied:
        branch = branch_of(target.slug)
        if github.branch_head(repository.full_name, branch) is None:
            github.create_branch(repository.full_name, branch, commit)
        there = github.file(repository.full_name, path, branch)
        if there is None or not self._has_feature(there):
            replaces = there.oid if there else None
            self._put(github, repository, path, self._text(there), branch=branch, replaces=replaces)
        made = github.create_pull_request(
            repository.full_name,
            title="Add mesh-six's tools to the dev container",
            body=(
                f"mesh-six runs this repository's environment from `{path}`. This adds the feature "
                f"`{self._feature}`, which it needs there, and changes nothing else.\n\n"
                "Close this pull request to say no; it will not be opened again."
            ),
            head=branch,
            base=base,
        )
        return _waiting(made.url)

    def _observe(
        self, target: Target[ProjectSpec], repository: GitHubRepository, github: GitHub
    ) -> Observation[DevcontainerState]:
        state = self._look(target, repository, github)
        if state.pull_request_state == "merged" and not state.has_feature:
            # It may have been merged after the bulk read.
            state = self._look(target, repository_of(target, github), github)
        return _seen(state)

    def _look(
        self, target: Target[ProjectSpec], repository: GitHubRepository, github: GitHub
    ) -> DevcontainerState:
        state = self._file(target, repository)
        if not (repository.branch and _may_have_pull_request(state, repository)):
            return state
        head = branch_of(target.slug)
        pulls = github.pull_requests(repository.full_name, head=head, base=repository.branch)
        pull = next(iter(pulls), None)
        if pull is None:
            return state
        return state.model_copy(update={"pull_request": pull.url, "pull_request_state": pull.state})

    def _choice(self, target: Target[ProjectSpec], repository: GitHubRepository) -> Choice:
        return choose(repository.devcontainers, target.spec.devcontainer, self._is_ours)

    def _file(self, target: Target[ProjectSpec], repository: GitHubRepository) -> DevcontainerState:
        choice = self._choice(target, repository)
        file = choice.file
        if choice.others:
            return DevcontainerState(others=choice.others)
        if file and not file.regular:
            # What we wrote there would go elsewhere, or nowhere.
            problem, remedy = "it is a link or a submodule", "put a file in its place"
            return DevcontainerState(path=file.path, problem=problem, remedy=remedy)
        try:
            has_feature = file is not None and self._has_feature(file)
            wrong = text_of.unbuildable(file.text, path=file.path) if file and file.text else None
        except InvalidFile as error:
            where = f"line {error.line}: " if error.line else ""
            return DevcontainerState(path=error.path, problem=where + error.message, remedy=error.remedy)
        if file and wrong:
            return DevcontainerState(path=file.path, problem=wrong[0], remedy=wrong[1])
        older = self._older(file) if file and has_feature else None
        return DevcontainerState(path=file.path if file else None, has_feature=has_feature, older=older)

    def _standing(self, target: Target[ProjectSpec], state: DevcontainerState) -> Standing | None:
        if state.others:
            return unchosen(target.spec.devcontainer, state.others)
        if state.problem:
            return Failed(f"{state.path}: {state.problem}", remedy=state.remedy)
        if state.has_feature and state.path:
            return Settled({"path": state.path}, note=_older_note(state))
        return self._proposed(target, state)

    def _proposed(self, target: Target[ProjectSpec], state: DevcontainerState) -> Standing | None:
        """Say what came of our pull request, if there was one."""
        path = state.path or _new_path(target)
        by_hand = f'add "{self._feature}": {{}} to "features" of {path} by hand'
        if state.pull_request_state == "open":
            return _waiting(state.pull_request)
        if state.pull_request_state == "closed":
            return Failed(
                f"the pull request {state.pull_request} was closed without merging, which we take for a no",
                remedy=f"reopen and merge it, or {by_hand}; or write suspend: true",
            )
        if state.pull_request_state == "merged":
            # It may also have been for another file, from before the project file named this one.
            what = "was removed" if target.spec.devcontainer is None else f"is not in {path}"
            return Failed(
                f"mesh-six's feature {what} after {state.pull_request} had been merged", remedy=by_hand
            )
        return None

    def _is_ours(self, file: FileContent) -> bool:
        try:
            return file.regular and self._has_feature(file)
        except InvalidFile:
            return False

    def _older(self, file: FileContent) -> int | None:
        """Return the major version that the file names, if that is below the one of the settings."""
        named = text_of.major_version(file.text or "", self._feature, path=file.path)
        wanted = text_of.major_of(self._feature)
        return named if named is not None and wanted is not None and named < wanted else None

    def _has_feature(self, file: FileContent) -> bool:
        if file.text is None:
            raise InvalidFile(file.path, "not a text file that GitHub shows whole", remedy="mend the file")
        return text_of.has_feature(file.text, self._feature, path=file.path)

    def _text(self, file: FileContent | None) -> str:
        if file is None or file.text is None:
            return text_of.default_text(self._pods())
        return text_of.add_feature(file.text, self._feature, path=file.path)

    def _put(
        self,
        github: GitHubWriter,
        repository: GitHubRepository,
        path: str,
        text: str,
        *,
        branch: str | None,
        replaces: str | None,
    ) -> None:
        message = "Add mesh-six's tools to the dev container" if replaces else "Add a dev container"
        github.put_file(
            repository.full_name, path, text=text, message=message, branch=branch, replaces=replaces
        )

    def _pods(self) -> PodsSettings:
        return self.sections.get(PodsSettings)

    @property
    def _feature(self) -> str:
        reference = self._pods().feature_reference
        assert reference is not None  # noqa: S101 - without it the resource is unwanted
        return reference


def _older_note(state: DevcontainerState) -> str:
    if state.older is None:
        return ""
    return (
        f"{state.path} names version {state.older} of the feature, and the settings a later one; mesh-six's "
        "own 1.0.0 of that name has no entrypoint, and a pod with it never becomes Ready"
    )


def branch_of(slug: str) -> str:
    """Return the branch of our pull request."""
    return f"onboard/{slug}/devcontainer"


def _new_path(target: Target[ProjectSpec]) -> str:
    """Return where the default file goes in a repository without any."""
    return target.spec.devcontainer or text_of.DEFAULT_PATH


def _may_have_pull_request(state: DevcontainerState, repository: GitHubRepository) -> bool:
    unfinished = not (state.has_feature or state.problem or state.others)
    return unfinished and repository.branch is not None and repository.head is not None


def _seen(state: DevcontainerState) -> Known[DevcontainerState] | Absent:
    return Known(state) if state.path or state.others or state.pull_request else Absent()


def _waiting(url: str) -> Waiting:
    return Waiting(
        f"the pull request {url} is open",
        MERGE,
        todo=f"review and merge {url}",
        outputs={"pullRequest": url},
    )
