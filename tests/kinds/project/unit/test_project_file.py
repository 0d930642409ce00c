"""Project files as people write them, from two lines to hostile ones: what is said, and where."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import fast_yaml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.engine.item_file import InvalidFiles, parse, refuse_clashes
from reconciler.kinds import KINDS
from reconciler.model.errors import InvalidFile
from reconciler.model.item import Item
from reconciler.model.yaml_read import BOUNDS

TWO = "repoOwner: acme\nrepoName: widgets\n"
CASES: dict[str, Any] = fast_yaml.safe_load(
    (Path(__file__).parents[1] / "bad-files" / "fields.yaml").read_text()
)
FIELDS = [
    "repoOwner", "repoName", "kind", "slug", "displayName", "defaultBranch", "resourceLimits", "memoryLimit",
    "cpuRequest", "litellm", "maxBudget", "settings", "suspend", "terminalStreamingRate",
]  # fmt: skip


def faults(content: bytes, path: str = "projects/x.yaml") -> list[InvalidFile]:
    with pytest.raises(InvalidFiles) as raised:
        parse(path, content, KINDS)
    return list(raised.value.found)


def project(text: str, path: str = "projects/x.yaml") -> Item[Any]:
    return parse(path, text.encode(), KINDS)


@pytest.mark.parametrize("name", CASES)
def test_every_fault_is_named_with_its_place_and_remedy(name: str) -> None:
    case = CASES[name]
    found = faults(((TWO if case.get("two") else "") + case["text"]).encode())
    said = [f"{error.line}:{error.column}: {error.message} ({error.remedy})" for error in found]
    for got, wanted in zip(said, case["expect"], strict=True):
        assert wanted in got
    for error in found:
        assert error.remedy
        assert str(error).startswith("projects/x.yaml")
        assert str(error).isprintable()


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"", "is empty"),
        (b"\xff\xfe" + TWO.encode("utf-16-le"), "is not UTF-8"),
        (b"\xfe\xff" + TWO.encode("utf-16-be"), "is not UTF-8"),
        (TWO.encode("utf-16-le"), "U+0000"),
        (b"repoOwner: acme\nrepoName: caf\xe9\n", ":2:14: is not UTF-8"),
        (TWO.encode() + b"displayName: a\x1b[2Jb\n", ":3:15: holds the invisible character U+001B"),
        (TWO.encode() + b"a" * BOUNDS.size, "the most is"),
        (b"a: " + b"[" * 100_000, "levels deep"),
        (b"{" * 100_000, "key that is not plain text"),
        (b'? "' + b"k" * 200_000 + b'"\n: 1\n', "unknown field kkk"),
        (b"slug: " + b"s" * 200_000, "slug: has 200000 characters"),
        (b"kind: " + b"k" * 200_000, "kind kkk"),
        (b"resourceLimits: {memoryLimit: '" + b"9" * 200_000 + b"Gi'}", "amount of bytes"),
        (b"litellm: {maxBudget: " + b"9" * 200_000 + b"}", "digits"),
        (b"a: [" + b"x," * 100_000 + b"]", "values"),
    ],
)  # fmt: skip
def test_no_bytes_are_too_odd_for_a_short_answer(content: bytes, wanted: str) -> None:
    tracemalloc.start()
    try:
        found = faults(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert any(wanted in str(error) for error in found)
    assert all(len(str(error)) < 500 for error in found)
    assert peak < 64 * 2**20


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_raise_nothing_but_our_errors(content: bytes) -> None:
    survives(content)


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.sampled_from(FIELDS)
)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=20), inner, max_size=6)
    ),
    max_leaves=15,
)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.sampled_from(FIELDS), trees, max_size=8).map(
        lambda tree: str(tree).encode("utf-8", "replace")
    )
)
def test_random_values_raise_nothing_but_our_errors(content: bytes) -> None:
    survives(content)


def survives(content: bytes) -> None:
    try:
        parse("projects/x.yaml", content, KINDS)
    except InvalidFiles as errors:
        found = errors.found
    else:
        return
    assert found
    for error in found:
        assert "projects/x.yaml" in str(error)
        assert str(error).isprintable()
        assert len(str(error)) < 500


def test_a_path_that_a_terminal_would_obey_is_escaped() -> None:
    assert str(faults(b"", "projects/\x1b[2J\u202e.yaml")[0]).startswith(r"projects/\x1b[2J\u202e.yaml: ")


def clashes(**files: str) -> tuple[set[str], dict[str, str]]:
    good, errors = refuse_clashes(project(text, f"{name}.yaml") for name, text in files.items())
    return {each.source.path for each in good}, {error.path: str(error) for error in errors}


def test_one_repository_in_two_files_is_refused_in_both_whatever_the_letter_case() -> None:
    good, errors = clashes(
        a="repoOwner: acme\nrepoName: widgets\n",
        b="repoOwner: ACME\nrepoName: Widgets\nslug: other\n",
        c="repoOwner: Acme\nrepoName: WIDGETS\n",
        d="repoOwner: acme\nrepoName: gears\n",
    )
    assert good == {"d.yaml"}
    assert errors["a.yaml"] == (
        "a.yaml: repository acme/widgets is also claimed by b.yaml, c.yaml (keep one of the files)"
    )
    assert set(errors) == {"a.yaml", "b.yaml", "c.yaml"}


def test_a_slug_collision_is_refused_in_both_files_and_asks_for_another_slug() -> None:
    good, errors = clashes(
        a="repoOwner: a\nrepoName: b-c\n", b="repoOwner: a-b\nrepoName: c\n", c="repoOwner: a\nrepoName: d\n"
    )
    assert good == {"c.yaml"}
    assert (
        errors["a.yaml"] == "a.yaml: slug a-b-c is also claimed by b.yaml (give one of them another `slug:`)"
    )
    assert "a.yaml" in errors["b.yaml"]


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        (TWO, "acme-widgets"),
        ("repoOwner: ACME\nrepoName: My_Repo.js\n", "acme-my-repo-js"),
        ("repoOwner: acme\nrepoName: .github\n", "acme-github"),
        (TWO + "slug: other\n", "other"),
        (TWO + "slug:\n", "acme-widgets"),
        ("\ufeff" + TWO.replace("\n", "\r\n"), "acme-widgets"),
        ('{"repoOwner": "acme", "repoName": "widgets"}', "acme-widgets"),
    ],
)
def test_the_slug_follows_from_the_names_unless_it_is_written(text: str, slug: str) -> None:
    assert project(text).slug == slug
