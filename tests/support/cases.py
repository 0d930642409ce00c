"""The data files of tests/kinds/*/cases: given this item and this observation, expect this decision."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from reconciler.engine.contract import Resource, Target
from reconciler.engine.kind import Kind
from reconciler.model.item import Identity, Item, Source
from reconciler.model.observation import Absent, Known, Remembered, Seen
from tests.kinds.everyone import EVERYONE

CASES = Path(__file__).parents[1] / "kinds"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


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
