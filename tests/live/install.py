"""Installs a LiteLLM proxy and what stands in for Prisma's native engine under `.tools/litellm`, once."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

VERSION = "1.106.2"
PYTHON_PACKAGES = (f"litellm[proxy]=={VERSION}", "prisma==0.15.0")
# The release of Prisma that prisma 0.15.0 speaks to.
NODE_PACKAGES = ("@prisma/client@5.17.0", "@prisma/adapter-pg@5.17.0", "graphql@16.11.0", "pg@8.16.3")
TOOLS = Path(__file__).parents[2] / ".tools" / "litellm"
QUERY_ENGINE = Path(__file__).with_name("query_engine.js")


@dataclass(frozen=True)
class Installed:
    """Where things are; `environment` is what any of its programs needs."""

    root: Path

    @property
    def programs(self) -> Path:
        return self.root / "venv" / "bin"

    @property
    def site_packages(self) -> Path:
        return next((self.root / "venv" / "lib").glob("python3*/site-packages"))

    @property
    def migrations(self) -> list[Path]:
        """In the order in which they are applied."""
        return sorted((self.site_packages / "litellm_proxy_extras" / "migrations").glob("*/migration.sql"))

    @property
    def environment(self) -> dict[str, str]:
        """What any of its programs needs; nothing else of ours, which may name other proxies."""
        return {
            "HOME": os.environ["HOME"],
            "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}",
            "PRISMA_HOME_DIR": str(self.root),
            "PRISMA_QUERY_ENGINE_BINARY": str(self.root / "query-engine"),
            "PRISMA_SCHEMA_ENGINE_BINARY": str(self.root / "schema-engine"),
            "LIVE_NODE_MODULES": str(self.root / "npm" / "node_modules"),
        }


def install() -> Installed:
    """Install what is missing; a minute or two the first time."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    installed = Installed(TOOLS)
    stamp = TOOLS / "installed"
    wanted = "\n".join((*PYTHON_PACKAGES, *NODE_PACKAGES))
    with (TOOLS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _stand_ins()
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
            _packages()
            _generate(installed)
            stamp.write_text(wanted, encoding="utf-8")
    return installed


def _packages() -> None:
    npm = shutil.which("npm")
    assert npm, "npm is needed to install what stands in for Prisma's engine"
    _run([sys.executable, "-m", "venv", "--clear", str(TOOLS / "venv")])
    pip = [str(TOOLS / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    _run([*pip, "--disable-pip-version-check", *PYTHON_PACKAGES])
    (TOOLS / "npm").mkdir(exist_ok=True)
    options = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(TOOLS / "npm")]
    _run([npm, "install", *options, *NODE_PACKAGES])


def _stand_ins() -> None:
    """Write the two programs that Prisma's Python client runs; of the second it only asks the version."""
    scripts = {
        "query-engine": f'exec node "{QUERY_ENGINE}" "$@"',
        "schema-engine": "echo schema-engine-cli 393aa359c9ad4a4bb28630fb5613f9c281cde053",
    }
    for name, line in scripts.items():
        script = TOOLS / name
        script.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        script.chmod(0o755)


def _generate(installed: Installed) -> None:
    """Generate the database client that the proxy imports, for this machine only."""
    schema = (installed.site_packages / "litellm" / "proxy" / "schema.prisma").read_text(encoding="utf-8")
    copy = TOOLS / "schema.prisma"
    copy.write_text(re.sub(r"binaryTargets = .*", 'binaryTargets = ["native"]', schema), encoding="utf-8")
    _run([str(installed.programs / "prisma"), "generate", "--schema", str(copy)], installed.environment)


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, cwd=TOOLS)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
