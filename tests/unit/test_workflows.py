"""What CI runs of others is what was looked at: a tag can be moved, a commit cannot."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

WORKFLOWS = sorted((Path(__file__).parents[2] / ".github" / "workflows").glob("*.yaml"))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_of_others_are_pinned_by_commit(workflow: Path) -> None:
    used = re.findall(r"^\s*-?\s*uses:\s*(.+)$", workflow.read_text(encoding="utf-8"), re.MULTILINE)
    loose = [each for each in used if not re.match(r"\./|[\w./-]+@[0-9a-f]{40} # v\d", each)]
    assert not loose, f"{workflow.name}: pin by commit, with the version behind it: {', '.join(loose)}"
