"""A key at the LLM gateway that has the name of a project's, and that nobody here knows the value of."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from reconciler.model.outcome import Condition
from reconciler.sandbox.supervisor import Sandbox
from tests.kinds.project.evidence.gateway import their_key
from tests.kinds.project.evidence.item import owner_of
from tests.support.reconciling import merge, settle_at_once
from tests.support.systems import Systems


def test_it_survives_and_is_reported_since_adopt_cannot_help(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    text = f"repoOwner: {owner_of('gear')}\nrepoName: gear\nadopt: true\n"
    merge(clean_sandbox, tmp_path / "projects", gear=text)
    with closing(Systems(clean_sandbox)) as systems:
        look = their_key(systems, "gear")
        before = look()
        result = settle_at_once(clean_sandbox)
        assert look() == before
    said = {outcome.resource: outcome for each in result.reports for outcome in each.outcomes}
    assert said["litellm"].condition is Condition.ERROR
    assert said["litellm"].reason.startswith("conflict: ")
