"""Lamps in a sandbox: merged, looked at, and the program that knows them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from reconciler.git.status_text import load_status
from reconciler.model.item import ItemId
from reconciler.sandbox.supervisor import Sandbox
from tests.support.reconciling import git

ROOT = Path(__file__).parents[3]
FILES = {"kitchen.yaml": "kind: lamp\nroom: Kitchen\n", "den.yaml": "kind: lamp\nroom: den\n"}


def merged(sandbox: Sandbox, folder: Path, **more: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in {**FILES, **more}.items():
        (folder / name.replace("__", ".")).write_text(text)
    sandbox.merge_projects(folder)


def status_of(sandbox: Sandbox, item: ItemId) -> dict[str, Any]:
    path = f"status/{item.kind}/{item.slug}.yaml"
    return load_status(path, git(sandbox.environment()["CONFIG_REPOSITORY"], "show", f"main:{path}").encode())


def program(sandbox: Sandbox, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.kinds.lamp", *words, "--config", str(sandbox.configuration_file())],
        cwd=ROOT,
        env={**sandbox.environment(), "PATH": "/usr/bin:/bin"},
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
