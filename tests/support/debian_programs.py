"""Programs that a dev container image has and this machine may lack, from Debian's packages.

Nothing is installed, and no root needed: the packages are unpacked under `.tools/debian-programs`, with those
that they need, and started through scripts that tell them where their libraries are.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
from pathlib import Path

TOOLS = Path(__file__).parents[2] / ".tools" / "debian-programs"


def programs(*names: str) -> list[Path]:
    """Return the folders to put on the PATH for these programs, each of a package of its name; often none."""
    missing = [name for name in names if not shutil.which(name)]
    if not missing:
        return []
    TOOLS.mkdir(parents=True, exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return [fetched(name) for name in missing]


def fetched(name: str) -> Path:
    """Return the folder with the program of a package, fetching it once."""
    folder = TOOLS / name
    if not folder.exists():
        partial = TOOLS / f"{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        _unpack(name, partial)
        _wrap(name, partial, folder)
        partial.rename(folder)
    return folder / "bin"


def _unpack(name: str, folder: Path) -> None:
    # Lists of its own: those of the machine may be missing or old, and only root may renew them.
    for part in ("state/lists/partial", "cache/archives/partial", "archives"):
        (folder / part).mkdir(parents=True)
    options = {
        "Dir::State::lists": folder / "state" / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "1",
    }
    get = [
        "apt-get",
        "-qq",
        "--no-install-recommends",
        *(f"-o{key}={value}" for key, value in options.items()),
    ]
    subprocess.run([*get, "update"], check=True, capture_output=True)
    planned = subprocess.run(
        [*get, "--simulate", "install", name], check=True, capture_output=True, text=True
    )
    packages = re.findall(r"^Inst (\S+)", planned.stdout, re.MULTILINE)
    subprocess.run([*get, "download", *packages], cwd=folder / "archives", check=True, capture_output=True)
    for archive in (folder / "archives").iterdir():
        subprocess.run(["dpkg", "-x", archive, folder / "root"], check=True, capture_output=True)
    for part in ("state", "cache", "archives"):
        shutil.rmtree(folder / part)


def _wrap(name: str, partial: Path, folder: Path) -> None:
    libraries = {path.parent.relative_to(partial) for path in (partial / "root").rglob("*.so*")}
    searched = ":".join(str(folder / each) for each in sorted(libraries))
    (partial / "bin").mkdir()
    script = partial / "bin" / name
    script.write_text(
        f'#!/bin/sh\nLD_LIBRARY_PATH={searched} exec {folder}/root/usr/bin/{name} "$@"\n', encoding="utf-8"
    )
    script.chmod(0o755)
