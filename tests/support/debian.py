"""Programs of Debian's packages, unpacked under `.tools/debian`: nothing is installed, and no root needed."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / ".tools" / "debian"


def debian_program(package: str, name: str) -> Path:
    """Return the program that is on the PATH, else that of the package, which is fetched once.

    Skips the test where there is neither such a program nor Debian's package tools.
    """
    if found := shutil.which(name):
        return Path(found)
    if not shutil.which("apt-get"):
        pytest.skip(
            f"there is no {name} on the PATH, and no apt-get to fetch Debian's package {package} with"
        )
    folder = TOOLS / package
    program = folder / "usr" / "bin" / name
    TOOLS.mkdir(parents=True, exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _fetch(package, folder)
    return program


def _fetch(package: str, folder: Path) -> None:
    # Lists of its own: those of the machine may be missing, or old, and only root may renew them.
    state, cache = TOOLS / "state", TOOLS / "cache"
    for part in (state / "lists" / "partial", cache / "archives" / "partial"):
        part.mkdir(parents=True, exist_ok=True)
    options = {
        "Dir::State": state,
        "Dir::State::status": "/dev/null",
        "Dir::Cache": cache,
        "APT::Sandbox::User": "root",
    }
    get = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    subprocess.run([*get, "update"], check=True, capture_output=True)
    subprocess.run([*get, "download", package], cwd=cache, check=True, capture_output=True)
    (archive,) = cache.glob(f"{package}_*.deb")
    partial = folder.with_suffix(".partial")
    subprocess.run(["dpkg", "-x", archive, partial], check=True, capture_output=True)
    partial.rename(folder)
    archive.unlink()
    shutil.rmtree(state)
