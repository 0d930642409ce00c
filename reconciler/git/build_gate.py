"""The build gate: no edit is pushed that breaks the tree which Argo CD builds.

One bad item would stop every other one's deployment. So the tree is built with all edits; only if that
fails are the culprits looked for, by halves. Costs nothing where nothing is to be pushed.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.git.applied_edits import EditOutcome, apply_edits
from reconciler.git.build_check import Checker
from reconciler.git.edits import Edit
from reconciler.git.inclusion import Kustomizations, included
from reconciler.git.locations import ManifestRepositorySettings
from reconciler.git.snapshot import Snapshot
from reconciler.git.tree import Draft, Entry, EntryKind
from reconciler.model.errors import BeyondBounds, ConfigurationError, Unavailable
from reconciler.model.item import ItemId
from reconciler.settings.giving import Sections

BUILTIN = "builtin"
TIMEOUT = 120.0
"""Seconds for one build; kubectl builds 1,000 environments in a few."""
LONGEST_REASON = 300
MOST_BUILDS = 100
"""One culprit in 1,000 takes about 20; a template that breaks all of them is not built 2,000 times."""


@dataclass(frozen=True)
class GateResult:
    """Whose edits may be pushed, why others may not, and what was wrong before any edit."""

    accepted: frozenset[ItemId]
    culprits: Mapping[ItemId, str] = field(default_factory=dict)
    base_failure: str | None = None


class Gate:
    """Checks edits against the manifest repository as it was fetched.

    ConfigurationError when manifests.kustomize names no program.
    """

    def __init__(self, sections: Sections, base: Snapshot) -> None:
        settings = sections.get(ManifestRepositorySettings)
        self._base = base
        self._path = settings.path
        self._command = find_binary(settings.kustomize)

    def check(self, edits: Mapping[ItemId, Sequence[Edit]]) -> GateResult:
        """Say which items' edits leave a tree that builds. Unavailable when the build does not end."""
        if not edits:
            return GateResult(frozenset())
        checker = Checker()

        def look(draft: Draft) -> str:
            return checker.check(draft, self._path).failure

        if self._command is None:
            return self._sort(edits, look)
        with tempfile.TemporaryDirectory(prefix="kustomize-") as folder:
            workspace = _Workspace(Path(folder), self._command)
            result = self._sort(edits, lambda draft: workspace.build(draft, self._path), look)
        if result.base_failure and checker.check(self._base.draft(), self._path).remote:
            # What is fetched from elsewhere cannot be built here without a network.
            return self._sort(edits, look)
        return result

    def rehearse(self, edits: Sequence[Edit]) -> list[EditOutcome]:
        """Return what would become of the edits at the commit that was fetched."""
        return apply_edits(self._base.draft(), edits)

    def _sort(
        self,
        edits: Mapping[ItemId, Sequence[Edit]],
        failure: Callable[[Draft], str],
        hint: Callable[[Draft], str] | None = None,
    ) -> GateResult:
        """Tell accepted from culprits; a quick `hint` at the culprits saves most of the builds."""
        search = _Search(self._base, edits, failure)
        if not search.failure_of(list(edits)):
            return GateResult(frozenset(edits))
        broken = search.failure_of([])
        if broken and not self._is_empty():
            return GateResult(frozenset(), base_failure=broken)
        suspects = self._sort(edits, hint).culprits if hint else {}
        search.settle([item for item in edits if item not in suspects])
        search.settle(list(suspects))
        return GateResult(frozenset(search.accepted), search.culprits)

    def _is_empty(self) -> bool:
        """Tell whether there is nothing to build yet, which kustomize calls a failure."""
        draft = self._base.draft()
        found = included(draft, self._path)
        return found.broken is None and Kustomizations().at(draft, found.root).empty


class _Search:
    """Finds the items without which the tree builds: halves of a group that fails, down to one."""

    def __init__(
        self, base: Snapshot, edits: Mapping[ItemId, Sequence[Edit]], failure: Callable[[Draft], str]
    ) -> None:
        self._base = base
        self._edits = edits
        self._failure = failure
        self._kustomizations = Kustomizations()
        self._built = 0
        self.accepted: list[ItemId] = []
        self.culprits: dict[ItemId, str] = {}

    def failure_of(self, items: Sequence[ItemId]) -> str:
        """Return what is wrong with the tree that has what was accepted and these items' edits."""
        self._built += 1
        draft = self._base.draft()
        edits = [edit for item in (*self.accepted, *items) for edit in self._edits[item]]
        apply_edits(draft, edits, self._kustomizations)
        return self._failure(draft)

    def settle(self, items: Sequence[ItemId]) -> None:
        """Sort a group into accepted and culprits."""
        if not items:
            return
        failure = self.failure_of(items)
        if not failure:
            self.accepted += items
        elif len(items) == 1:
            self.culprits[items[0]] = failure
        elif self._built > MOST_BUILDS:
            reason = f"too many are broken to tell them apart, the first is: {failure}"
            self.culprits |= dict.fromkeys(items, reason)
        else:
            middle = len(items) // 2
            self.settle(items[:middle])
            self.settle(items[middle:])


