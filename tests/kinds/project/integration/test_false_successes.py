"""A write that something else answers in the system's place, with nothing done: it is not taken for done.

Each write of a pass is found in the request log, and struck at a project of its own. That project says that
nobody knows, or the write was repeated; and the passes after it lead where those of nobody disturbed lead.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from reconciler.engine.result import PassResult
from reconciler.faces.sealed_entry import seal_for
from reconciler.model.outcome import Condition
from reconciler.sandbox.faults import Fault, Kind
from reconciler.sandbox.supervisor import Sandbox
from reconciler.sandbox.traffic import LoggedRequest
from tests.kinds.project.evidence.access import copy_receivers_secret
from tests.kinds.project.evidence.item import name_of, owner_of, slug_of
from tests.kinds.project.support.inventory import inventory
from tests.support.doomed import subject
from tests.support.reconciling import cycle_of, merge, settle_at_once, status, without_kustomize
from tests.support.systems import Systems

KINDS: tuple[Kind, ...] = (
    "302", "307", "204", "empty", "empty-object", "empty-list", "page", "404-page", "404-object",
)  # fmt: skip
TOKENS = {"accessToken": "a", "refreshToken": "b", "expiresAt": 4_102_444_800_000}
CHANGED = """
displayName: Another name
resourceLimits: {memoryLimit: 12Gi}
litellm: {maxBudget: 12}
settings: {cloudflareDomain: dev.example.org}
"""
HTTP_WRITES = r"mutation |refresh|^(PUT|PATCH|DELETE|POST (?!\S*/graphql))"
"""Writes to what speaks HTTP; PostgreSQL has an answer of its own for each statement."""
_NUMBERS = itertools.count()

Prepare = Callable[[Sequence[str]], None]


class Stand:
    """Projects of one sandbox, each of which meets one false success."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder

    def write(self, slugs: Sequence[str], more: str = "") -> None:
        """Merge the files of these projects."""
        files = {
            slug: f"repoOwner: {owner_of(name_of(slug))}\nrepoName: {name_of(slug)}\n{more}" for slug in slugs
        }
        merge(self.sandbox, self.folder, **files)

    def seal(self, slugs: Sequence[str]) -> None:
        """Hand in the tokens of a login for each."""
        for slug in slugs:
            seal_for(cycle_of(self.sandbox), slug, json.dumps(TOKENS).encode(), only_print=False)

    def change(self, slugs: Sequence[str]) -> None:
        """Change what their files ask for."""
        self.write(slugs, CHANGED)

    def strike_every_write(self, model: str, prepare: Prepare | None, each: int) -> list[str]:
        """Strike each write of a prepared pass with so many kinds; return the projects that met one.

        `model`: the project whose pass shows which writes there are, undisturbed.
        """
        self.write([model])
        if prepare is not None:
            settle_at_once(self.sandbox, only=[model])
            prepare([model])
        mark = self.sandbox.mark()
        assert cycle_of(self.sandbox).run(only=[model]).exit_code == 0
        writes = [
            request
            for request in self.sandbox.requests(mark)
            if re.search(HTTP_WRITES, subject(request)) and request.system != "postgres"
        ]
        assert writes
        assert settle_at_once(self.sandbox, only=[model]).exit_code == 0
        kinds = itertools.cycle(KINDS)
        pairs = [(number, next(kinds)) for number in range(len(writes)) for _ in range(each)]
        slugs = [slug_of(f"false{next(_NUMBERS):03}") for _ in pairs]
        self.write(slugs)
        if prepare is not None:
            assert settle_at_once(self.sandbox, only=slugs).exit_code == 0
            prepare(slugs)
        for slug, (number, kind) in zip(slugs, pairs, strict=True):
            self._strike(slug, number, kind)
        return slugs

    def _strike(self, slug: str, number: int, kind: Kind) -> None:
        self.sandbox.inject(Fault("*", kind, HTTP_WRITES, skip=number))
        mark = self.sandbox.mark()
        try:
            result = cycle_of(self.sandbox).run(only=[slug])
        finally:
            self.sandbox.clear_faults()
        requests = self.sandbox.requests(mark)
        (struck,) = [request for request in requests if request.fault]
        where = f"{kind} for {struck.method} {struck.path} of {struck.system}"
        assert is_told(result, slug) or was_repeated(requests, struck), where
        assert not any("unexpected" in problem for problem in problems(result, slug)), where
        assert status(self.sandbox, slug)["status"] != "failed", where


def problems(result: PassResult, slug: str) -> list[str]:
    return [
        f"{outcome.resource}: {outcome.reason}"
        for each in result.reports
        if each.slug == slug
        for outcome in each.outcomes
        if outcome.condition in {Condition.ERROR, Condition.UNKNOWN}
    ]


def is_told(result: PassResult, slug: str) -> bool:
    return result.exit_code == 1 and bool(problems(result, slug))


def was_repeated(requests: Sequence[LoggedRequest], struck: LoggedRequest) -> bool:
    """Whether the same request went through afterwards, and was answered by the system itself."""
    after = requests[requests.index(struck) + 1 :]
    return any(each.wrote and (each.method, each.path) == (struck.method, struck.path) for each in after)


@pytest.fixture(scope="module")
def stand(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    sandbox.clear()
    with without_kustomize(sandbox):
        # The schema, and the copy of the receiver's secret, are made by the first pass of all.
        assert cycle_of(sandbox).run().exit_code == 0
        with closing(Systems(sandbox)) as systems:
            copy_receivers_secret(systems)
        yield Stand(sandbox, tmp_path_factory.mktemp("projects"))


@pytest.mark.parametrize(
    ("prepare", "each", "wanted"),
    [(None, 2, "waiting_auth"), (Stand.seal, len(KINDS), "completed"), (Stand.change, 3, "waiting_auth")],
    ids=["first", "login", "change"],
)
def test_every_write(
    stand: Stand, prepare: Callable[[Stand, Sequence[str]], None] | None, each: int, wanted: str
) -> None:
    undisturbed = slug_of(f"undisturbed{next(_NUMBERS)}")
    struck = stand.strike_every_write(undisturbed, prepare and partial(prepare, stand), each)
    result = settle_at_once(stand.sandbox, only=struck)
    assert [problem for slug in struck for problem in problems(result, slug)] == []
    assert {report.status for report in result.reports if report.slug in struck} == {wanted}
    model = inventory(stand.sandbox, name_of(undisturbed))
    for slug in struck:
        assert inventory(stand.sandbox, name_of(slug)) == model, slug
