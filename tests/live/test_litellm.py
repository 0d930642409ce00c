"""The LiteLLM emulator answers as the proxy does, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import httpx
import pytest

from reconciler.sandbox.emulators.litellm.app import create_app
from reconciler.sandbox.emulators.store import Store
from tests.live.compare import TALLY, Call, Server, compare
from tests.live.install import VERSION
from tests.live.proxy import proxy
from tests.live.scenarios import SCENARIOS
from tests.support.serve import serve

Pair = tuple[Server, Server]


@pytest.fixture(scope="session")
def pair() -> Iterator[Pair]:
    """The original and our copy, both empty at first; every story is told to both, in the same order."""
    TALLY.original = f"LiteLLM {VERSION}"
    # The proxy closes a connection whenever it answers 500.
    limits = httpx.Limits(max_keepalive_connections=0)
    with (
        proxy() as original,
        serve(create_app(Store(), admin_key=original.admin_key)) as copy,
        httpx.Client(base_url=original.url, timeout=60, limits=limits) as left,
        httpx.Client(base_url=copy, timeout=60) as right,
    ):
        yield Server(left, original.admin_key), Server(right, original.admin_key)


@pytest.mark.live
@pytest.mark.parametrize("story", SCENARIOS.values(), ids=SCENARIOS)
def test_same_answers(pair: Pair, story: Sequence[Call]) -> None:
    original, copy = pair
    found = [difference for call in story for difference in compare(original, copy, call)]
    assert not found, "\n" + "\n".join(found)
