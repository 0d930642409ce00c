"""npm packages that tests compare our emulators with: installed once, pinned, under `.tools/npm`."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

TOOLS = Path(__file__).parents[2] / ".tools" / "npm"


def npm_package(name: str, version: str) -> Path:
    """Return the installed package's directory; each version has its own place, so none evicts another."""
    prefix = TOOLS / f"{name.replace('/', '+')}@{version}"
    package = prefix / "node_modules" / name
    TOOLS.mkdir(parents=True, exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (package / "package.json").exists():
            npm = shutil.which("npm")
            assert npm, "npm is needed to install what the emulators are compared with"
            prefix.mkdir(parents=True, exist_ok=True)
            command = [npm, "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]
            subprocess.run([*command, str(prefix), f"{name}@{version}"], check=True, capture_output=True)
    return package
