"""A second kind in the HTTP API, in MCP and in the metrics, beside projects of the same slugs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import anyio
import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from reconciler.model.item import ItemId
from reconciler.sandbox.supervisor import Sandbox
from tests.kinds.everyone import EVERYONE
from tests.kinds.lamp.kind import LAMP
from tests.kinds.lamp.living import merged, program, status_of
from tests.kinds.lamp.resources import LampManifests
from tests.support.service import Running, service, until


@pytest.fixture(scope="module")
def running(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service over both kinds, with a lamp and a project of one slug."""
    sandbox.clear()
    folder = tmp_path_factory.mktemp("both") / "projects"
    merged(
        sandbox,
        folder,
        gears__yaml="repoOwner: acme\nrepoName: gears\n",
        lamp__yaml="kind: lamp\nroom: acme gears\n",
    )
    with service(sandbox, kinds=EVERYONE) as made:
        until(lambda: item(made, "lamp/acme-gears").get("status") == "waiting_bulb")
        yield made


def item(running: Running, name: str) -> dict[str, Any]:
    return dict(running.call("GET", f"/items/{name}", by="reader").json())


def test_one_slug_may_stand_for_a_thing_of_each_kind(running: Running, sandbox: Sandbox) -> None:
    assert item(running, "lamp/acme-gears")["status"] == "waiting_bulb"
    assert item(running, "project/acme-gears")["kind"] == "project"
    assert status_of(sandbox, ItemId("lamp", "acme-gears"))["identity"]["claim"] == "room acme gears"
    assert status_of(sandbox, ItemId("project", "acme-gears"))["identity"]["claim"] == "repository acme/gears"
    said = program(sandbox, "status", "acme-gears")
    assert said.returncode == 2
    assert "write one of lamp/acme-gears, project/acme-gears" in said.stderr


def test_the_api_lists_all_kinds_and_its_older_routes_only_projects(running: Running) -> None:
    listed = running.call("GET", "/items", by="reader").json()
    names = [f"{each['kind']}/{each['slug']}" for each in listed["items"]]
    asked_for = "lamp/zoo"  # by another test, perhaps
    expected = ["lamp/acme-gears", "lamp/den", "lamp/kitchen", "project/acme-gears"]
    assert [name for name in names if name != asked_for] == expected
    lamps = running.call("GET", "/items?kind=lamp&limit=2", by="reader").json()
    assert (lamps["total"] - (asked_for in names), lamps["next"]) == (3, "lamp/den")
    rest = running.call("GET", "/items?kind=lamp&after=lamp/den", by="reader").json()
    assert next(each["slug"] for each in rest["items"]) == "kitchen"
    runs = running.call("GET", "/onboard", by="reader")
    assert (runs.status_code, [run["id"] for run in runs.json()["runs"]]) == (200, ["acme-gears"])
    assert [each["name"] for each in item(running, "lamp/den")["resources"]] == [
        resource.name for resource in LAMP.resources
    ]


def test_it_can_be_asked_for_and_handed_its_secret_over_the_api(running: Running, sandbox: Sandbox) -> None:
    wrong = running.call("POST", "/items/lamp", json={"room": "zoo", "colour": "red"})
    assert wrong.status_code == 422
    assert running.call("POST", "/items/boat", json={}).status_code == 404
    asked = running.call("POST", "/items/lamp", json={"room": "zoo"})
    assert (asked.status_code, asked.headers["location"]) == (202, "/items/lamp/zoo")
    assert running.call("POST", "/items/lamp", json={"room": "zoo"}).status_code == 200
    assert asked.json()["source"] == "projects/lamp/zoo.yaml"
    until(lambda: item(running, "lamp/zoo").get("status") == "waiting_bulb")
    given = running.call("POST", "/items/lamp/zoo/secret", by="courier", json={"watts": 5})
    assert given.status_code == 202, given.text
    again = running.call("POST", "/items/lamp/zoo/secret", by="courier", json={"watts": 5})
    assert again.status_code in {202, 409}
    until(lambda: item(running, "lamp/zoo").get("status") == "completed")
    assert running.call("POST", "/items/lamp/zoo/secret", by="reader", json={}).status_code == 403


@pytest.mark.parametrize("path", ["/items", "/items/lamp/den", "/onboard", "/mcp"])
def test_nobody_gets_near_it_without_a_token(running: Running, path: str) -> None:
    assert running.call("GET", path, by="").status_code == 401


async def _tools(running: Running) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {running.tokens['reader']}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(f"{running.url}/mcp", http_client=http)) as client,
    ):
        names = [tool.name for tool in (await client.list_tools()).tools]
        listed = await client.call_tool("list-items", {"kind": "lamp"})
        told = await client.call_tool("get-item", {"kind": "lamp", "slug": "kitchen"})
        refused = await client.call_tool("ask-for-item", {"kind": "lamp", "fields": {"room": "bath"}})
        return {
            "names": names,
            "listed": listed.structured_content,
            "told": told.structured_content,
            "refused": refused.is_error,
        }


def test_agents_see_it_with_the_tools_of_all_kinds(running: Running) -> None:
    seen = anyio.run(_tools, running)
    assert {"list-items", "get-item", "ask-for-item", "hand-over-secret", "onboard-project"} <= {
        *seen["names"]
    }
    assert "kitchen" in {each["slug"] for each in seen["listed"]["items"]}
    assert (seen["told"]["kind"], seen["told"]["status"]) == ("lamp", "waiting_bulb")
    assert seen["refused"]


def test_metrics_tell_kinds_apart(running: Running) -> None:
    text = running.call("GET", "/metrics", by="").text
    assert re.search(r'reconciler_items\{kind="lamp",status="waiting_bulb"\} [1-9]', text)
    assert re.search(r'reconciler_items\{kind="project",status="[a-z_]+"\} 1\.0', text)
    assert 'reconciler_resources{kind="lamp",resource="manifests",state="ok"}' in text


def test_a_resource_is_told_by_its_kind(running: Running, sandbox: Sandbox) -> None:
    assert LampManifests.name == "manifests"
    project = status_of(sandbox, ItemId("project", "acme-gears"))["resources"]["manifests"]
    lamp = status_of(sandbox, ItemId("lamp", "acme-gears"))["resources"]["manifests"]
    assert (set(project["outputs"]), set(lamp["outputs"])) == ({"tree"}, {"blob"})
