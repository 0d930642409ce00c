"""Which tree Argo CD's application builds, at which commit, and what it calls an environment's objects.

The application may build the folder that we write to, or any folder whose build includes it: an overlay, or
one of several sources. Knows nothing of any object's state.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from reconciler.clients.argocd_answers import Application, Compared, sanitised
from reconciler.git.inclusion import Naming
from reconciler.git.manifest_tree import ManifestTree
from reconciler.model.errors import InvalidFile, Missing


@dataclass(frozen=True)
class Astray:
    """Why Argo CD will never deploy an environment, the way it is set up."""

    reason: str
    remedy: str


class DeployedTree:
    """One application over one repository, with what all projects share worked out once."""

    def __init__(self, application: Application, manifests: ManifestTree, base: str) -> None:
        self._manifests = manifests
        self._base = base
        self._sources = [each for each in application.compared if not each.source.chart]
        self._found = self._find()
        self.revision = self._found.revision if self._found else ""
        self.operation_revision = self._found.operation_revision if self._found else ""
        self.known = self._has(self.revision)
        self.operation_known = self.operation_revision == self.revision or self._has(self.operation_revision)

    @property
    def repository(self) -> str:
        """The address of the repository that it builds, for people."""
        return sanitised(self._found.source.repo_url) if self._found else ""

    def folder(self, revision: str, slug: str) -> str | None:
        """Return the git id of an environment's folder at a commit."""
        return self._manifests.folder_at(revision, self._path(slug))

    def builds(self, revision: str, slug: str) -> bool:
        """Tell whether the environment is built of that commit; yes where only Argo CD could read it."""
        try:
            return self._naming(slug, revision) is not None
        except InvalidFile:
            return True

    def naming(self, slug: str) -> Naming:
        """Return how the build names the environment's objects; as on the branch, before it is deployed."""
        for revision in (self.revision, None) if self.known else (None,):
            try:
                if (found := self._naming(slug, revision)) is not None:
                    return found
            except InvalidFile:
                continue
        return Naming()

    def astray(self, slug: str) -> Astray | None:
        """Return why what is on the branch now will not be deployed, whatever Argo CD looks at next."""
        if self._found is None:
            paths = ", ".join(sorted(each.source.folder or "." for each in self._sources)) or "none at all"
            return Astray(
                f"Argo CD's application builds none of its sources from {self._base}, but {paths}",
                "add a source whose path is that folder, or an overlay that lists it",
            )
        source = self._found.source
        try:
            committed = self._manifests.naming(self._base, self._path(slug)) is not None
            if not committed or self._naming(slug, None) is not None:
                return None
        except InvalidFile:
            return None
        built = source.folder or "the top folder"
        there = f" of {self.repository}" if self.repository else ""
        return Astray(
            f"Argo CD's application builds {built}{there}, which does not include {self._path(slug)}",
            f"list {posixpath.relpath(self._base, source.folder or '.')} under `resources` of the "
            "kustomization there, or let argocd.application or manifests.path name the right one",
        )

    def follows(self) -> str:
        """Return the branch, tag or commit that Argo CD follows in place of our branch; empty for ours."""
        target = self._found.source.target_revision if self._found else ""
        name = target.removeprefix("refs/heads/")
        return "" if name in {"", "HEAD", self._manifests.branch} else sanitised(target)

    def _find(self) -> Compared | None:
        """Return the source that deploys our folder; of several, one at a commit that we know comes first."""
        if len(self._sources) == 1:
            return self._sources[0]
        including = [each for each in self._sources if self._includes_base(each)]
        return next((each for each in including if self._has(each.revision)), next(iter(including), None))

    def _includes_base(self, compared: Compared) -> bool:
        revisions = (None, compared.revision) if self._has(compared.revision) else (None,)
        for revision in revisions:
            try:
                if self._manifests.naming(compared.source.folder, self._base, revision=revision) is not None:
                    return True
            except InvalidFile:
                continue
        return False

    def _naming(self, slug: str, revision: str | None) -> Naming | None:
        if self._found is None:
            return None
        source = self._found.source
        over = Naming(source.kustomize.name_prefix, source.kustomize.name_suffix)
        return self._manifests.naming(source.folder, self._path(slug), revision=revision, over_root=over)

    def _path(self, slug: str) -> str:
        return f"{self._base}/envs/{slug}"

    def _has(self, revision: str) -> bool:
        """Tell whether the repository has the commit, after a fetch if need be."""
        if not re.fullmatch(r"[0-9a-f]{40}", revision):
            return False
        try:
            self._manifests.folder_at(revision, self._base)
        except Missing:
            return False
        return True
