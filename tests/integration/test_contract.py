"""What every resource of every kind promises, and that a resource which breaks a promise is found out.

A new resource is held to it by being in a kind. What it has to show for that is in tests/support/evidence.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from reconciler.sandbox.supervisor import Sandbox
from tests.kinds.everyone import EVERYONE
from tests.support.contract.breaking import break_all
from tests.support.contract.hold import hold
from tests.support.contract.judge import Complaint
from tests.support.contract.walk import World
from tests.support.evidence import evidence_of
from tests.support.reconciling import without_kustomize
from tests.support.systems import Systems

RESOURCES = [(kind.name, resource.name) for kind in EVERYONE.values() for resource in kind.resources]
LEAST = 7
"""Manners in which a resource is broken at least; one that makes something has more."""
every_resource = pytest.mark.parametrize(("kind", "resource"), RESOURCES)


@contextmanager
def new_world(sandbox: Sandbox, folder: Path) -> Iterator[World]:
    """Yield a cleared sandbox in which nobody waits before asking again: it is not time that is tested."""
    sandbox.clear()
    found = {kind.name: evidence_of(kind) for kind in EVERYONE.values()}
    evidence = {name: shown for name, shown in found.items() if shown is not None}
    with (
        pytest.MonkeyPatch.context() as patched,
        without_kustomize(sandbox),
        closing(Systems(sandbox)) as systems,
    ):
        patched.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda seconds: None))
        world = World(systems, EVERYONE, evidence, folder / "projects")
        world.prepare()
        yield world


@pytest.fixture(scope="module")
def complaints(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> list[Complaint]:
    with new_world(sandbox, tmp_path_factory.mktemp("held")) as world:
        return [each for kind in EVERYONE.values() for each in hold(world, kind)]


@every_resource
def test_it_keeps_what_the_contract_promises(complaints: list[Complaint], kind: str, resource: str) -> None:
    wrong = [each.what for each in complaints if (each.kind, each.resource) == (kind, resource)]
    place = f"reconciler/kinds/{kind}, or what is shown of it in tests/kinds/{kind}/evidence"
    assert not wrong, "\n- ".join([f"{resource} breaks the contract. To be mended in {place}:", *wrong])


def test_every_broken_twin_is_found_out(sandbox: Sandbox, tmp_path: Path) -> None:
    with new_world(sandbox, tmp_path) as world:
        verdicts = [each for kind in EVERYONE.values() for each in break_all(world, kind)]
    wrong = [str(verdict) for verdict in verdicts if not verdict.right]
    assert not wrong, f"{len(wrong)} of {len(verdicts)} were misjudged:\n" + "\n".join(wrong)
    broken = Counter((each.kind, each.resource) for each in verdicts if each.broken)
    assert all(broken[each] >= LEAST for each in RESOURCES)
