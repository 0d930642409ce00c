"""The one bulk read of repositories that five resources share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.clients.github import GitHub, GitHubRepository, RepositoryName
from reconciler.engine.contract import Target
from reconciler.engine.one_by_one import unreadable
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.model.errors import Missing, Rejected, SystemFault
from reconciler.model.observation import Absent, Unknown
from reconciler.settings.giving import Reading


def name_of(target: Target[ProjectSpec]) -> RepositoryName:
    """Return what to ask for; the same for every resource, so that it is asked once."""
    spec = target.spec
    return RepositoryName(spec.repo_owner, spec.repo_name, spec.default_branch)


def read_repositories(
    targets: Sequence[Target[ProjectSpec]], read: Reading
) -> tuple[Mapping[str, GitHubRepository], Mapping[str, Absent | Unknown]]:
    """Return, by slug, the repositories that could be read, and why the others could not.

    A repository is followed by its number where its name leads to none or to another one: it was renamed or
    transferred, and its old name may be anybody's by now. Absent when it is not there or hidden from us. Then
    nothing that lies in it is there either: it is for `validate-repo` to say so, once, and to hold back what
    needs it. Absent, too, is what an item on its way out had in a repository that is another one.
    """
    github = read.get(GitHub)
    found = github.repositories([name_of(target) for target in targets])
    seen = {target.slug: found[name_of(target)] for target in targets}
    moved = {target.slug: name for target in targets if (name := _moved(target, seen[target.slug], github))}
    there = github.repositories(moved.values()) if moved else {}
    by_number = {
        target.slug: repository
        for target in targets
        if target.slug in moved
        and isinstance(repository := there[moved[target.slug]], GitHubRepository)
        and _is_own(target, repository)
    }
    both = {target.slug: _of(target, by_number.get(target.slug, seen[target.slug])) for target in targets}
    return (
        {slug: each for slug, each in both.items() if isinstance(each, GitHubRepository)},
        {slug: each for slug, each in both.items() if not isinstance(each, GitHubRepository)},
    )


def repository_of(target: Target[ProjectSpec], github: GitHub) -> GitHubRepository:
    """Return the repository as it is now, before something is written there.

    Rejected when it is not the one that the item was proven to be.
    """
    repository = own_repository(target, github)
    if repository is None:
        raise Rejected(
            GitHub.system,
            f"{target.spec.full_name} is not the repository any more that it was a moment ago",
            remedy="the next pass looks again",
        )
    return repository


def own_repository(target: Target[ProjectSpec], github: GitHub) -> GitHubRepository | None:
    """Return the repository of the item's number as it is now; None when there is none any more."""
    try:
        repository = github.repository(name_of(target))
        if _is_own(target, repository):
            return repository
    except Missing:
        pass
    moved = _renamed(target, github)
    if moved is None:
        return None
    try:
        repository = github.repository(moved)
    except Missing:
        return None
    return repository if _is_own(target, repository) else None


def _number(target: Target[ProjectSpec]) -> str:
    return target.identity.proof if target.identity else ""


def _is_own(target: Target[ProjectSpec], repository: GitHubRepository) -> bool:
    return _number(target) in {"", str(repository.number)}


def _moved(
    target: Target[ProjectSpec], found: GitHubRepository | SystemFault, github: GitHub
) -> RepositoryName | None:
    """Return the name of today where the one in the file leads to no repository, or to another one."""
    lost = isinstance(found, Missing) or (isinstance(found, GitHubRepository) and not _is_own(target, found))
    try:
        return _renamed(target, github) if lost else None
    except SystemFault:
        return None  # then it is as it would be without having asked


def _renamed(target: Target[ProjectSpec], github: GitHub) -> RepositoryName | None:
    """Return what the repository is called now. A file that names another one since then means that one."""
    number, written = _number(target), target.identity
    if not number.isdecimal() or written is None or written.claim != target.spec.claim():
        return None
    full_name = github.name_of_number(int(number))
    if full_name is None:
        return None
    owner, _, name = full_name.partition("/")
    return RepositoryName(owner, name, target.spec.default_branch)


def _of(
    target: Target[ProjectSpec], found: GitHubRepository | SystemFault
) -> GitHubRepository | Absent | Unknown:
    seen = _seen(found)
    another = isinstance(seen, GitHubRepository) and not _is_own(target, seen)
    return Absent() if target.leaving and another else seen


def _seen(found: GitHubRepository | SystemFault) -> GitHubRepository | Absent | Unknown:
    if isinstance(found, Missing):
        return Absent()
    return unreadable(found) if isinstance(found, SystemFault) else found
