"""A read that something else answers in the system's place: what is settled stays so."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from contextlib import closing

import pytest

from reconciler.engine.result import PassResult
from reconciler.faces.sealed_entry import seal_for
from reconciler.model.outcome import Condition
from reconciler.sandbox.faults import Fault, Kind
from reconciler.sandbox.supervisor import Sandbox
from tests.kinds.project.evidence.item import name_of, owner_of, slug_of
from tests.support.doomed import WRITES, subject
from tests.support.reconciling import commits, cycle_of, merge, settle_at_once, without_kustomize
from tests.support.systems import Systems

KINDS: tuple[Kind, ...] = (
    "404-page", "404-object", "page", "empty-object", "empty-list", "302", "204", "empty", "deep",
    "429-never",
)  # fmt: skip
SLUG = slug_of("settledlongago")
ALWAYS = 10_000
TOKENS = {"accessToken": "a", "refreshToken": "b", "expiresAt": 4_102_444_800_000}


@pytest.fixture(scope="module")
def settled(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Yield a sandbox with a project that is done, and of which nothing is done any more."""
    sandbox.clear()
    with without_kustomize(sandbox):
        text = f"repoOwner: {owner_of(name_of(SLUG))}\nrepoName: {name_of(SLUG)}\n"
        merge(sandbox, tmp_path_factory.mktemp("projects"), **{SLUG: text})
        settle_at_once(sandbox)
        seal_for(cycle_of(sandbox), SLUG, json.dumps(TOKENS).encode(), only_print=False)
        assert settle_at_once(sandbox).exit_code == 0
        assert cycle_of(sandbox).run().commits == ()
        yield sandbox


def audited(sandbox: Sandbox) -> PassResult:
    """Run a pass in which everything is read."""
    with closing(Systems(sandbox)) as systems:
        systems.rows("UPDATE reconciler_item_verifications SET verified_at = 'epoch'")
    return cycle_of(sandbox).run()


def reads_of(sandbox: Sandbox) -> list[tuple[str, str]]:
    """Return system and subject of each request of a pass in which everything is read."""
    mark = sandbox.mark()
    assert audited(sandbox).exit_code == 0
    asked = [each for each in sandbox.requests(mark) if each.system != "postgres"]
    assert not [each for each in asked if re.search(WRITES, subject(each))]
    return sorted({(each.system, subject(each)) for each in asked})


def test_no_read_that_was_none_changes_anything(settled: Sandbox) -> None:
    reads, kinds = reads_of(settled), itertools.cycle(KINDS)
    assert {system for system, _ in reads} >= {"github", "vault", "argocd", "litellm", "auth-service", "s3"}
    before = commits(settled)
    for system, read in reads:
        for kind in itertools.islice(kinds, 3):
            settled.inject(Fault(system, kind, f"^{re.escape(read)}$", times=ALWAYS))
            mark = settled.mark()
            try:
                result = audited(settled)
            finally:
                settled.clear_faults()
            where = f"{kind} for {read} of {system}"
            outcomes = [outcome for each in result.reports for outcome in each.outcomes]
            assert result.exit_code == 1, where
            assert any(outcome.condition is Condition.UNKNOWN for outcome in outcomes), where
            assert not any(outcome.condition is Condition.ERROR for outcome in outcomes), where
            assert not any("unexpected" in outcome.reason for outcome in outcomes), where
            written = [each for each in settled.requests(mark) if each.wrote and each.system != "postgres"]
            assert written == [], where
            assert commits(settled) == before, where
    assert audited(settled).exit_code == 0


def test_a_clock_that_was_400_days_ahead_leaves_nothing_unaudited(settled: Sandbox) -> None:
    with closing(Systems(settled)) as systems:
        systems.rows("UPDATE reconciler_item_verifications SET verified_at = now() + interval '400 days'")
        mark = settled.mark()
        assert cycle_of(settled).run().exit_code == 0
        asked = {each.path for each in settled.requests(mark)}
        assert any("/hooks" in path for path in asked)
        assert any(path.endswith("/health") for path in asked)
        far = (
            "SELECT max(verified_at) > now() + interval '1 minute' AS far FROM reconciler_item_verifications"
        )
        moments = systems.rows(far)
    assert moments == [{"far": False}]
