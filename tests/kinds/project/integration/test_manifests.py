"""The manifests resource on a real git repository: what is pushed, what is refused, what stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.engine.repositories import Repositories
from reconciler.model.decision import Action, Failed, Needed, Settled
from tests.kinds.project.support.house import FOLDER, OUTPUTS, House
from tests.support.argocd import BASE
from tests.support.kubectl import kustomize


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_after_a_push_nothing_is_left_to_do_and_the_tree_builds(house: House, tmp_path: Path) -> None:
    decision = house.apply()
    assert isinstance(decision, Needed)
    assert decision.change.action is Action.CREATE
    settled = house.plan()
    assert settled == Settled(decision.outputs)
    assert house.read("k8s/base/kustomization.yaml") == (BASE + "  - envs/acme-widgets\n").encode()
    built = kustomize(house.checkout(tmp_path / "out"))
    assert built.count("kind: StatefulSet") == 1
    assert "kind: Deployment" in built


def test_killed_before_the_push_the_next_pass_makes_the_same(house: House) -> None:
    first = house.apply(push=False)
    assert house.files() == {}
    assert house.apply() == first
    assert isinstance(house.plan(), Settled)


def test_a_lost_line_is_written_again_and_nothing_else(house: House) -> None:
    house.apply()
    before = house.files()
    house.git.head = Repositories(house.sections()).manifests.fetch().commit
    house.git.commit({"k8s/base/kustomization.yaml": BASE})
    decision = house.apply()
    assert isinstance(decision, Needed)
    assert decision.change.before == {"files": {}, "listed": False}
    assert house.files() == before
    assert isinstance(house.plan(), Settled)


def test_what_people_change_in_the_folder_is_put_right(house: House) -> None:
    house.apply()
    before = house.files()
    house.put(**{"service.yaml": "kind: Service\n"})
    decision = house.apply()
    assert isinstance(decision, Needed)
    assert decision.change.action is Action.UPDATE
    assert "service.yaml" in decision.change.summary
    assert house.files() == before


def test_a_folder_of_others_survives_until_told_otherwise(house: House) -> None:
    house.put(**{"kustomization.yaml": "resources: []\n", "statefulset.yaml": "# by hand\n"})
    refused = house.plan()
    assert isinstance(refused, Failed)
    assert refused.conflict
    assert "adopt: true" in refused.remedy
    adopted = house.apply(adopt=True)
    assert isinstance(adopted, Needed)
    assert adopted.change.action is Action.ADOPT
    assert isinstance(house.plan(), Settled)


@pytest.mark.parametrize("name", ["notes.md", "patches/memory.yaml"])
def test_what_people_add_to_the_folder_is_never_removed(house: House, name: str) -> None:
    house.apply()
    house.put(**{name: "mine\n"})
    for fields in ({}, {"adopt": True}, {"displayName": "new"}):
        refused = house.plan(**fields)
        assert isinstance(refused, Failed)
        assert refused.conflict
    assert house.read(f"{FOLDER}/{name}") == b"mine\n"


def test_a_secret_made_anew_reaches_the_cluster_by_git(house: House) -> None:
    house.pods = {"gatewayUrl": "http://litellm.litellm"}
    house.apply(skipAuth=True)
    rotated = {**OUTPUTS, "llm-key": {"version": "2 of 2027"}}
    decision = house.apply(rotated, skipAuth=True)
    assert isinstance(decision, Needed)
    assert "external-secret.yaml, statefulset.yaml" in decision.change.summary
    assert b"llm-key 2 of 2027" in house.files()["external-secret.yaml"]
    assert isinstance(house.plan(rotated, skipAuth=True), Settled)


def test_a_file_of_ours_that_is_not_wanted_any_more_goes(house: House) -> None:
    house.apply()
    assert "known-hosts.yaml" in house.files()
    house.apply({key: value for key, value in OUTPUTS.items() if key != "git-access"})
    assert not {"known-hosts.yaml", "external-secret.yaml"} & house.files().keys()


def test_storage_grows_with_a_word_about_it(house: House) -> None:
    house.apply()
    decision = house.apply(resourceLimits={"storageWorktrees": "40Gi"})
    assert isinstance(decision, Needed)
    assert "grows from 20Gi to 40Gi" in decision.change.summary
    assert b'storage: "40Gi"' in house.files()["pvc.yaml"]


def test_storage_never_shrinks_and_nothing_is_committed(house: House) -> None:
    house.apply()
    before = house.files()
    refused = house.plan(resourceLimits={"storageWorktrees": "10Gi", "memoryLimit": "16Gi"})
    assert isinstance(refused, Failed)
    assert "env-acme-widgets.7.worktrees has 20Gi" in refused.reason
    assert house.files() == before
    assert isinstance(house.plan(resourceLimits={"storageWorktrees": "20480Mi"}), Needed), (
        "as much, said otherwise"
    )


def test_a_claim_keeps_its_storage_class_whatever_the_setting_says_later(house: House) -> None:
    house.apply()
    house.pods = {"storageClass": "fast"}
    assert isinstance(house.plan(), Settled)


def test_a_new_claim_gets_the_storage_class_of_the_settings(house: House) -> None:
    house.pods = {"storageClass": "fast"}
    house.apply()
    house.pods = {}
    assert isinstance(house.plan(), Settled)
    assert b'storageClassName: "fast"' in house.files()["pvc.yaml"]


@pytest.mark.parametrize("text", ["a: [", "- 1\n", "spec: 1\n", "kind: PersistentVolumeClaim\n", "20Gi"])
def test_claims_that_cannot_be_read_stop_this_project_with_a_remedy(house: House, text: str) -> None:
    house.apply()
    house.put(**{"pvc.yaml": text})
    refused = house.plan()
    assert isinstance(refused, Failed)
    assert "pvc.yaml" in refused.reason
    assert refused.remedy


def test_claims_of_an_odd_amount_stop_this_project(house: House) -> None:
    house.apply()
    house.put(**{"pvc.yaml": house.files()["pvc.yaml"].decode().replace("20Gi", "lots")})
    assert isinstance(house.plan(), Failed)
