"""Programs that the tests run and this machine may lack, from Debian's packages.

Nothing is installed, and no root needed: packages are unpacked under `.tools/debian`, with those that they
need, and started through scripts that tell them where their libraries are. A machine with neither the
program nor apt-get skips what needs it.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / ".tools" / "debian"


def debian_program(name: str, *, package: str = "", alone: bool = False) -> Path:
    """Return the program on the PATH, else that of the package (of the same name), which is fetched once.

    `alone`: the program needs no library of another package.
    """
    if found := shutil.which(name):
        return Path(found)
    package = package or name
    if not shutil.which("apt-get"):
        pytest.skip(
            f"there is no {name} on the PATH, and no apt-get to fetch Debian's package {package} with"
        )
    TOOLS.mkdir(parents=True, exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _fetched(name, package, alone=alone)


def _fetched(name: str, package: str, *, alone: bool = False) -> Path:
    """Return the program of a package that is not installed, fetching it once; for one caller at a time."""
    folder = TOOLS / package
    if not folder.exists():
        partial = TOOLS / f"{package}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        _unpack(package, partial, alone=alone)
        partial.rename(folder)
    return _started_by(name, folder)


def _unpack(package: str, folder: Path, *, alone: bool) -> None:
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
    packages = [package] if alone else _with_what_it_needs(get, package)
    subprocess.run([*get, "download", *packages], cwd=folder / "archives", check=True, capture_output=True)
    for archive in (folder / "archives").iterdir():
        subprocess.run(["dpkg", "-x", archive, folder / "root"], check=True, capture_output=True)
    for part in ("state", "cache", "archives"):
        shutil.rmtree(folder / part)


def _with_what_it_needs(get: list[str], package: str) -> list[str]:
    command = [*get, "--simulate", "install", package]
    planned = subprocess.run(command, check=True, capture_output=True, text=True)
    return re.findall(r"^Inst (\S+)", planned.stdout, re.MULTILINE)


def _started_by(name: str, folder: Path) -> Path:
    script = folder / "bin" / name
    if not script.exists():
        libraries = sorted({str(path.parent) for path in (folder / "root").rglob("*.so*")})
        script.parent.mkdir(exist_ok=True)
        script.write_text(
            f'#!/bin/sh\nLD_LIBRARY_PATH={":".join(libraries)} exec {folder}/root/usr/bin/{name} "$@"\n',
            encoding="utf-8",
        )
        script.chmod(0o755)
    return script
