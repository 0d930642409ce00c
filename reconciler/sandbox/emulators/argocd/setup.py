"""What the Application is over, what it wants, and what an operation did to one object."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.sandbox.emulators.argocd.kustomize import Manifest


@dataclass(frozen=True)
class Setup:
    """What the Application is over, and how long things take, in seconds."""

    repository: Path
    branch: str
    path: str
    application: str
    project: str
    namespace: str
    poll_seconds: float
    build_seconds: float
    name_prefix: str = ""
    """Of the application's source: set in place of the kustomization's own."""
    beside: tuple[dict[str, str], ...] = ()
    """Further sources, which bring nothing here; with any, the application is one of several sources."""

    @property
    def pace(self) -> float:
        """How long one step of the controller takes."""
        return self.build_seconds / 5

    @property
    def grace_seconds(self) -> float:
        """How long a tree that does not build is overlooked; the original: 180 s at a poll every 120 s."""
        return self.poll_seconds * 1.5


@dataclass
class Target:
    """What the last comparison that could build wants: digests by key."""

    revision: str = ""
    objects: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """Equal for revisions that build to the same objects."""
        return hashlib.sha1(repr(sorted(self.objects.items())).encode(), usedforsecurity=False).hexdigest()


def result(manifest: Manifest, refused: str | None, *, created: bool) -> dict[str, str]:
    """Return an entry of `syncResult.resources`; `refused` in the API server's words, None when accepted."""
    resource = f"{manifest.kind.lower()}.{manifest.group}" if manifest.group else manifest.kind.lower()
    return {
        "group": manifest.group,
        "version": manifest.version,
        "kind": manifest.kind,
        "namespace": manifest.namespace,
        "name": manifest.name,
        "status": "SyncFailed" if refused else "Synced",
        "message": refused or f"{resource}/{manifest.name} {'created' if created else 'configured'}",
        "syncPhase": "Sync",
    }
