"""Passes of the real reconciler on a sandbox, in this process."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from reconciler.engine.configuration import load_sections
from reconciler.engine.cycle import Cycle
from reconciler.engine.kind import Kinds
from reconciler.engine.loop import run_once
from reconciler.engine.result import PassResult
from reconciler.faces.cli.options import made_outside
from reconciler.git.status_text import load_status
from reconciler.kinds import KINDS
from reconciler.model.duration import parse_duration
from reconciler.sandbox.supervisor import Sandbox
from tests.support.silence import Silence

MOST_PASSES = 12


def cycle_of(sandbox: Sandbox, kinds: Kinds = KINDS, /, **environment: str) -> Cycle:
    """Return a cycle on the sandbox; named variables replace the sandbox's, an empty one takes it away."""
    environ = {**sandbox.environment(), **environment}
    return Cycle(load_sections(sandbox.configuration_file(), environ), kinds)


def merge(sandbox: Sandbox, folder: Path, **files: str) -> None:
    """Merge project files (`acme_widgets="repoOwner: …"`) and create their repositories on GitHub."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name.replace('_', '-')}.yaml").write_text(text, encoding="utf-8")
    sandbox.merge_projects(folder)
    made_outside(sandbox, KINDS, folder)


def settle(sandbox: Sandbox, **environment: str) -> PassResult:
    """Run passes until only people are awaited."""
    return run_once(cycle_of(sandbox, **environment), wait=parse_duration("60s"), progress=Silence())


def settle_at_once(sandbox: Sandbox, *, only: Sequence[str] = (), **environment: str) -> PassResult:
    """Run passes until only people are awaited; Argo CD's clock is put forward instead of waiting for it."""
    cycle = cycle_of(sandbox, **environment)
    result = cycle.run(only=only)
    for _ in range(MOST_PASSES):
        if result.again_in is None:
            return result
        sandbox.emulator("argocd", "POST", "/_emulator/skip", {"seconds": 3})
        result = cycle.run(only=only)
    raise AssertionError(f"not settled after {MOST_PASSES} passes: {result.machines_awaited}")


@contextmanager
def configured(sandbox: Sandbox, section: str, line: str) -> Iterator[None]:
    """Have one more line in a section of the sandbox's reconciler.yaml."""
    path = sandbox.configuration_file()
    text = path.read_text(encoding="utf-8")
    assert f"\n{section}:\n" in text
    path.write_text(text.replace(f"\n{section}:\n", f"\n{section}:\n  {line}\n"), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(text, encoding="utf-8")


def without_kustomize(sandbox: Sandbox) -> AbstractContextManager[None]:
    """Let passes check trees by themselves: with a hundred projects every push waits for a kustomize."""
    return configured(sandbox, "manifests", "kustomize: builtin")


def git(repository: str, *arguments: str) -> str:
    """Run plain git on a repository of the sandbox, as someone, and return what it printed."""
    someone = ("-c", "user.name=Someone", "-c", "user.email=someone@example.org")
    # Nobody's own settings: they may sign commits, or be missing, as on a fresh machine.
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", *someone, "-C", repository, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def status(sandbox: Sandbox, slug: str) -> dict[str, Any]:
    """Return a project's status file as it stands in the config repository."""
    text = git(sandbox.environment()["CONFIG_REPOSITORY"], "show", f"main:status/project/{slug}.yaml")
    return load_status(slug, text.encode())


def commits(sandbox: Sandbox) -> tuple[str, str]:
    """Return the heads of the config and of the manifest repository."""
    environment = sandbox.environment()
    names = ("CONFIG_REPOSITORY", "MANIFESTS_REPOSITORY")
    config, manifests = (git(environment[name], "rev-parse", "main").strip() for name in names)
    return config, manifests
