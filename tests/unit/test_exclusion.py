"""Folders leave what a build includes: each by itself, and only by the lines that name it."""

from __future__ import annotations

import pytest

from reconciler.git.exclusion import exclude
from reconciler.git.tree import EMPTY_TREE, Draft, Memory
from reconciler.model.errors import InvalidFile

BASE = "k8s/base/kustomization.yaml"
ENVS = ("k8s/base/envs/a", "k8s/base/envs/b", "k8s/base/envs/c")


@pytest.fixture
def draft() -> Draft:
    made = Draft(Memory(), EMPTY_TREE)
    for env in ENVS:
        made.put(f"{env}/kustomization.yaml", b"resources: []\n")
    return made


def content(draft: Draft) -> str:
    return (draft.read(BASE) or b"").decode()


def test_a_folder_is_taken_out_wherever_it_is_listed(draft: Draft) -> None:
    draft.put(BASE, b"resources:\n- envs/a\n- envs/b\nbases:\n- ./envs/c/\n")
    assert exclude(draft, "k8s/base", ENVS[1:]) == {ENVS[1]: True, ENVS[2]: True}
    assert content(draft) == "resources:\n- envs/a\nbases: []\n"
    assert exclude(draft, "k8s/base", ENVS[1:]) == {ENVS[1]: False, ENVS[2]: False}


def test_one_line_that_only_people_can_take_out_holds_up_no_other(draft: Draft) -> None:
    draft.put(BASE, b"resources:\n- envs/a\n-\n  envs/b\n- envs/c\n")
    answers = exclude(draft, "k8s/base", ENVS)
    assert content(draft) == "resources:\n-\n  envs/b\n"
    assert (answers[ENVS[0]], answers[ENVS[2]]) == (True, True)
    stuck = answers[ENVS[1]]
    assert isinstance(stuck, InvalidFile)
    assert (stuck.path, stuck.line) == (BASE, 4)
    assert stuck.remedy
