"""Every kind shows the evidence that the contract suite takes; what lacks something is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.engine.item_file import parse
from reconciler.engine.kind import Kind
from tests.kinds.everyone import EVERYONE
from tests.support.contract.judge import lacking
from tests.support.evidence import Evidence, Made, MakesNothing, Neighbour, Shown, evidence_of

RESOURCES = [(kind, resource.name) for kind in EVERYONE.values() for resource in kind.resources]
every_kind = pytest.mark.parametrize("kind", EVERYONE.values(), ids=lambda kind: kind.name)
every_resource = pytest.mark.parametrize(
    ("kind", "resource"), RESOURCES, ids=[f"{kind.name}-{name}" for kind, name in RESOURCES]
)


def shown(kind: Kind) -> Evidence:
    evidence = evidence_of(kind)
    assert evidence is not None
    return evidence


def said(kind: Kind, evidence: Evidence | None) -> list[str]:
    return [str(complaint) for complaint in lacking(kind, evidence)]


def changed(kind: Kind, resource: str, becomes: Shown) -> Evidence:
    whole = shown(kind)
    return replace(whole, resources={**whole.resources, resource: becomes})


@every_kind
def test_it_shows_all_the_evidence(kind: Kind) -> None:
    assert said(kind, evidence_of(kind)) == []


@every_kind
def test_its_sample_asks_for_the_item_that_it_says(kind: Kind) -> None:
    item = parse("projects/some.yaml", shown(kind).sample("gear1").encode(), EVERYONE, blob="0" * 40)
    assert (item.kind, item.slug) == (kind.name, shown(kind).slug("gear1"))


@every_resource
def test_one_without_evidence_is_named(kind: Kind, resource: str) -> None:
    whole = shown(kind)
    others = {name: each for name, each in whole.resources.items() if name != resource}
    assert said(kind, replace(whole, resources=others)) == [
        f"{kind.name}: {resource} shows no evidence: tests/kinds/{kind.name}/evidence has nothing of it"
    ]


@every_resource
def test_one_without_an_inventory_is_named(kind: Kind, resource: str) -> None:
    whole = shown(kind).resources[resource]
    nothing = MakesNothing("") if isinstance(whole.made, MakesNothing) else Made({}, lambda _: {}, {})
    (complaint,) = said(kind, changed(kind, resource, replace(whole, made=nothing)))
    assert complaint.startswith(
        f"{kind.name}: {resource} shows in tests/kinds/{kind.name}/evidence no inventory"
    )


@every_resource
def test_one_with_nothing_foreign_in_its_way_says_why(kind: Kind, resource: str) -> None:
    whole = shown(kind).resources[resource]
    neighbour = Neighbour("", whole.foreign.plant, whole.more)
    (complaint,) = said(kind, changed(kind, resource, replace(whole, foreign=neighbour)))
    assert complaint.startswith(
        f"{kind.name}: {resource} shows in tests/kinds/{kind.name}/evidence no reason"
    )


def test_a_kind_without_evidence_is_named() -> None:
    kind = replace(EVERYONE["lamp"], name="hat")
    assert said(kind, evidence_of(kind)) == [
        f"hat: {resource.name} shows no evidence: there is no tests/kinds/hat/evidence"
        for resource in kind.resources
    ]


def test_what_is_no_resource_is_named() -> None:
    kind = EVERYONE["lamp"]
    (complaint,) = said(kind, changed(kind, "shadow", shown(kind).resources["glow"]))
    assert complaint == "lamp: shadow shows evidence, and is no resource"
