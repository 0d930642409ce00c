"""Killed before or after any of its writes, the next pass converges: no duplicate, no orphan.

A process is killed once for every write and side of it, each time at a project of its own; one settling of
them all then has to leave exactly what a project has whose passes nobody disturbed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from reconciler.engine.result import PassResult
from reconciler.faces.sealed_entry import seal_for
from reconciler.model.outcome import Status
from reconciler.sandbox.supervisor import Sandbox
from tests.kinds.project.evidence.access import copy_receivers_secret
from tests.kinds.project.evidence.item import name_of, owner_of, slug_of
from tests.kinds.project.support.inventory import EACH, inventory, totals
from tests.support.doomed import WRITES, GitStep, When, killed_at_push, killed_at_write, subject
from tests.support.reconciling import cycle_of, merge, settle_at_once, without_kustomize
from tests.support.systems import Systems

Kill = Callable[[str], None]
SIDES: tuple[When, When] = ("before", "after")
PUSHES = (
    GitStep(0, "before"), GitStep(0, "between"), GitStep(0, "after"),
    GitStep(1, "before"), GitStep(1, "between"), GitStep(1, "after"),
)  # fmt: skip
UNDISTURBED = slug_of("undisturbed")
CHANGED = """
displayName: Another name
resourceLimits: {memoryLimit: 12Gi}
litellm: {maxBudget: 12}
settings: {cloudflareDomain: dev.example.org}
"""


class Casualties:
    """Projects of one sandbox, at each of which one pass is killed."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder
        self.slugs = [UNDISTURBED]
        self._before = self._counted()

    def merge(self, count: int) -> None:
        """Add so many projects."""
        new = [slug_of(f"gear{len(self.slugs) + number:03}") for number in range(count)]
        self.slugs += new
        self.write(new)

    def write(self, slugs: Sequence[str], more: str = "") -> None:
        """Merge the files of these projects."""
        files = {
            slug: f"repoOwner: {owner_of(name_of(slug))}\nrepoName: {name_of(slug)}\n{more}" for slug in slugs
        }
        merge(self.sandbox, self.folder, **files)

    def put_github(self, slug: str, **wish: object) -> None:
        """Change a repository as its people would."""
        self.sandbox.emulator(
            "github", "PATCH", f"/_emulator/repositories/{owner_of(name_of(slug))}/{name_of(slug)}", wish
        )

    def writes_of_a_pass(self, slug: str = UNDISTURBED, match: str = WRITES) -> int:
        """Run a pass that nobody disturbs, and return how many writes `killed_at_write` can strike."""
        mark = self.sandbox.mark()
        assert cycle_of(self.sandbox).run(only=[slug]).exit_code == 0
        requests = self.sandbox.requests(mark)
        assert all(re.search(WRITES, subject(each)) for each in requests if each.wrote)
        return sum(1 for each in requests if re.search(match, subject(each)))

    def kill(self, kills: Sequence[Kill]) -> None:
        """Kill one pass at each project but the first."""
        assert len(kills) == len(self.slugs) - 1
        for slug, kill in zip(self.slugs[1:], kills, strict=True):
            kill(slug)

    def at_every_write(self, writes: int, match: str = WRITES) -> list[Kill]:
        return [self._at_write(number, side, match) for number, side in product(range(writes), SIDES)]

    def at_every_push(self, pushes: Sequence[GitStep]) -> list[Kill]:
        return [self._at_push(step) for step in pushes]

    def settle(self, wanted: str, *, pulls: int = 0) -> None:
        """Run passes, and see that everything is as it is where nobody disturbed a pass."""
        result = settle_at_once(self.sandbox)
        assert troubles(result) == []
        assert {each.status for each in result.reports} == {wanted}
        assert cycle_of(self.sandbox).run().commits == ()
        model = inventory(self.sandbox, name_of(UNDISTURBED))
        for slug in self.slugs[1:]:
            assert inventory(self.sandbox, name_of(slug)) == model, slug
        assert self._counted() == self._expected(pulls)

    def seal(self, slugs: Sequence[str]) -> None:
        for slug in slugs:
            tokens = {"accessToken": "a", "refreshToken": "b", "expiresAt": 1_900_000_000_000}
            text = json.dumps(tokens).encode()
            seal_for(cycle_of(self.sandbox), slug, text, only_print=False)

    def _counted(self) -> dict[str, int]:
        # Tokens that were handed over when a pass was killed are handed over again, and the first are kept.
        return {thing: count for thing, count in totals(self.sandbox).items() if thing != "credentials"}

    def _expected(self, pulls: int) -> dict[str, int]:
        """Return how many there are of everything: what there was before, and what each project has."""
        each = {**EACH, "runs": 1, "pulls": pulls}
        if pulls:
            each |= {"environments": 0, "lines": 0}
        return {thing: count + each.get(thing, 0) * len(self.slugs) for thing, count in self._before.items()}

    def _at_write(self, number: int, side: When, match: str) -> Kill:
        return lambda slug: killed_at_write(self.sandbox, number, side, slug, match=match)

    def _at_push(self, step: GitStep) -> Kill:
        return lambda slug: killed_at_push(self.sandbox, step, slug)


