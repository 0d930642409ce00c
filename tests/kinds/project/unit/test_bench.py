"""The bench looks where the pass is: what it times by name is still called so."""

from __future__ import annotations

import pytest

from bench.project.quiet_pass import STAGES


@pytest.mark.parametrize(("owner", "name"), [stage[1:] for stage in STAGES])
def test_every_stage_that_is_timed_is_there(owner: object, name: str) -> None:
    assert callable(getattr(owner, name, None)), f"bench/project/quiet_pass.py: STAGES names {name}"
