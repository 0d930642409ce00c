"""The Argo CD emulator over a real git repository: as slow, stale and unkind as docs/systems/argocd.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.sandbox.emulators.store import Store
from tests.support.argocd import Argo, Clock, Manifests, emulated, environment


@pytest.fixture
def manifests(tmp_path: Path) -> Manifests:
    return Manifests(tmp_path / "manifests.git")


@pytest.fixture
def argo(manifests: Manifests) -> Iterator[Argo]:
    with emulated(manifests.path) as running:
        yield running


def test_what_is_there_at_the_beginning_counts_as_deployed(argo: Argo, manifests: Manifests) -> None:
    status = argo.application()["status"]
    assert status["sync"] == {
        "status": "Synced",
        "revision": manifests.head,
        "comparedTo": status["sync"]["comparedTo"],
    }
    assert status["health"]["status"] == "Healthy"
    assert {item["name"] for item in status["resources"]} == {"orchestrator", "mesh-six"}


def test_after_a_push_everything_still_looks_fine_for_the_old_revision(
    argo: Argo, manifests: Manifests
) -> None:
    old = manifests.head
    argo.application()
    manifests.add("acme-widgets")
    argo.wait(1.0)
    status = argo.application()["status"]
    assert (status["sync"]["status"], status["sync"]["revision"]) == ("Synced", old)
    assert status["health"]["status"] == "Healthy"


def test_a_poll_brings_the_new_revision_step_by_step(argo: Argo, manifests: Manifests) -> None:
    argo.application()
    manifests.add("acme-widgets")
    argo.application()
    seen: list[tuple[str, str, str, bool]] = []
    for _ in range(90):
        argo.wait(0.3)
        document = argo.application()
        status = document["status"]
        if status["sync"]["revision"] != manifests.head:
            continue
        phase = (status.get("operationState") or {}).get("phase", "")
        step = (status["sync"]["status"], phase, status["health"]["status"], "operation" in document)
        if not seen or seen[-1] != step:
            seen.append(step)
    assert seen == [
        ("OutOfSync", "", "Missing", True),
        ("OutOfSync", "Running", "Missing", True),
        ("Synced", "Running", "Healthy", True),
        ("Synced", "Succeeded", "Healthy", False),
        ("Synced", "Succeeded", "Progressing", False),
        ("Synced", "Succeeded", "Healthy", False),
    ]


def test_health_is_stale_until_the_comparison_after_the_operation(argo: Argo, manifests: Manifests) -> None:
    """A changed environment stays Healthy in the answer while its new pod has not even begun to build."""
    manifests.add("acme-widgets")
    argo.deploy()
    manifests.write(environment("acme-widgets", image="builder:2"), "acme-widgets")
    argo.refresh()
    status: dict[str, Any] = {}
    for _ in range(100):
        argo.wait(0.1)
        status = argo.application()["status"]
        if (status.get("operationState") or {}).get("phase") == "Succeeded":
            break
    assert status["sync"]["status"] == "Synced"
    assert argo.object("StatefulSet", "env-acme-widgets")["health"]["status"] == "Healthy"
    assert argo.node("Pod", "env-acme-widgets-0")["health"]["status"] == "Healthy"
    argo.wait(10.0)
    assert argo.object("StatefulSet", "env-acme-widgets")["health"]["status"] == "Progressing"
    assert argo.node("Pod", "env-acme-widgets-0")["health"]["status"] == "Progressing"


def test_refresh_moves_the_revision_at_once_and_is_a_write(argo: Argo, manifests: Manifests) -> None:
    manifests.add("acme-widgets")
    assert argo.refresh()["status"]["sync"]["revision"] == manifests.head
    assert argo.writes == 1
    argo.application()
    assert argo.writes == 1


def test_a_webhook_refreshes_and_is_json_only(argo: Argo, manifests: Manifests) -> None:
    manifests.add("acme-widgets")
    push = {"ref": "refs/heads/main", "after": manifests.head}
    form = argo.http.post("/api/webhook", data={"payload": "{}"}, headers={"X-GitHub-Event": "push"})
    assert form.status_code == 415
    assert argo.http.post("/api/webhook", json=push, headers={"X-GitHub-Event": "push"}).status_code == 200
    assert argo.application()["status"]["sync"]["revision"] == manifests.head


def test_a_commit_that_changes_nothing_moves_only_the_revision(argo: Argo, manifests: Manifests) -> None:
    manifests.add("acme-widgets")
    argo.deploy()
    finished = argo.application()["status"]["operationState"]["finishedAt"]
    manifests.commit({"README.md": "hello\n"})
    status = argo.refresh()["status"]
    assert (status["sync"]["revision"], status["sync"]["status"]) == (manifests.head, "Synced")
    assert status["operationState"]["finishedAt"] == finished
    assert status["operationState"]["syncResult"]["revision"] != manifests.head


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"k8s/base/kustomization.yaml": "resources: [gone]\n"}, "no such file or directory"),
        ({"k8s/base/kustomization.yaml": "resources: [orchestrator.yaml\n"}, "MalformedYAMLError"),
        ({"k8s/base/kustomization.yaml": "resource: []\n"}, 'unknown field "resource"'),
        ({"k8s/base/orchestrator.yaml": "a: 1\na: 2\n"}, "already defined"),
        (
            {"k8s/base/orchestrator.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: x}\n---\n"
             "apiVersion: v1\nkind: Service\nmetadata: {name: x}\n"},
            "already registered id: Service.v1.[noGrp]/x",
        ),
        ({"k8s/base/kustomization.yaml": "resources: [../base]\n"}, "cycle detected"),
        ({"k8s/base/orchestrator.yaml": "kind: Service\nmetadata: {name: x}\n"}, "apiVersion not set"),
        ({"k8s/base/kustomization.yaml": "resources: [../../README.md]\n"}, "security; file"),
        ({"k8s/base/kustomization.yaml": "resources: [e]\n", "k8s/base/e/x": "\n"}, "unable to find one of"),
        ({"k8s/base/orchestrator.yaml": "[]\n"}, "missing Resource metadata"),
    ],
)  # fmt: skip
def test_a_tree_that_does_not_build_is_overlooked_at_first_and_then_stops_everything(
    argo: Argo, manifests: Manifests, files: dict[str, str], message: str
) -> None:
    old = manifests.head
    manifests.commit({"README.md": "hello\n"} | files)
    assert argo.refresh()["status"]["sync"]["revision"] == old
    argo.wait(20.0)
    status = argo.application()["status"]
    assert status["sync"]["status"] == "Unknown"
    assert status["sync"]["revision"] == "main"
    (condition,) = status["conditions"]
    assert condition["type"] == "ComparisonError"
    assert message in condition["message"]
    assert {item["status"] for item in status["resources"]} == {"Unknown"}
    manifests.undo(old)
    status = argo.refresh()["status"]
    assert (status["sync"]["status"], status["sync"]["revision"]) == ("Synced", manifests.head)
    assert "conditions" not in status


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"service_name": "other"}, "updates to statefulset spec for fields other than 'replicas'"),
        ({"selector": "other"}, "updates to statefulset spec for fields other than 'replicas'"),
        ({"template_storage": "5Gi"}, "updates to statefulset spec for fields other than 'replicas'"),
        ({"storage": "1Gi"}, "field can not be less than status.capacity"),
        ({"label": "acme/widgets"}, "a valid label must be"),
        ({"cluster_ip": ""}, "may not change once set"),
    ],
)
def test_what_the_api_server_refuses_fails_the_operation(
    argo: Argo, manifests: Manifests, change: dict[str, str], message: str
) -> None:
    manifests.add("acme-widgets")
    argo.deploy()
    manifests.write(environment("acme-widgets", **change), "acme-widgets")
    manifests.add("acme-gadgets")
    argo.deploy()
    status = argo.application()["status"]
    assert status["operationState"]["phase"] == "Failed"
    assert message in status["operationState"]["message"]
    assert status["sync"]["status"] == "OutOfSync"
    failed = [
        item for item in status["operationState"]["syncResult"]["resources"] if item["status"] == "SyncFailed"
    ]
    assert message in failed[0]["message"]
    assert argo.object("StatefulSet", "env-acme-gadgets")["status"] == "Synced", "the others are applied"
    argo.wait(60.0)
    again = argo.application()["status"]["operationState"]
    assert again["startedAt"] == status["operationState"]["startedAt"], "the same commit is not tried again"


def test_storage_may_grow(argo: Argo, manifests: Manifests) -> None:
    manifests.add("acme-widgets")
    argo.deploy()
    manifests.write(environment("acme-widgets", storage="50Gi"), "acme-widgets")
    argo.deploy()
    assert argo.application()["status"]["operationState"]["phase"] == "Succeeded"


def test_the_tree_has_what_belongs_to_an_environment(argo: Argo, manifests: Manifests) -> None:
    manifests.add("acme-widgets")
    argo.deploy()
    pod = argo.node("Pod", "env-acme-widgets-0")
    workload = argo.node("StatefulSet", "env-acme-widgets")
    assert pod["parentRefs"][0]["uid"] == workload["uid"]
    assert pod["health"] == {"status": "Healthy"}
    assert {"name": "Containers", "value": "1/1"} in pod["info"]
    kinds = {node["kind"] for node in argo.tree()["nodes"] if "acme-widgets" in node["name"]}
    assert {"PersistentVolumeClaim", "Service", "ExternalSecret", "Secret", "ControllerRevision"} <= kinds


def test_a_removed_environment_is_pruned(argo: Argo, manifests: Manifests) -> None:
    old = manifests.head
    manifests.add("acme-widgets")
    argo.deploy()
    manifests.undo(old)
    argo.deploy()
    assert "env-acme-widgets" not in {node["name"] for node in argo.tree()["nodes"]}


def test_a_missing_application_is_hidden_without_a_project(argo: Argo) -> None:
    get = argo.http.get
    missing = get("/api/v1/applications/nothing")
    assert (missing.status_code, missing.json()["code"]) == (403, 7)
    assert missing.json()["error"] == missing.json()["message"] == "permission denied"
    named = get("/api/v1/applications/nothing", params={"project": "default"})
    assert (named.status_code, named.json()["code"]) == (404, 5)
    assert get("/api/v1/applications/mesh-six", params={"project": "other"}).status_code == 404
    assert get("/api/v1/applications/mesh-six").status_code == 200
    argo.order("set", deleted=True)
    assert get("/api/v1/applications/mesh-six").status_code == 403


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}])
def test_a_wrong_token_is_401(argo: Argo, header: dict[str, str]) -> None:
    answer = httpx.get(f"{argo.url}/api/v1/applications/mesh-six", headers=header)
    assert (answer.status_code, answer.json()["code"]) == (401, 16)


def test_the_content_type_is_compared_letter_by_letter(argo: Argo) -> None:
    exact = "/api/v1/applications/mesh-six/sync"
    charset = argo.http.post(
        exact, content=b"{}", headers={"Content-Type": "application/json; charset=utf-8"}
    )
    assert (charset.status_code, charset.text.strip()) == (415, "Invalid content type")
    assert argo.http.delete("/api/v1/applications/mesh-six/operation").status_code == 415


def test_an_automated_application_refuses_a_commit_and_a_second_operation(
    argo: Argo, manifests: Manifests
) -> None:
    fixed = argo.sync(revision=manifests.head)
    assert fixed.status_code == 400
    assert fixed.json()["message"] == f"Cannot sync to {manifests.head}: auto-sync currently set to main"
    first = argo.sync()
    assert first.status_code == 200
    assert "operation" in first.json()
    assert "operationState" not in first.json()["status"]
    second = argo.sync()
    assert (second.status_code, second.json()["code"]) == (400, 9)
    assert second.json()["message"] == "another operation is already in progress"


def test_an_operation_can_be_ended(argo: Argo) -> None:
    delete = "/api/v1/applications/mesh-six/operation"
    header = {"Content-Type": "application/json"}
    idle = argo.http.delete(delete, headers=header)
    assert (idle.status_code, idle.json()["code"]) == (400, 3)
    argo.sync()
    argo.wait(2.5)
    assert argo.http.delete(delete, headers=header).status_code == 200
    assert argo.application()["status"]["operationState"]["phase"] == "Terminating"
    argo.wait(2.0)
    state = argo.application()["status"]["operationState"]
    assert (state["phase"], state["message"]) == ("Failed", "Operation terminated")


def test_a_manual_application_waits_for_somebody(argo: Argo, manifests: Manifests) -> None:
    argo.order("set", automated=False)
    manifests.add("acme-widgets")
    argo.deploy()
    assert argo.application()["status"]["sync"]["status"] == "OutOfSync"
    chosen = [{"group": "apps", "kind": "StatefulSet", "namespace": "mesh-six", "name": "env-acme-widgets"}]
    assert argo.sync(resources=chosen).status_code == 200
    argo.wait(20.0)
    assert argo.object("StatefulSet", "env-acme-widgets")["status"] == "Synced"
    assert argo.object("Service", "env-acme-widgets")["status"] == "OutOfSync"


def test_it_goes_on_where_it_was_after_a_restart(tmp_path: Path, manifests: Manifests) -> None:
    kept, clock = tmp_path / "argocd.sqlite", Clock()
    store = Store(kept)
    with emulated(manifests.path, store=store, clock=clock) as before:
        manifests.add("acme-widgets")
        before.refresh()
    with emulated(manifests.path, store=Store(kept), clock=clock) as after:
        after.wait(30.0)
        assert after.application()["status"]["operationState"]["phase"] == "Succeeded"
        assert after.node("Pod", "env-acme-widgets-0")["health"]["status"] == "Healthy"


def test_paused_polls_see_nothing(argo: Argo, manifests: Manifests) -> None:
    argo.order("set", paused=True)
    old = manifests.head
    manifests.add("acme-widgets")
    argo.wait(600.0)
    assert argo.application()["status"]["sync"]["revision"] == old


def test_an_ill_pod_is_shown_in_the_tree_and_not_in_the_application(argo: Argo, manifests: Manifests) -> None:
    manifests.add("acme-widgets")
    argo.deploy()
    argo.order(
        "fault",
        object="Pod/env-acme-widgets-0",
        status="Degraded",
        message="back-off",
        reason="CrashLoopBackOff",
    )
    assert argo.node("Pod", "env-acme-widgets-0")["health"] == {"status": "Degraded", "message": "back-off"}
    assert argo.object("StatefulSet", "env-acme-widgets")["health"]["status"] == "Progressing"
    argo.order("heal", object="Pod/env-acme-widgets-0")
    assert argo.application()["status"]["health"]["status"] == "Healthy"
