"""Runs every data file of tests/kinds/*/cases: given this item and this observation, expect this decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from reconciler.kinds import KINDS
from reconciler.model.decision import Decision, Failed, Needed, Settled, Skipped, Waiting
from reconciler.settings.giving import Sections
from tests.support.cases import CASES, files, kind_of, load, seen_of, target_of

TEXTS = {"reason", "todo", "summary", "remedy", "note"}


def assert_subset(expected: Any, actual: Any, where: str) -> None:
    if isinstance(expected, Mapping):
        assert isinstance(actual, Mapping), f"{where}: {actual!r} is no mapping"
        for key, value in expected.items():
            assert key in actual, f"{where}.{key} is missing from {dict(actual)!r}"
            assert_subset(value, actual[key], f"{where}.{key}")
    elif isinstance(expected, Sequence) and not isinstance(expected, str):
        assert list(actual) == list(expected), f"{where}: {actual!r} is not {expected!r}"
    elif isinstance(expected, str) and where.rsplit(".", 1)[-1] in TEXTS:
        assert expected.lower() in str(actual).lower(), f"{where}: {actual!r} does not say {expected!r}"
    elif where.endswith(".awaits"):
        assert actual["status"] == expected, f"{where}: {actual!r} is not {expected!r}"
    elif isinstance(expected, str):
        assert str(actual) == expected, f"{where}: {actual!r} is not {expected!r}"
    else:
        assert actual == expected, f"{where}: {actual!r} is not {expected!r}"


def check(expected: Mapping[str, Any], decision: Decision) -> None:
    forms = {"settled": Settled, "needed": Needed, "waiting": Waiting, "skipped": Skipped, "failed": Failed}
    named = forms.keys() & expected.keys()
    assert len(named) == 1, f"`expect` has {sorted(named)}, and needs exactly one of {sorted(forms)}"
    (name,) = named
    assert isinstance(decision, forms[name]), decision
    wanted = expected[name]
    if isinstance(decision, Skipped | Failed):
        assert wanted.lower() in decision.reason.lower() + " " + getattr(decision, "remedy", "").lower(), (
            decision
        )
        rest = {key: value for key, value in expected.items() if key != name}
        assert_subset(rest, asdict(decision), name)
        return
    given = asdict(decision)
    if isinstance(decision, Needed):
        given = {**asdict(decision.change), "outputs": given["outputs"]}
    for key, value in (wanted or {}).items():
        assert_subset(value, given[key], f"{name}.{key}")


@pytest.mark.parametrize(
    "path", files(), ids=lambda path: f"{path.parents[2].name}/{path.parent.name}/{path.stem}"
)
def test_case(path: Path) -> None:
    case, kind = load(path), kind_of(path)
    made = next(each for each in kind.resources if each.name == path.parent.name)
    resource = made(Sections(case.get("settings", {}), {}))
    target = target_of(case, kind)
    decision = resource.unwanted(target) or resource.plan(
        target, seen_of(case, resource), case.get("outputs", {})
    )
    check(case["expect"], decision)


def test_every_resource_of_every_kind_that_ships_has_cases() -> None:
    without = [
        f"tests/kinds/{kind.name}/cases/{resource.name}"
        for kind in KINDS.values()
        for resource in kind.resources
        if len(list((CASES / kind.name / "cases" / resource.name).glob("*.yaml"))) < 3
    ]
    assert not without, f"fewer than three cases in {without}"
