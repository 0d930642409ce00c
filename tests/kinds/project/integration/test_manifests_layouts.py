"""What is deployed is what the tree builds, however people have arranged it; kubectl says what it builds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from reconciler.git.inclusion import Naming
from reconciler.model.decision import Needed, Settled
from tests.kinds.project.support.house import FOLDER, House
from tests.support.kubectl import kubectl, kustomize

LAYOUTS: list[dict[str, Any]] = YAML(typ="safe").load(Path(__file__).parents[1] / "layouts" / "built.yaml")
BASE = "k8s/base"


@pytest.fixture(params=["kubectl", "builtin"])
def house(tmp_path: Path, request: pytest.FixtureRequest) -> House:
    house = House(tmp_path)
    house.apply()
    house.kustomize = str(kubectl()) if request.param == "kubectl" else "builtin"
    return house


def arrange(house: House, layout: dict[str, Any]) -> None:
    """Commit what the layout says; `move` are folders, by where they were."""
    snapshot = {entry.path: entry for entry in house.snapshot().files()}
    moved: dict[str, str] = {}
    gone: list[str] = []
    for old, new in layout.get("move", {}).items():
        for path, entry in snapshot.items():
            if path.startswith(f"{old}/"):
                moved[new + path.removeprefix(old)] = house.snapshot().content(entry.id).decode()
                gone.append(path)
    links = layout.get("links", {})
    gone += [*layout.get("gone", ()), *(path for path in links if path in snapshot)]
    house.change({**moved, **layout.get("files", {})}, links, gone)


def workloads(house: House, folder: Path) -> set[str]:
    documents = YAML(typ="safe", pure=True).load_all(kustomize(house.checkout(folder)))
    return {each["metadata"]["name"] for each in documents if each["kind"] == "StatefulSet"}


def assert_names_what_is_there(house: House, folder: Path) -> None:
    documents = list(YAML(typ="safe", pure=True).load_all(kustomize(house.checkout(folder))))
    there = {each["metadata"]["name"] for each in documents if each["kind"] == "Configuration"}
    pods = [each["spec"]["template"]["metadata"] for each in documents if each["kind"] == "StatefulSet"]
    assert pods
    assert {pod["annotations"]["dapr.io/config"] for pod in pods} <= there


@pytest.mark.parametrize("layout", LAYOUTS, ids=[layout["about"] for layout in LAYOUTS])
def test_what_the_tree_builds_is_there_and_the_next_goes_beside_it(
    house: House, layout: dict[str, Any], tmp_path: Path
) -> None:
    arrange(house, layout)
    assert workloads(house, tmp_path / "before") == {layout["workload"]}
    naming = house.tree().naming(BASE, FOLDER)
    assert naming is not None
    assert naming.named("env-acme-widgets") == layout["workload"]
    if naming != Naming():
        # The StatefulSet names an object by an annotation, which kustomize leaves as it is.
        decision = house.apply()
        assert isinstance(decision, Needed)
        assert "(statefulset.yaml)" in decision.change.summary
    assert isinstance(house.plan(), Settled)
    assert_names_what_is_there(house, tmp_path / "named")

    head = house.snapshot().commit
    house.name = "gears"
    house.apply()
    ((file, line),) = layout["listed"].items()
    changed = house.read(file)
    assert changed is not None
    assert line in changed.decode()
    assert isinstance(house.plan(), Settled)
    after = workloads(house, tmp_path / "after")
    assert layout["workload"] in after
    assert len(after) == 2
    untouched = {entry.path: entry.id for entry in house.snapshot().at(head).files() if entry.path != file}
    assert untouched.items() <= {entry.path: entry.id for entry in house.snapshot().files()}.items()

    house.name = "widgets"
    assert isinstance(house.plan(), Settled)
    changed_file = house.apply(displayName="New name")
    assert isinstance(changed_file, Needed)
    assert isinstance(house.plan(displayName="New name"), Settled)
    assert workloads(house, tmp_path / "changed") == after


BROKEN: dict[str, dict[str, Any]] = {
    "a link out of the folder": {
        "files": {"k8s/common/all.yaml": "resources:\n- ../base/envs/acme-widgets\n"},
        "links": {"k8s/base/kustomization.yaml": "../common/all.yaml"},
    },
    "a link to nowhere": {"links": {"k8s/base/kustomization.yaml": "nowhere.yaml"}},
    "a link in a circle": {"links": {"k8s/base/kustomization.yaml": "kustomization.yaml"}},
    "a link out of the repository": {"links": {"k8s/base/kustomization.yaml": "/etc/hostname"}},
    "none at all": {"gone": ["k8s/base/kustomization.yaml"]},
    "no YAML": {"files": {"k8s/base/kustomization.yaml": "resources: [\n"}},
    "two of them": {"files": {"k8s/base/Kustomization": "resources: []\n"}},
    "no YAML further down": {
        "files": {
            "k8s/base/kustomization.yaml": "resources: [all]\n",
            "k8s/base/all/kustomization.yaml": "resources: [\n",
        }
    },
    "an alias for a list": {
        "files": {"k8s/base/kustomization.yaml": "x: &x [envs/acme-widgets]\nresources: *x\n"}
    },
}


@pytest.mark.parametrize("arranged", BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_edited_unsettles_nobody_and_no_remedy_takes_anything_away(
    house: House, arranged: dict[str, Any]
) -> None:
    arrange(house, arranged)
    assert isinstance(house.plan(), Settled)
    before = house.snapshot().root
    house.name = "gears"
    refused = house.refusal()
    assert refused.reason
    assert refused.remedy
    assert "remove it" not in refused.remedy
    assert house.snapshot().root == before
