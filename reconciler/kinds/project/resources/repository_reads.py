"""The one bulk read of repositories that five resources share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.clients.github import GitHub, GitHubRepository, RepositoryName
from reconciler.engine.contract import Target
from reconciler.engine.one_by_one import unreadable
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.model.errors import Missing, SystemFault
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

    Absent when it is not there or hidden from us. Then nothing that lies in it is there either: it is for
    `validate-repo` to say so, once, and to hold back what needs it.
    """
    found = read.get(GitHub).repositories([name_of(target) for target in targets])
    seen = {target.slug: _seen(found[name_of(target)]) for target in targets}
    return (
        {slug: each for slug, each in seen.items() if isinstance(each, GitHubRepository)},
        {slug: each for slug, each in seen.items() if not isinstance(each, GitHubRepository)},
    )


def _seen(found: GitHubRepository | SystemFault) -> GitHubRepository | Absent | Unknown:
    if isinstance(found, Missing):
        return Absent()
    return unreadable(found) if isinstance(found, SystemFault) else found