def troubles(result: PassResult) -> list[str]:
    wrong = [f"{each.slug}: {o.resource} {o.reason}" for each in result.reports for o in each.outcomes
             if o.condition in {"error", "unknown"}]  # fmt: skip
    return [*result.problems, *wrong]


@pytest.fixture(scope="module", autouse=True)
def _without_kustomize(sandbox: Sandbox) -> Iterator[None]:
    with without_kustomize(sandbox):
        yield


@pytest.fixture
def casualties(clean_sandbox: Sandbox, tmp_path: Path) -> Casualties:
    # The first pass of all brings the database's schema up to date, which is another test's matter.
    assert cycle_of(clean_sandbox).run().exit_code == 0
    # So is the copy of the receiver's secret, which the first project of all makes for the others.
    with closing(Systems(clean_sandbox)) as systems:
        copy_receivers_secret(systems)
    made = Casualties(clean_sandbox, tmp_path / "projects")
    made.write([UNDISTURBED])
    return made


def test_in_the_first_pass_over_a_project(casualties: Casualties) -> None:
    writes = casualties.writes_of_a_pass()
    assert writes > 20
    casualties.merge(2 * writes + len(PUSHES))
    casualties.kill([*casualties.at_every_write(writes), *casualties.at_every_push(PUSHES)])
    casualties.settle("waiting_auth")


def test_when_argo_cd_is_asked_to_look(casualties: Casualties) -> None:
    casualties.sandbox.emulator("argocd", "POST", "/_emulator/set", {"paused": True})
    casualties.writes_of_a_pass()
    writes = casualties.writes_of_a_pass()
    casualties.merge(2 * writes)
    for slug, kill in zip(casualties.slugs[1:], casualties.at_every_write(writes), strict=True):
        casualties.writes_of_a_pass(slug)
        kill(slug)
    casualties.settle("waiting_auth")


def test_when_a_branch_is_protected(casualties: Casualties) -> None:
    casualties.put_github(UNDISTURBED, protection="ruleset")
    match = r"^(POST|PUT) .*/(git/refs|contents/\S*|pulls)$"
    writes = casualties.writes_of_a_pass(match=match)
    assert writes == 3
    casualties.merge(2 * writes)
    for slug in casualties.slugs:
        casualties.put_github(slug, protection="ruleset")
    casualties.kill(casualties.at_every_write(writes, match))
    casualties.settle("waiting_merge", pulls=1)


def test_while_a_login_is_handed_over(casualties: Casualties) -> None:
    settle_at_once(casualties.sandbox)
    casualties.seal([UNDISTURBED])
    writes = casualties.writes_of_a_pass()
    pushes = PUSHES[:3]
    casualties.merge(2 * writes + len(pushes))
    settle_at_once(casualties.sandbox)
    casualties.seal(casualties.slugs[1:])
    casualties.kill([*casualties.at_every_write(writes), *casualties.at_every_push(pushes)])
    casualties.settle(Status.COMPLETED)


def test_while_a_changed_file_is_carried_out(casualties: Casualties) -> None:
    settle_at_once(casualties.sandbox)
    casualties.write(casualties.slugs, CHANGED)
    writes = casualties.writes_of_a_pass()
    casualties.merge(2 * writes + len(PUSHES))
    settle_at_once(casualties.sandbox)
    casualties.write(casualties.slugs, CHANGED)
    casualties.kill([*casualties.at_every_write(writes), *casualties.at_every_push(PUSHES)])
    casualties.settle("waiting_auth")


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("number", range(4))
def test_while_the_schema_is_brought_up_to_date(clean_sandbox: Sandbox, number: int, side: When) -> None:
    killed_at_write(clean_sandbox, number, side)
    assert troubles(cycle_of(clean_sandbox).run()) == []
    mark = clean_sandbox.mark()
    assert cycle_of(clean_sandbox).run().exit_code == 0
    assert not any(each.wrote for each in clean_sandbox.requests(mark))