def find_binary(setting: str | None) -> tuple[str, ...] | None:
    """Return the command that builds a folder, or None for our own check.

    `setting`: a program, `builtin`, or None for whichever is on the PATH. ConfigurationError for no program.
    """
    if setting == BUILTIN:
        return None
    for name in (setting,) if setting else ("kustomize", "kubectl"):
        if found := shutil.which(name):
            return (found, "kustomize" if "kubectl" in Path(found).name else "build")
    if setting:
        remedy = f"name a kustomize or kubectl, or {BUILTIN}"
        raise ConfigurationError(f"manifests.kustomize: {setting} is not a program", remedy=remedy)
    return None


def _build(command: Sequence[str], folder: Path, path: str) -> str:
    """Build and return the failure, empty for none. Nothing is fetched and no plugin runs."""
    nowhere = "http://127.0.0.1:1"
    environment = {
        "PATH": os.defpath,
        "HOME": str(folder),
        "HTTP_PROXY": nowhere,
        "HTTPS_PROXY": nowhere,
        "GIT_ALLOW_PROTOCOL": "none",
    }
    try:
        done = subprocess.run(  # noqa: S603 - a program that the settings name, without a shell
            [*command, str(folder / path)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT,
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        remedy = "check manifests.kustomize"
        raise Unavailable("kustomize", "the build could not be run to its end", remedy=remedy) from error
    if done.returncode == 0:
        return ""
    text = done.stderr.decode(errors="replace").replace(f"{folder.resolve()}/", "").replace(f"{folder}/", "")
    # kustomize wraps the cause in every level that it came through; the cause comes last.
    lines = [re.sub(r"[^\x20-\x7e]+", " ", line) for line in text.splitlines() if line.strip()]
    said = re.sub(r'^.*?err="', "", lines[-1]) if lines else f"exit code {done.returncode}"
    return said if len(said) <= LONGEST_REASON else "…" + said[-LONGEST_REASON:]


class _Workspace:
    """A folder that shows one tree after another, to build; only differences are written."""

    def __init__(self, folder: Path, command: Sequence[str]) -> None:
        self._folder = folder
        self._command = command
        self._shown: dict[str, str] = {}

    def build(self, draft: Draft, path: str) -> str:
        """Build that folder of the tree and return the failure, empty for none."""
        self._show(draft)
        return _build(self._command, self._folder, path)

    def _show(self, draft: Draft) -> None:
        """Make the folder hold what the tree holds. Links that lead out of it are left away."""
        entries = {entry.path: entry for entry in draft.files() if _is_safe(entry.path)}
        for path in [path for path, shown in self._shown.items() if not _same(entries.get(path), shown)]:
            (self._folder / path).unlink(missing_ok=True)
            del self._shown[path]
        for path, entry in entries.items():
            if path not in self._shown and entry.kind is not EntryKind.SUBMODULE:
                with suppress(BeyondBounds):  # no manifest; one that lists it all the same does not build
                    self._write(path, draft.content(entry), is_link=entry.kind is EntryKind.LINK)
                    self._shown[path] = entry.id

    def _write(self, path: str, content: bytes, *, is_link: bool) -> None:
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not is_link:
            target.write_bytes(content)
        elif _stays_inside(path, pointed := content.decode(errors="surrogateescape")):
            target.symlink_to(pointed)


def _same(entry: Entry | None, shown: str) -> bool:
    return entry is not None and entry.id == shown


def _is_safe(path: str) -> bool:
    """Tell whether a path may be written to a disk: trees can be made by hand, with any names in them."""
    return not {"", "..", ".", ".git"} & set(path.split("/")) and "\0" not in path


def _stays_inside(path: str, pointed: str) -> bool:
    inside = posixpath.normpath(posixpath.join(posixpath.dirname(path), pointed))
    return not inside.startswith(("/", "..")) and "\0" not in pointed
