"""The config and the manifest repository of a configuration; they may be one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cache

from reconciler.engine.emptied import Emptiness, has_environments
from reconciler.git.build_gate import Gate, find_binary
from reconciler.git.edits import Edit, File, Gone
from reconciler.git.locations import (
    Location,
    ManifestRepositorySettings,
    config_location,
    manifest_location,
)
from reconciler.git.manifest_tree import ManifestTree
from reconciler.git.repository import Repository
from reconciler.git.snapshot import Snapshot
from reconciler.model.errors import Emptied, SystemFault, Unavailable
from reconciler.settings.giving import Reader, Sections


@dataclass(frozen=True)
class Preview:
    """A commit that nobody made: files by path that it would write, and paths that it would take away."""

    merged: Mapping[str, bytes] = field(default_factory=dict)
    without: Sequence[str] = ()
    message: str = "Preview\n"

    @property
    def edits(self) -> list[Edit]:
        """What it is made of."""
        files = [File(item=None, path=path, content=content) for path, content in self.merged.items()]
        return [*files, *(Gone(item=None, path=path) for path in self.without)]


@dataclass(frozen=True)
class Fetched:
    """The repositories as one pass sees them.

    `readers` makes the manifests' tree, and `gate` its check, when first asked for: a pass over items that
    write no manifests fetches none.
    """

    config: Snapshot
    readers: Mapping[type[Reader], Callable[[], Reader]]
    gate: Callable[[], Gate]


class Repositories:
    """Made when first used, so that commands that need no git need no setting for it.

    Clones are not for several threads: who works beside the passes names a folder for its own.
    """

    def __init__(self, sections: Sections, clones: str = "") -> None:
        self._sections = sections
        self._clones = clones
        self._made: dict[str, Repository] = {}

    @property
    def config(self) -> Repository:
        """The repository with `projects/` and `status/`; ConfigurationError when none is set."""
        location = config_location(self._sections)
        return self._at("config", replace(location, clones=location.clones / self._clones))

    @property
    def manifests(self) -> Repository:
        """The repository that Argo CD reads; the very same object where both are one."""
        return self.config if self.together else self._at("manifests", manifest_location(self._sections))

    @property
    def together(self) -> bool:
        """Tell whether one commit carries manifests and status."""
        return manifest_location(self._sections).is_same(config_location(self._sections))

    def check_program(self) -> None:
        """Raise ConfigurationError when what is to build the manifests is no program, before it is needed."""
        find_binary(self._sections.get(ManifestRepositorySettings).kustomize)

    def emptiness(self, accepted: Set[str] = frozenset()) -> Emptiness:
        """Return what tells of this pass's repositories whether they were emptied; `accepted` may be."""
        made = Emptiness(self._sections.get(ManifestRepositorySettings).path, accepted)
        if made.accepted:
            self.config.forget()
            self.manifests.forget()
        return made

    def fetched(self, problems: list[str], emptiness: Emptiness, as_if: Preview | None = None) -> Fetched:
        """Fetch the config repository, and the manifests' once somebody asks; a fault of those is a problem.

        `as_if`: what the config repository would be with one more commit. Emptied when it has lost what it
        had.
        """
        config = self.config.preview(as_if.edits, as_if.message) if as_if else self.config.fetch()
        emptiness.config(config, self._has_environments)

        @cache
        def manifests() -> Snapshot | SystemFault:
            try:
                found = config if self.together else self.manifests.fetch()
                emptiness.manifests(found)
            except SystemFault as fault:
                problems.append(str(fault))
                return fault
            except Emptied as error:
                emptiness.alarm = True
                problems.append(str(error))
                return Unavailable("git", error.message, remedy=error.remedy)
            return found

        def snapshot() -> Snapshot:
            found = manifests()
            if isinstance(found, SystemFault):
                raise found
            return found

        return Fetched(
            config, {ManifestTree: lambda: ManifestTree(snapshot())}, lambda: Gate(self._sections, snapshot())
        )

    def _has_environments(self) -> bool:
        try:
            return not self.together and has_environments(
                self.manifests.fetch(), self._sections.get(ManifestRepositorySettings).path
            )
        except (SystemFault, Emptied):
            return False

    def _at(self, which: str, location: Location) -> Repository:
        """Return the repository; another one once its credentials were rotated."""
        made = self._made.get(which)
        if made is None or made.location != location:
            if made is not None:
                made.close()
            made = self._made[which] = Repository(location)
        return made
