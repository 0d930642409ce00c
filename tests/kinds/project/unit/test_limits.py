"""What the operator does not allow is refused with the place in the file, and what to write instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from reconciler.engine.item_file import InvalidFiles, parse
from reconciler.kinds import KINDS
from reconciler.kinds.project.limits import repository_refused
from reconciler.settings.giving import Sections

FILE = b"""\
repoOwner: acme
repoName: widgets
resourceLimits:
  memoryLimit: 16Gi
litellm:
  maxBudget: 300
  defaultModel: opus
"""
EVERYTHING = {"repositories": ["*/*"]}


def said(settings: Mapping[str, Any], content: bytes = FILE, **sections: Any) -> list[str]:
    try:
        parse("projects/a.yaml", content, KINDS, sections=Sections({"projects": settings, **sections}, {}))
    except InvalidFiles as errors:
        return [f"{each.line}: {each.message}" for each in errors.found]
    return []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["2: no repository may be onboarded, since projects.repositories names none"]),
        ({"repositories": ["acme/*"]}, []),
        ({"repositories": ["ACME/W*"]}, []),
        (
            {"repositories": ["acme/gears"]},
            ["2: acme/widgets is not among the repositories that may be onboarded"],
        ),
        ({**EVERYTHING, "maxMemory": "16Gi", "maxBudget": 300, "models": ["opus"]}, []),
        (
            {**EVERYTHING, "maxMemory": "12Gi"},
            ["4: resourceLimits.memoryLimit: 16Gi is more than projects may have, 12Gi"],
        ),
        (
            {**EVERYTHING, "maxStorage": "10Gi"},
            ["3: resourceLimits.storageWorktrees: 20Gi is more than projects may have, 10Gi"],
        ),
        (
            {**EVERYTHING, "maxCpu": "2000m"},
            ["3: resourceLimits.cpuLimit: 4 is more than projects may have, 2000m"],
        ),
        (
            {**EVERYTHING, "maxBudget": 100},
            ["6: litellm.maxBudget: 300 is more than projects may have, 100 US dollars a month"],
        ),
        (
            {**EVERYTHING, "models": ["sonnet", "haiku"]},
            ["7: litellm.defaultModel: opus is not among the models that projects may have"],
        ),
    ],
)
def test_what_is_not_allowed_is_named_with_its_place(settings: dict[str, Any], expected: list[str]) -> None:
    assert said(settings) == expected


def test_no_budget_at_all_is_more_than_any() -> None:
    bare = b"repoOwner: acme\nrepoName: widgets\n"
    settings = {**EVERYTHING, "maxBudget": 100}
    assert said(settings, bare) == [
        "0: litellm.maxBudget: no limit is more than projects may have, 100 US dollars a month"
    ]
    assert said(settings, bare, litellm={"maxBudget": 50}) == []
    assert said(settings, bare + b"skipLiteLLM: true\n") == []


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/acme/widgets.git",
        "https://github.com/Acme/Widgets",
        "https://x@github.com/acme/widgets/",
        "git@github.com:acme/widgets.git",
        "ssh://git@github.com/acme/widgets.git",
        "ssh://git@ssh.github.com:443/acme/widgets.git",
    ],
)
@pytest.mark.parametrize("section", ["config", "manifests"])
def test_the_reconcilers_own_repositories_are_never_onboarded(section: str, address: str) -> None:
    sections = Sections({"projects": EVERYTHING, section: {"repository": address}}, {})
    refused = repository_refused(sections, "acme/widgets")
    assert refused is not None
    assert f"section {section}" in refused[0]
    assert repository_refused(sections, "acme/widgets2") is None


def test_a_repository_of_another_server_may_have_that_name() -> None:
    config = {"repository": "https://git.example/acme/widgets.git"}
    sections = Sections({"projects": EVERYTHING, "config": config}, {})
    assert repository_refused(sections, "acme/widgets") is None
    enterprise = Sections(
        {"projects": EVERYTHING, "config": config, "github": {"apiUrl": "https://git.example/api/v3"}}, {}
    )
    assert repository_refused(enterprise, "acme/widgets") is not None
