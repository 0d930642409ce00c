"""An entry goes out of a list that people format by hand, and every other byte stays."""

from __future__ import annotations

import posixpath

import fast_yaml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.git.yaml_edit import entries, insert_entries
from reconciler.git.yaml_removal import remove_entries
from reconciler.model.errors import InvalidFile
from tests.unit.test_yaml_edit import ENTRY, SLUG, kustomizations

PATH = "k8s/base/kustomization.yaml"


def remove(text: str, *values: str) -> str:
    content, _ = remove_entries(PATH, text.encode(), "resources", values)
    return content.decode()


CASES = {
    "between two": ("resources:\n- a\n- envs/b\n- c\n", "resources:\n- a\n- c\n"),
    "with its own comment": ("resources:\n- a\n- envs/b # why\n- c\n", "resources:\n- a\n- c\n"),
    "the last line without an end": ("resources:\n- a\n- envs/b", "resources:\n- a"),
    "the only one": ("resources: # all\n- envs/b\nkind: K\n", "resources: [] # all\nkind: K\n"),
    "the only one, and the last line": ("resources:\n- envs/b", "resources: []"),
    "written in another way": ("resources:\n  - './envs/b/'\n  - c\n", "resources:\n  - c\n"),
    "CRLF": ("resources:\r\n- envs/b\r\n- c\r\n", "resources:\r\n- c\r\n"),
    "comments of others": (
        "resources:\n# a heading\n- envs/b\n\n# the next\n- c\n",
        "resources:\n# a heading\n\n# the next\n- c\n",
    ),
    "flow list, first": ("resources: [envs/b, c] # x\n", "resources: [c] # x\n"),
    "flow list, last": ("resources: [a, envs/b]\n", "resources: [a]\n"),
    "flow list, only": ("resources: [ envs/b ]\n", "resources: []\n"),
    "byte order mark": ("\ufeffresources:\n- envs/b\n- c\n", "\ufeffresources:\n- c\n"),
    "twice": ("resources:\n- envs/b\n- c\n- ./envs/b\n", "resources:\n- c\n"),
    "folded": ("resources:\n- >-\n  envs/b\n- c\n", "resources:\n- c\n"),
    "an anchor that nobody uses": ("resources:\n- &b envs/b\n- c\n", "resources:\n- c\n"),
    "CRLF, the last line without an end": ("resources:\r\n- a\r\n- envs/b", "resources:\r\n- a"),
    "not there": ("resources:\n- envs/bb\n", "resources:\n- envs/bb\n"),
    "no list": ("kind: K\n", "kind: K\n"),
}


@pytest.mark.parametrize("name", CASES)
def test_its_line_goes_and_no_other_byte(name: str) -> None:
    before, after = CASES[name]
    assert remove(before, "envs/b") == after
    assert remove(after, "envs/b") == after


REFUSED = {
    "a dash on a line of its own": ("resources:\n- a\n-\n  envs/b\n", 4, "cannot be edited where it is"),
    "an anchor that others use": ("resources:\n- a\n- &b envs/b\nother: *b\n", 3, "used elsewhere"),
    "an anchor that another entry uses": ("resources: [&b envs/b, a, *b]\n", 1, "used elsewhere"),
    "an anchored list": ("resources: &a [envs/b]\nb: *a\n", 1, "anchor"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_taken_out_says_so(name: str) -> None:
    text, line, message = REFUSED[name]
    with pytest.raises(InvalidFile, match=message) as raised:
        remove(text, "envs/b")
    assert (raised.value.path, raised.value.line) == (PATH, line)
    assert raised.value.remedy


@given(kustomizations(), st.lists(SLUG.map("envs/{}".format), min_size=1, max_size=4, unique=True))
def test_what_was_put_in_comes_out_and_leaves_the_file_as_it_was(text: str, values: list[str]) -> None:
    content = text.encode()
    new = set(values) - entries(PATH, content, "resources")
    after, _ = insert_entries(PATH, content, "resources", new)
    back, removed = remove_entries(PATH, after, "resources", new)
    assert (back, removed) == (content, new)


@given(kustomizations(), st.lists(ENTRY, min_size=1, max_size=3))
def test_only_what_was_asked_goes(text: str, values: list[str]) -> None:
    wanted = {posixpath.normpath(value) for value in values}
    before, after = fast_yaml.safe_load(text), fast_yaml.safe_load(remove(text, *values))
    left = [entry for entry in before.pop("resources") if posixpath.normpath(entry) not in wanted]
    assert (after.pop("resources"), after) == (left, before)
