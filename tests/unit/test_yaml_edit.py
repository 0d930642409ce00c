"""An entry goes into a list that people format by hand, and every other byte stays."""

from __future__ import annotations

import posixpath
from string import ascii_lowercase, digits
from typing import Any

import fast_yaml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.git.yaml_edit import entries, insert_entries
from reconciler.model.errors import InvalidFile

PATH = "k8s/base/kustomization.yaml"


def insert(text: str, *values: str) -> str:
    content, _ = insert_entries(PATH, text.encode(), "resources", values)
    return content.decode()


CASES = {
    "sorted between two": (
        "resources:\n- a.yaml\n- envs/a\n- envs/c\n",
        "resources:\n- a.yaml\n- envs/a\n- envs/b\n- envs/c\n",
    ),
    "indented by two": ("resources:\n  - x\n  - envs/a\n", "resources:\n  - x\n  - envs/a\n  - envs/b\n"),
    "indented by four": ("resources:\n    - envs/c\n", "resources:\n    - envs/b\n    - envs/c\n"),
    "wide dash": ("resources:\n-   envs/a\n", "resources:\n-   envs/a\n-   envs/b\n"),
    "CRLF": (
        "resources:\r\n- envs/a\r\nimages: []\r\n",
        "resources:\r\n- envs/a\r\n- envs/b\r\nimages: []\r\n",
    ),
    "no final newline": ("resources:\n- envs/a", "resources:\n- envs/a\n- envs/b"),
    "double quotes": ('resources:\n- "envs/a"\n', 'resources:\n- "envs/a"\n- "envs/b"\n'),
    "single quotes before": ("resources:\n- 'envs/c'\n", "resources:\n- 'envs/b'\n- 'envs/c'\n"),
    "comment of the next section": (
        "resources:\n- x # the x\n\n# images section\nimages: []\n",
        "resources:\n- x # the x\n- envs/b\n\n# images section\nimages: []\n",
    ),
    "comment of the next entry": (
        "resources:\n- envs/a\n# all about c\n- envs/c\n",
        "resources:\n- envs/a\n- envs/b\n# all about c\n- envs/c\n",
    ),
    "heading of the group": (
        "resources:\n- x\n\n# environments\n- envs/c\n",
        "resources:\n- x\n\n# environments\n- envs/b\n- envs/c\n",
    ),
    "groups of blank lines": (
        "resources:\n- envs/a\n\n- envs/c\n\n- other\n",
        "resources:\n- envs/a\n- envs/b\n\n- envs/c\n\n- other\n",
    ),
    "scattered entries": (
        "resources:\n- envs/c\n- x\n- envs/a\n- y\n",
        "resources:\n- envs/c\n- x\n- envs/a\n- envs/b\n- y\n",
    ),
    "flow list": ("resources: [x, envs/a] # all\n", "resources: [x, envs/a, envs/b] # all\n"),
    "flow list, first": ("resources: [envs/c, x]\n", "resources: [envs/b, envs/c, x]\n"),
    "flow list of lines": (
        "resources: [\n  x, # one\n  y,\n]\n",
        "resources: [\n  x, # one\n  y, envs/b,\n]\n",
    ),
    "empty flow list": ("resources: [] # none yet\nkind: K\n", "resources: # none yet\n- envs/b\nkind: K\n"),
    "empty flow list at the end": ("resources: []", "resources:\n- envs/b"),
    "empty flow list in braces": ("{kind: K, resources: []}\n", "{kind: K, resources: [envs/b]}\n"),
    "no value": ("resources:\n  # - envs/old\nkind: K\n", "resources:\n- envs/b\n  # - envs/old\nkind: K\n"),
    "null": ("resources: null\n", "resources:\n- envs/b\n"),
    "no key": ("kind: K\n", "kind: K\nresources:\n- envs/b\n"),
    "no key, other lists indented": (
        "patches:\n  - path: x\n",
        "patches:\n  - path: x\nresources:\n  - envs/b\n",
    ),
    "no key, no final newline": ("kind: K", "kind: K\nresources:\n- envs/b\n"),
    "only a comment": ("# ours\n", "# ours\nresources:\n- envs/b\n"),
    "empty file": ("", "resources:\n- envs/b\n"),
    "document start": ("---\nresources:\n- envs/a\n", "---\nresources:\n- envs/a\n- envs/b\n"),
    "document end": ("kind: K\n...\n", "kind: K\nresources:\n- envs/b\n...\n"),
    "entries that are mappings": (
        "resources:\n- x: y\n  z: w\nk: 1\n",
        "resources:\n- x: y\n  z: w\n- envs/b\nk: 1\n",
    ),
    "anchored entry": (
        "resources:\n- &a envs/a\nother: *a\n",
        "resources:\n- &a envs/a\n- envs/b\nother: *a\n",
    ),
    "merge keys elsewhere": (
        "a: &a {x: 1}\nb: {<<: *a}\nresources: [q]\n",
        "a: &a {x: 1}\nb: {<<: *a}\nresources: [q, envs/b]\n",
    ),
    "byte order mark": ("\ufeffresources:\n- envs/a\n", "\ufeffresources:\n- envs/a\n- envs/b\n"),
    "wide characters before": (
        "# 🦀🦀 é\nresources:\n- envs/a\n- z\n",
        "# 🦀🦀 é\nresources:\n- envs/a\n- envs/b\n- z\n",
    ),
    "folded entry": (
        "resources:\n- >-\n  envs/a\n\nk: 1\n",
        "resources:\n- >-\n  envs/a\n- envs/b\n\nk: 1\n",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_fewest_bytes_change(name: str) -> None:
    before, after = CASES[name]
    assert insert(before, "envs/b") == after
    assert insert(after, "envs/b") == after


@pytest.mark.parametrize("written", ["envs/b", "./envs/b", "envs/b/", "'envs/b'", "envs//b"])
def test_an_entry_is_known_however_it_is_written(written: str) -> None:
    text = f"resources:\n- {written}\n"
    assert insert(text, "envs/b") == text
    assert entries(PATH, text.encode(), "resources") == {"envs/b"}


REFUSED = {
    "two documents": ("resources: []\n---\nresources: []\n", 2, "more than one document"),
    "an alias": ("a: &a [x]\nresources: *a\n", 2, "not a list written here"),
    "an anchored list": ("resources: &a [x]\nb: *a\n", 1, "anchor"),
    "text": ("resources: envs/a\n", 1, "not a list"),
    "a mapping": ("resources: {a: b}\n", 1, "not a list"),
    "twice": ("resources: []\nkind: K\nresources: []\n", 3, "twice"),
    "no mapping": ("- a\n", 1, "not a mapping"),
    "not YAML": ("resources: [\n", 1, "not YAML"),
    "no key in braces": ("{kind: K}\n", 1, "braces"),
    "not closed at the end": ("kind: K\nresources: [\n  a,\n\n", 3, "not YAML"),
    "a quote that never ends": ("kind: K\nresources:\n- a\n- 'b\n\n", 4, "not YAML"),
    "an empty text for a file": ("# x\n--- ''\n", 0, "something else"),
    "empty, in braces": ("{kind: K,\n resources: }\n", 2, "is empty, and is written in braces"),
    "dashes in one line": ("- - envs/a\n", 1, "not a mapping"),
    "deep": ("kind: K\nx: " + "[" * 100_000 + "\n", 2, "levels deep"),
    "long": ("kind: K\nx: [" + "1," * 100_000 + "]\n", 2, "keys and values"),
    "an entry that keeps blank lines": ("resources:\n- |+\n  envs/a\n\n\nk: 1\n", 2, "something else"),
    "lists in lists": (f"a: {'[' * 300}{']' * 300}\nresources: []\n", 1, "levels deep"),
    "more lists in lists than can be parsed": ("resources: " + "[" * 2_000_000, 1, "levels deep"),
    "an entry with a text that no newline ends": ("resources:\n- x\n- y: |\n    z", 2, "something else"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_edited_says_so(name: str) -> None:
    text, line, message = REFUSED[name]
    with pytest.raises(InvalidFile, match=message) as raised:
        insert(text, "envs/b")
    assert (raised.value.path, raised.value.line) == (PATH, line)
    assert raised.value.remedy


def test_a_thousand_entries_come_in_one_go_and_in_order() -> None:
    values = [f"envs/p{number:04}" for number in range(1000)]
    text = insert("resources:\n- a.yaml\n- envs/p0500\n- z.yaml\n", *reversed(values))
    assert text == "resources:\n- a.yaml\n" + "".join(f"- {value}\n" for value in values) + "- z.yaml\n"


SLUG = st.builds(
    "{}{}".format, st.sampled_from(ascii_lowercase), st.text(f"{ascii_lowercase}{digits}-", max_size=6)
)
OTHER = st.sampled_from(["deployment.yaml", "../common", "./rbac/", "kafka/topic.yaml"])
ENTRY = st.one_of(SLUG.map("envs/{}".format), SLUG.map("./envs/{}/".format), OTHER)
NOISE = st.lists(st.sampled_from(["", "# comment", "  # - envs/off", "   "]), max_size=2)


@st.composite
def kustomizations(draw: st.DrawFn) -> str:
    """Return a file formatted by hand: any indentation, quotes, comments, blank lines, line ends."""
    indent = " " * draw(st.sampled_from([0, 1, 2, 4]))
    dash = "-" + " " * draw(st.integers(1, 3))
    lines = [*draw(NOISE), "kind: Kustomization", *draw(NOISE)]
    lines.append("resources:" + draw(st.sampled_from(["", "  # what we deploy", " "])))
    for entry in draw(st.lists(ENTRY, min_size=1, max_size=8, unique_by=posixpath.normpath)):
        lines += draw(NOISE)
        quote = draw(st.sampled_from(["", "'", '"']))
        lines.append(f"{indent}{dash}{quote}{entry}{quote}" + draw(st.sampled_from(["", " # why", "  "])))
    lines += draw(NOISE)
    if draw(st.booleans()):
        lines += ["images:", "  - name: a", "    newTag: 'on'", *draw(NOISE)]
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    return newline.join(lines) + draw(st.sampled_from(["", newline]))


@given(kustomizations(), st.lists(SLUG.map("envs/{}".format), min_size=1, max_size=4, unique=True))
def test_every_line_stays_and_only_the_list_grows(text: str, values: list[str]) -> None:
    after = insert(text, *values)
    remaining = iter(after.split("\n") if not text.endswith("\n") else after.splitlines())
    for line in text.splitlines():
        assert any(line == each.rstrip("\r") for each in remaining), line
    old, new = _plain(text), _plain(after)
    listed = [posixpath.normpath(entry) for entry in new.pop("resources")]
    known = [posixpath.normpath(entry) for entry in old.pop("resources")]
    assert new == old
    assert [entry for entry in listed if entry in known] == known
    assert sorted(listed) == sorted({*known, *values})
    assert insert(after, *values) == after


def _plain(text: str) -> dict[str, Any]:
    loaded: dict[str, Any] = fast_yaml.safe_load(text)
    return loaded


def test_where_people_have_not_sorted_a_new_entry_stands_before_the_first_greater_one() -> None:
    before = b"resources:\n  - envs/c\n  - envs/a\n  - envs/d\n  - envs/b\n"
    after, _ = insert_entries("k", before, "resources", ["envs/bb", "envs/cc", "envs/aa"])
    names = [line.removeprefix("  - envs/") for line in after.decode().splitlines()[1:]]
    assert names == ["aa", "bb", "c", "a", "cc", "d", "b"]
