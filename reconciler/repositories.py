"""The config and the manifest repository of a configuration; they may be one."""

from __future__ import annotations

from dataclasses import replace

from reconciler.gitops.repository import Repository
from reconciler.gitops.settings import Location, config_location, manifest_location
from reconciler.systems import Sections


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

    def _at(self, which: str, location: Location) -> Repository:
        """Return the repository; another one once its credentials were rotated."""
        made = self._made.get(which)
        if made is None or made.location != location:
            if made is not None:
                made.close()
            made = self._made[which] = Repository(location)
        return made
