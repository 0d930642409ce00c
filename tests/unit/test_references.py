"""No reference leads out of the repository: a reader who was not there has nothing else."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXTS = (".py", ".md", ".yaml", ".yml", ".toml", ".sh", ".mjs", ".j2", ".sql", ".json", ".graphql", ".cfg")
NAMED = ("Makefile", "Dockerfile", ".importlinter")
FOOTNOTE = re.compile(
    r"\b(?:design|facts|kinds)(?:\.md)?,? §|\bseed 0\d\d\b|§ ?\d|\.\./shared|\bhouse rules\b"
)
PAGE = re.compile(
    r"(?<![\w/:.-])((?:docs|tests|bench|reconciler|deploy|scripts|templates)/[\w./-]+\.(?:md|py|sh))"
)


def files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a checkout")
    paths = [ROOT / name for name in listed.stdout.splitlines()]
    ours = [path for path in paths if path.suffix in TEXTS or path.name in NAMED]
    return [
        path for path in ours if path.exists() and "vendored" not in path.parts and path != Path(__file__)
    ]


def test_no_footnote_stands_for_a_reason() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if FOOTNOTE.search(line)
    ]
    assert found == []


def test_every_page_and_module_that_is_named_is_there() -> None:
    found = []
    for path in files():
        if path.name == "CHANGELOG.md":
            continue  # which tells of what was
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            found += [
                f"{path.relative_to(ROOT)}:{number}: {name}"
                for name in PAGE.findall(line)
                if not any(part in name for part in ("<", "*", "grafana")) and not (ROOT / name).exists()
            ]
    assert found == []
