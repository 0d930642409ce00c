"""A kind is a folder and a line: in copies of the tree without one, all the rest is well."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
PARTS = {"parts", "__pycache__"}
NAMES = sorted(
    path.name
    for path in (ROOT / "reconciler" / "kinds").iterdir()
    if path.is_dir() and path.name not in PARTS
)
GUARDS_OF_TEXTS = ("test_docs", "test_declared", "test_references")
"""They tell whoever removes a kind which tables, samples and pages still speak of it."""


def run(tree: Path, *words: str) -> str:
    """Run a program of this environment over the copy, and return what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "200"}
    done = subprocess.run(
        [PROGRAMS / words[0], *words[1:]],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def copied(tree: Path) -> None:
    """Copy what git knows, at its age, so that the cache of mypy goes on counting."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a checkout")
    for name in listed.stdout.rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    if (cache := ROOT / ".mypy_cache").is_dir():
        shutil.copytree(cache, tree / ".mypy_cache")


def remove(tree: Path, kind: str) -> None:
    """Take a kind out, as CONTRIBUTING.md says."""
    for folder in ("reconciler/kinds", "tests/kinds", "bench"):
        shutil.rmtree(tree / folder / kind, ignore_errors=True)
    listing = tree / "reconciler" / "kinds" / "__init__.py"
    text = listing.read_text()
    line = re.compile(rf"from reconciler\.kinds\.{kind}\.kind import (\w+)\n")
    (constant,) = line.findall(text)
    listing.write_text(re.sub(rf"\b{constant}, ?", "", line.sub("", text)))


@pytest.fixture(params=NAMES)
def without(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A kind's name, and a copy of the tree without it."""
    copied(tmp_path)
    remove(tmp_path, request.param)
    return request.param, tmp_path


@pytest.fixture
def lamps_alone(without: tuple[str, Path]) -> Iterator[Path]:
    """That copy with one lamp in `projects/`, and whatever it starts stopped."""
    _, tree = without
    for sample in (tree / "projects").iterdir():
        sample.unlink()
    (tree / "projects" / "kitchen.yaml").write_text("kind: lamp\nroom: kitchen\n")
    yield tree
    run(tree, "python", "-m", "tests.kinds.lamp", "sandbox", "down")


def test_the_rest_is_well(without: tuple[str, Path]) -> None:
    kind, tree = without
    assert f"kinds.{kind}" not in (tree / "reconciler/kinds/__init__.py").read_text()
    run(tree, "ruff", "check", ".")
    run(tree, "ruff", "format", "--check", ".")
    run(tree, "mypy")
    run(tree, "lint-imports")
    run(tree, "python", "-m", "docs.generate")
    others = [f"--ignore=tests/unit/{guard}.py" for guard in GUARDS_OF_TEXTS]
    run(tree, "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit", *others)


def test_the_rest_reconciles(lamps_alone: Path) -> None:
    words = ("python", "-m", "tests.kinds.lamp", "--once", "--wait", "1m", "--sandbox", "--format", "json")
    (lamp,) = json.loads(run(lamps_alone, *words))["items"]
    assert (lamp["kind"], lamp["slug"], lamp["status"]) == ("lamp", "kitchen", "waiting_bulb")
    printed = run(lamps_alone, "python", "-m", "tests.kinds.lamp", "status", "--sandbox", "--format", "json")
    assert json.loads(printed)[0]["slug"] == "kitchen"


def test_what_asked_for_it_is_refused_by_its_line_and_holds_up_nobody(without: tuple[str, Path]) -> None:
    kind, tree = without
    file = tree / "some.yaml"
    file.write_text(f"kind: {kind}\n")
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", "validate", "some.yaml"],
        cwd=tree, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"some.yaml:1:1: kind {kind} is not known" in done.stderr
