"""What the documentation says is what the code does."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from docs import configuration, project_schema
from docs.configuration import SECTIONS
from reconciler.engine.item_file import InvalidFiles, parse
from reconciler.engine.schema import json_schema
from reconciler.git.locations import GitSettings
from reconciler.kinds import KINDS
from reconciler.model.errors import InvalidFile
from reconciler.settings.giving import Settings

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "projects").glob("*.yaml"))
VALIDATOR = jsonschema.Draft202012Validator(json_schema(KINDS))


def sections(kind: type[Settings] = Settings) -> set[type[Settings]]:
    return {kind}.union(*(sections(child) for child in kind.__subclasses__()))


@pytest.mark.parametrize(
    ("name", "page"),
    {"configuration.md": configuration.page, "project.schema.json": project_schema.page}.items(),
)
def test_generated_pages_are_up_to_date(name: str, page: Callable[[], str]) -> None:
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == page(), "run `make docs`"


def test_every_section_is_documented() -> None:
    shipped = {each for each in sections() if each.__module__.startswith("reconciler.")}
    assert set(SECTIONS) == shipped - {Settings, GitSettings}


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.section)
def test_every_setting_says_what_it_means(section: type[Settings]) -> None:
    assert [name for name, field in section.model_fields.items() if not field.description] == []


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema(KINDS))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_is_valid_and_names_the_schema(path: Path) -> None:
    text = path.read_text()
    assert list(VALIDATOR.iter_errors(yaml.safe_load(text))) == []
    modeline = re.match(r"# yaml-language-server: \$schema=(\S+)", text)
    assert modeline
    assert (path.parent / modeline[1]).resolve() == ROOT / "docs" / "project.schema.json"


WRONG: list[dict[str, Any]] = [
    {"repoNam": "x"},
    {"repoOwner": "a/b"},
    {"repoOwner": "-a"},
    {"repoName": "../etc"},
    {"slug": "Widgets"},
    {"slug": "x" * 49},
    {"defaultBranch": "a b"},
    {"resourceLimits": {"memoryLimit": "8 gigabytes"}},
    {"resourceLimits": {"memoryLimit": 8}},
    {"resourceLimits": {"cpuLimit": 4}},
    {"resourceLimits": {"cpuLimit": "4 cores"}},
    {"resourceLimits": {"disk": "4Gi"}},
    {"litellm": {"maxBudget": -1}},
    {"litellm": {"maxBudget": "50"}},
    {"settings": {"cloudflareDomain": "https://x.example"}},
    {"settings": {"terminalStreamingRate": 0}},
    {"skipAuth": "yes"},
    {"kind": "tenant"},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_editors_and_the_reconciler_refuse_the_same(wrong: dict[str, Any]) -> None:
    document = {"repoOwner": "acme", "repoName": "widgets", **wrong}
    assert list(VALIDATOR.iter_errors(document))
    with pytest.raises((InvalidFiles, InvalidFile)):
        parse("projects/x.yaml", yaml.safe_dump(document).encode(), KINDS)


def test_every_field_is_described() -> None:
    def bare(schema: dict[str, Any], place: str) -> list[str]:
        fields = schema.get("properties", {})
        return [f"{place}.{name}" for name, field in fields.items() if not field.get("description")]

    schema = json_schema(KINDS)
    found = bare(schema, "")
    for name, definition in schema["$defs"].items():
        found += bare(definition, name)
    assert found == []


PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md"))),
]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    inside = [link for link in links if "://" not in link]
    assert [link for link in inside if not (path.parent / link).exists()] == []
