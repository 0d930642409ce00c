"""Runs every data file of tests/kinds/*/cases: given this item and this observation, expect this decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.engine.contract import Resource, Target
from reconciler.engine.kind import Kind
from reconciler.kinds import KINDS
from reconciler.model.decision import Decision, Failed, Needed, Settled, Skipped, Waiting
from reconciler.model.item import Identity, Item, Source
from reconciler.model.observation import Absent, Known, Remembered, Seen
from reconciler.settings.giving import Sections
from tests.kinds.everyone import EVERYONE

CASES = Path(__file__).parent.parent / "kinds"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TEXTS = {"reason", "todo", "summary", "remedy", "note"}


class CaseLoader(yaml.CSafeLoader):
    """Reads a case; what it says twice is a mistake, and the parser in Python would take most of a second."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key stands twice\n{node.start_mark}"
        return super().construct_mapping(node, deep)


def files() -> list[Path]:
    return sorted(CASES.glob("*/cases/*/*.yaml"))


def kind_of(path: Path) -> Kind:
    return EVERYONE[path.parents[2].name]


def load(path: Path) -> dict[str, Any]:
    with path.open(encoding="utf-8") as file:  # the file and not its text, so that errors name it
        loaded = yaml.load(file, Loader=CaseLoader)  # noqa: S506 - it is a safe one
    place = path.relative_to(CASES.parent.parent)
    assert isinstance(loaded, dict), f"{place}: a case is a mapping; CONTRIBUTING.md has its format"
    required = {"about", kind_of(path).name, "seen", "expect"}
    optional = {
        "slug", "now", "identity", "remembered", "section", "siblings", "verify", "verified_at", "settings",
        "outputs",
    }  # fmt: skip
    missing, unknown = required - set(loaded), set(loaded) - required - optional
    assert not missing, f"{place}: lacks {sorted(missing)}; CONTRIBUTING.md has the format of cases"
    assert not unknown, f"{place}: unknown keys {sorted(unknown)}; there are {sorted(required | optional)}"
    return loaded


def target_of(case: Mapping[str, Any], kind: Kind) -> Target[Any]:
    spec = kind.spec.model_validate(case[kind.name])
    slug = spec.slug or case.get("slug") or spec.default_slug()
    given = case.get("outputs", {}).get(kind.proof.resource, {}) if kind.proof else {}
    return Target(
        item=Item(slug, kind.name, spec, Source(f"projects/{slug}.yaml", "0" * 40)),
        now=case.get("now", NOW),
        identity=Identity(**case["identity"]) if "identity" in case else None,
        remembered=case.get("remembered", {}),
        section=case.get("section", {}),
        proof=str(given[kind.proof.output]) if kind.proof and kind.proof.output in given else "",
        verify=case.get("verify", True),
        verified_at=case.get("verified_at"),
        siblings=case.get("siblings", {}),
    )


def seen_of(case: Mapping[str, Any], resource: Resource[Any, Any]) -> Seen[Any]:
    seen = case["seen"]
    if seen == "absent":
        return Absent()
    assert seen.keys() in ({"known"}, {"remembered"}), f"`seen` is absent, known: or remembered:, not {seen}"
    ((form, fields),) = seen.items()
    state = resource.state.model_validate(fields)
    return Known(state) if form == "known" else Remembered(state, case.get("verified_at"))


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
