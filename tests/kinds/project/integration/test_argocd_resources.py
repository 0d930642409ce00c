"""`sync` and `pod-health` over a real git repository and the emulated Argo CD, pass by pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from reconciler.clients.argocd import ArgoCD, ArgoCDWriter
from reconciler.engine.contract import Target
from reconciler.git.locations import Location
from reconciler.git.manifest_tree import ManifestTree
from reconciler.git.repository import Repository
from reconciler.kinds.project.resources.pod_health import PodHealth
from reconciler.kinds.project.resources.sync import Sync
from reconciler.kinds.project.waits import SYNC
from reconciler.model.decision import Failed, Settled, Waiting
from reconciler.model.errors import ConfigurationError, Denied, Missing, NotConfigured, Rejected, Unavailable
from reconciler.model.observation import Known
from reconciler.settings.giving import Sections, Writing
from tests.kinds.project.support.argo_passes import Passes, project
from tests.support.argocd import TOKEN, Argo, Manifests, emulated, environment
from tests.support.serve import serve


@pytest.fixture
def manifests(tmp_path: Path) -> Manifests:
    return Manifests(tmp_path / "manifests.git")


@pytest.fixture
def argo(manifests: Manifests) -> Iterator[Argo]:
    with emulated(manifests.path) as running:
        yield running


@pytest.fixture
def passes(argo: Argo, manifests: Manifests, tmp_path: Path) -> Passes:
    return Passes(argo, manifests, tmp_path / "clones")


def test_a_project_goes_all_the_way(passes: Passes) -> None:
    passes.manifests.add("acme-widgets")
    first = passes.one(Sync, "acme-widgets")
    assert isinstance(first, Waiting)
    assert first.awaits is SYNC
    assert passes.argo.writes == 1
    assert passes.until_settled(Sync, "acme-widgets") == Settled(
        {"synced": passes.manifests.tree("acme-widgets")}
    )
    building = passes.one(PodHealth, "acme-widgets")
    assert isinstance(building, Waiting)
    ready = passes.until_settled(PodHealth, "acme-widgets")
    assert isinstance(ready, Settled)
    assert ready.outputs["pod"] == "env-acme-widgets-0"
    seconds = ready.outputs["firstBuildSeconds"]
    assert isinstance(seconds, int)
    assert 5 <= seconds <= 20
    assert passes.argo.writes == 1, "one refresh, and Argo CD does the rest by itself"


def test_a_sync_is_never_settled_on_the_old_revision(passes: Passes) -> None:
    """With polls stopped and everything green, the new content is still not there."""
    passes.argo.order("set", paused=True)
    passes.manifests.add("acme-widgets")
    passes.one(Sync, "acme-widgets")
    passes.manifests.write(environment("acme-widgets", image="builder:2"), "acme-widgets")
    passes.argo.wait(100.0)
    passes.remembered["sync", "acme-widgets"] = {"refreshed": passes.manifests.tree("acme-widgets")}
    for _ in range(3):
        decision = passes.one(Sync, "acme-widgets")
        assert isinstance(decision, Waiting)
        assert "has not looked at the commit" in decision.reason
        passes.argo.wait(60.0)


def test_a_settled_project_stays_settled_when_others_commit(passes: Passes) -> None:
    passes.manifests.add("acme-widgets")
    settled = passes.until_settled(Sync, "acme-widgets")
    asked = passes.argo.writes
    passes.manifests.add("acme-gadgets")
    for _ in range(30):
        assert passes.one(Sync, "acme-widgets") == settled, "whatever Argo CD is doing for the other one"
        passes.argo.wait(0.9)
    passes.manifests.write(environment("acme-gadgets", label="a/b"), "acme-gadgets")
    passes.argo.deploy()
    assert passes.one(Sync, "acme-widgets") == settled
    passes.manifests.commit({"k8s/base/orchestrator.yaml": "not: [yaml\n"})
    passes.argo.deploy()
    kept = passes.one(Sync, "acme-widgets")
    assert isinstance(kept, Settled)
    assert kept.outputs == settled.outputs if isinstance(settled, Settled) else False
    assert passes.argo.writes == asked + 2, "both by the test"


def test_an_unrelated_degraded_object_blocks_nobody(passes: Passes) -> None:
    passes.argo.order("fault", object="Pod/orchestrator", status="Degraded", message="ill")
    passes.argo.order("fault", object="Deployment/orchestrator", status="Degraded", message="ill")
    passes.manifests.add("acme-widgets")
    assert isinstance(passes.until_settled(Sync, "acme-widgets"), Settled)
    assert passes.argo.application()["status"]["health"]["status"] != "Healthy"


def test_a_change_that_the_api_server_forbids_is_told_with_its_remedy(passes: Passes) -> None:
    passes.manifests.add("acme-widgets")
    passes.until_settled(Sync, "acme-widgets")
    passes.manifests.write(environment("acme-widgets", template_storage="9Gi"), "acme-widgets")
    failed = passes.until_settled(Sync, "acme-widgets")
    assert isinstance(failed, Failed)
    assert "updates to statefulset spec" in failed.reason
    assert "cannot change after creation" in failed.remedy
    passes.manifests.write(environment("acme-widgets"), "acme-widgets")
    assert isinstance(passes.until_settled(Sync, "acme-widgets"), Settled)


def test_storage_that_shrinks_is_told_with_its_remedy(passes: Passes) -> None:
    passes.manifests.add("acme-widgets")
    passes.until_settled(Sync, "acme-widgets")
    passes.manifests.write(environment("acme-widgets", storage="1Gi"), "acme-widgets")
    failed = passes.until_settled(Sync, "acme-widgets")
    assert isinstance(failed, Failed)
    assert "cannot shrink" in failed.remedy


def test_a_tree_that_does_not_build_is_told_to_those_who_wait(passes: Passes) -> None:
    passes.manifests.add("acme-widgets")
    passes.manifests.commit({"k8s/base/envs/acme-widgets/kustomization.yaml": "resources: [gone.yaml]\n"})
    failed = passes.until_settled(Sync, "acme-widgets")
    assert isinstance(failed, Failed)
    assert "gone.yaml" in failed.reason


def test_a_manual_application_is_asked_to_sync_our_objects_only(passes: Passes) -> None:
    passes.argo.order("set", automated=False)
    passes.manifests.add("acme-widgets", "acme-gadgets")
    assert isinstance(passes.until_settled(Sync, "acme-widgets"), Settled)
    assert passes.argo.object("StatefulSet", "env-acme-gadgets")["status"] == "OutOfSync"
    assert passes.argo.writes == 2


def test_a_project_whose_name_begins_like_another_is_told_apart(passes: Passes) -> None:
    passes.manifests.add("acme-a", "acme-a-b")
    passes.until_settled(Sync, "acme-a")
    passes.argo.order(
        "fault", object="ExternalSecret/env-acme-a-b", status="Degraded", message="no such path"
    )
    decided = passes.run(Sync, "acme-a", "acme-a-b")
    assert isinstance(decided["acme-a"], Settled)
    assert isinstance(decided["acme-a-b"], Failed)
    assert "no such path" in decided["acme-a-b"].reason


def test_many_new_projects_cost_one_refresh_and_two_reads(passes: Passes) -> None:
    slugs = [f"acme-p{number}" for number in range(20)]
    passes.manifests.add(*slugs)
    before = passes.argo.requests
    passes.run(Sync, *slugs)
    assert passes.argo.writes == 1
    assert passes.argo.requests - before == 2
    passes.argo.wait(60.0)
    before = passes.argo.requests
    with closing(Writing(passes.sections, given={})) as read:
        argo = read.get(ArgoCD)
        for _ in range(3):
            argo.application()
            argo.resource_tree()
    assert passes.argo.requests - before == 2


def test_an_ill_pod_is_told_in_argo_cds_words(passes: Passes) -> None:
    passes.manifests.add("acme-widgets")
    passes.until_settled(Sync, "acme-widgets")
    passes.argo.wait(30.0)
    passes.argo.order(
        "fault",
        object="Pod/env-acme-widgets-0",
        status="Degraded",
        message="Back-off pulling\x1b[31m image https://bob:hunter2@registry/x",
        reason="ImagePullBackOff",
    )
    failed = passes.one(PodHealth, "acme-widgets")
    assert isinstance(failed, Failed)
    assert "ImagePullBackOff: Back-off pulling" in failed.reason
    assert "hunter2" not in failed.reason
    assert "\x1b" not in failed.reason
    passes.argo.order("heal", object="Pod/env-acme-widgets-0")
    assert isinstance(passes.one(PodHealth, "acme-widgets"), Settled)


def test_a_replaced_pod_is_not_ready_before_the_new_one_is(passes: Passes) -> None:
    passes.manifests.add("acme-widgets")
    passes.until_settled(Sync, "acme-widgets")
    passes.until_settled(PodHealth, "acme-widgets")
    passes.manifests.write(environment("acme-widgets", image="builder:2"), "acme-widgets")
    assert isinstance(passes.until_settled(Sync, "acme-widgets"), Settled)
    assert isinstance(passes.one(PodHealth, "acme-widgets"), Waiting)
    assert isinstance(passes.until_settled(PodHealth, "acme-widgets"), Settled)


def test_the_health_url_is_asked_only_when_verification_is_due(
    argo: Argo, manifests: Manifests, tmp_path: Path
) -> None:
    asked: list[str] = []

    def health(request: Request) -> PlainTextResponse:
        asked.append(request.url.path)
        return PlainTextResponse("", 503 if len(asked) == 1 else 200)

    with serve(Starlette(routes=[Route("/{slug}/healthz", health)])) as url:
        passes = Passes(argo, manifests, tmp_path / "clones", healthUrl=f"{url}/{{slug}}/healthz")
        manifests.add("acme-widgets")
        argo.deploy()
        first = passes.one(PodHealth, "acme-widgets")
        assert isinstance(first, Waiting)
        assert "answered 503" in first.reason
        assert isinstance(passes.one(PodHealth, "acme-widgets"), Settled)
        assert isinstance(passes.one(PodHealth, "acme-widgets", verify=False), Settled)
    assert asked == ["/acme-widgets/healthz"] * 2
    gone = passes.one(PodHealth, "acme-widgets")
    assert isinstance(gone, Waiting)
    assert "did not answer" in gone.reason


# -- the client ---------------------------------------------------------------------------------------


@contextmanager
def _client(**settings: Any) -> Iterator[ArgoCDWriter]:
    with closing(Writing(Sections({"argocd": settings}, {}))) as write:
        yield write.get(ArgoCDWriter)


def test_settings_say_what_is_missing() -> None:
    with pytest.raises(NotConfigured, match="ARGOCD_SERVER"), _client():
        pass
    with pytest.raises(ConfigurationError, match="token"), _client(server="argocd.example.org"):
        pass


def test_errors_are_ours_and_hold_no_secret(argo: Argo) -> None:
    with _client(server=argo.url, token="canary-wrong-token") as client, pytest.raises(Denied) as wrong:
        client.application()
    assert "canary" not in str(wrong.value)
    for absent in ({"application": "nothing"}, {"project": "other"}):
        name = next(iter(absent.values()))
        with _client(server=argo.url, token=TOKEN, **absent) as client, pytest.raises(Missing, match=name):
            client.application()
    argo.order("set", deleted=True)
    with _client(server=argo.url, token=TOKEN) as client, pytest.raises(Missing, match="mesh-six"):
        client.resource_tree()


def test_an_operation_in_progress_is_not_an_error(argo: Argo) -> None:
    with _client(server=argo.url, token=TOKEN) as client:
        assert client.sync(client.application().status.resources[:1])
        assert not client.sync(client.application().status.resources[:1])


def test_answers_that_make_no_sense_are_refused() -> None:
    def nonsense(_request: Request) -> PlainTextResponse:
        return PlainTextResponse('{"spec": 7}')

    with (
        serve(Starlette(routes=[Route("/{path:path}", nonsense)])) as url,
        _client(server=url, token=TOKEN) as client,
        pytest.raises(Rejected, match="makes no sense"),
    ):
        client.application()


def test_a_server_that_is_down_is_unavailable() -> None:
    with _client(server="http://127.0.0.1:9", token=TOKEN) as client, pytest.raises(Unavailable):
        client.application()


def test_a_thousand_environments_are_settled_and_one_more_is_noticed(tmp_path: Path) -> None:
    manifests = Manifests(tmp_path / "manifests.git")
    slugs = [f"acme-p{number}" for number in range(1000)]
    manifests.add(*slugs)
    with emulated(manifests.path) as argo:
        passes = Passes(argo, manifests, tmp_path / "clones")
        nodes = argo.tree()["nodes"]
        assert len([node for node in nodes if node["kind"] == "Pod"]) == 1001
        sync, pods = passes.run(Sync, *slugs), passes.run(PodHealth, *slugs)
        assert {type(decision) for decision in (*sync.values(), *pods.values())} == {Settled}
        manifests.add("acme-new")
        argo.refresh()
        assert len([node for node in argo.tree()["nodes"] if node["kind"] == "Pod"]) >= 1001


def test_a_known_observation_is_plain_data(passes: Passes) -> None:
    """What a plan is made from can be written down, as the cases do."""
    passes.manifests.add("acme-widgets")
    passes.argo.deploy()
    target = Target(project("acme-widgets"), datetime.now(UTC))
    tree = ManifestTree(
        Repository(Location(str(passes.manifests.path), passes.manifests.path.parent / "c")).fetch()
    )
    with closing(Writing(passes.sections, given={ManifestTree: lambda: tree})) as read:
        seen = Sync(passes.sections).observe([target], read)["acme-widgets"]
    assert isinstance(seen, Known)
    assert Sync.state.model_validate_json(seen.state.model_dump_json(by_alias=True)) == seen.state
    assert httpx.get(passes.argo.url + "/api/version").status_code == 200
