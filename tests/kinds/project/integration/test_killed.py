"""Killed while it brings the database's schema up to date, the next pass converges.

Kills at all that passes do for items are tried in tests/prove/kill.py, of which
tests/integration/test_prove.py does a part.
"""

from __future__ import annotations

import pytest

from reconciler.sandbox.supervisor import Sandbox
from tests.prove.world import said
from tests.support.doomed import When, killed_at_write
from tests.support.reconciling import cycle_of


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("number", range(4))
def test_while_the_schema_is_brought_up_to_date(clean_sandbox: Sandbox, number: int, side: When) -> None:
    assert killed_at_write(clean_sandbox, number, side)
    assert said(cycle_of(clean_sandbox).run()) == []
    mark = clean_sandbox.mark()
    assert cycle_of(clean_sandbox).run().exit_code == 0
    assert not any(each.wrote for each in clean_sandbox.requests(mark))
