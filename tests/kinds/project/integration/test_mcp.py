"""The MCP server as the official client meets it: over HTTP, over SSE, and on standard input and output."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, TextContent

from reconciler.faces.cli.options import made_outside
from reconciler.kinds import KINDS
from reconciler.sandbox.supervisor import Sandbox
from tests.support.reconciling import commits, git, settle_at_once
from tests.support.service import REQUEST, TOKENS, Running, service, until

TOOLS = ["get-onboarding-status", "onboard-project", "submit-oauth-code"]
FOR_EVERY_KIND = ["ask-for-item", "get-item", "hand-over-secret", "list-items"]
PROGRAM = Path(sys.executable).with_name("reconcile")
Connect = Callable[[], AbstractAsyncContextManager[Client]]


@asynccontextmanager
async def streamable(running: Running, who: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {running.tokens[who]}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(f"{running.url}/mcp", http_client=http)) as client,
    ):
        yield client


@asynccontextmanager
async def events(running: Running, who: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {running.tokens[who]}"}
    async with Client(sse_client(f"{running.url}/mcp/sse", headers=headers)) as client:
        yield client


@asynccontextmanager
async def stdio(sandbox: Sandbox, log: Path, *words: str) -> AsyncIterator[Client]:
    command = StdioServerParameters(
        command=str(PROGRAM),
        args=[*words, "--config", str(sandbox.configuration_file())],
        env=sandbox.environment(),
    )
    with log.open("w") as errors:
        async with Client(stdio_client(command, errlog=errors)) as client:
            yield client


async def call(connect: Connect, name: str, **arguments: Any) -> CallToolResult:
    async with connect() as client:
        result = await client.call_tool(name, arguments)
        assert isinstance(result, CallToolResult)
        return result


def done(connect: Connect, name: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool in a session of its own and return the run that it answers with."""
    result = anyio.run(partial(call, connect, name, **arguments))
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content


def refused(connect: Connect, name: str, **arguments: Any) -> str:
    """Call a tool that refuses, and return what it says."""
    result = anyio.run(partial(call, connect, name, **arguments))
    assert result.is_error
    assert isinstance(result.content[0], TextContent)
    return result.content[0].text


@pytest.mark.parametrize("transport", [streamable, events], ids=["streamable", "sse"])
def test_the_whole_way_over_http(
    clean_sandbox: Sandbox, transport: Callable[..., AbstractAsyncContextManager[Client]]
) -> None:
    with service(clean_sandbox) as running:
        write, read, courier = (partial(transport, running, who) for who in ("writer", "reader", "courier"))
        assert done(write, "onboard-project", **REQUEST, litellm={"maxBudget": 5})["id"] == "acme-gears"
        running.wait("acme-gears", "waiting_auth")
        told = done(read, "get-onboarding-status", workflowId="acme-gears")
        assert told == running.run("acme-gears")
        done(courier, "submit-oauth-code", workflowId="acme-gears", **TOKENS)
        running.wait("acme-gears", "completed")


def test_on_standard_input_and_output(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    connect = partial(stdio, clean_sandbox, tmp_path / "log", "mcp")
    started = done(connect, "onboard-project", **REQUEST)
    assert (started["id"], started["status"]) == ("acme-gears", "pending")
    made_outside(clean_sandbox, KINDS)
    settle_at_once(clean_sandbox)
    assert done(connect, "get-onboarding-status", workflowId="acme-gears")["status"] == "waiting_auth"
    done(connect, "submit-oauth-code", workflowId="acme-gears", **TOKENS)
    settle_at_once(clean_sandbox)
    assert done(connect, "get-onboarding-status", workflowId="acme-gears")["status"] == "completed"
    assert "access-1" not in (tmp_path / "log").read_text()


@pytest.fixture(scope="module")
def running(sandbox: Sandbox) -> Iterator[Running]:
    sandbox.clear()
    with service(sandbox) as made:
        yield made


async def described(connect: Connect) -> dict[str, Any]:
    async with connect() as client:
        return {tool.name: tool for tool in (await client.list_tools()).tools}


def test_the_tools_take_the_parameters_that_mesh_six_gave_them(
    running: Running, sandbox: Sandbox, tmp_path: Path
) -> None:
    tools = anyio.run(described, partial(streamable, running, "reader"))
    assert tools == anyio.run(described, partial(stdio, sandbox, tmp_path / "log", "--mcp"))
    assert sorted(tools) == sorted([*TOOLS, *FOR_EVERY_KIND])
    parameters = {name: set(tool.input_schema["properties"]) for name, tool in tools.items() if name in TOOLS}
    assert parameters == {
        "onboard-project": {
            "repoOwner",
            "repoName",
            "displayName",
            "defaultBranch",
            "skipAuth",
            "skipLiteLLM",
            "litellm",
            "settings",
            "resourceLimits",
        },
        "get-onboarding-status": {"workflowId"},
        "submit-oauth-code": {"workflowId", "accessToken", "refreshToken", "expiresAt"},
    }


@pytest.mark.parametrize("transport", [streamable, events], ids=["streamable", "sse"])
@pytest.mark.parametrize(
    ("who", "tool", "scope"),
    [
        ("reader", "onboard-project", "write"),
        ("writer", "submit-oauth-code", "submit-tokens"),
        ("courier", "get-onboarding-status", "read"),
    ],
)
def test_a_token_opens_the_tools_that_its_scopes_name(
    running: Running,
    sandbox: Sandbox,
    transport: Callable[..., AbstractAsyncContextManager[Client]],
    who: str,
    tool: str,
    scope: str,
) -> None:
    before = commits(sandbox)
    assert scope in refused(partial(transport, running, who), tool, **REQUEST)
    assert commits(sandbox) == before


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("onboard-project", {"repoOwner": "acme"}, "repoName is missing"),
        ("onboard-project", {**REQUEST, "skipAuht": True}, "did you mean skipAuth?"),
        ("onboard-project", {**REQUEST, "repoOwner": "../.."}, "not a GitHub owner"),
        ("get-onboarding-status", {"workflowId": "nope"}, "no run nope"),
        ("no-such-tool", {}, "onboard-project"),
    ],
    ids=str,
)
def test_bad_arguments_get_a_clear_answer(
    running: Running, sandbox: Sandbox, tool: str, arguments: dict[str, Any], said: str
) -> None:
    before = commits(sandbox)
    assert said in refused(partial(streamable, running, "writer"), tool, **arguments)
    assert commits(sandbox) == before


def test_what_is_wrong_with_tokens_is_said_without_them(running: Running) -> None:
    secret = {"accessToken": {"canary": "x-canary"}, "refreshToken": ["y-canary"], "expiresAt": {}}
    said = refused(partial(streamable, running, "courier"), "submit-oauth-code", workflowId="a", **secret)
    assert "accessToken" in said
    assert "canary" not in said


@pytest.mark.parametrize("path", ["/mcp", "/mcp/sse", "/mcp/messages/"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_gets_in_without_a_valid_token(running: Running, method: str, path: str) -> None:
    for header in ("", "Bearer x", f"Basic {running.tokens['writer']}"):
        answer = running.call(method, path, by="", headers={"Authorization": header}, content=b"{}")
        assert answer.status_code == 401


def test_a_stream_of_events_belongs_to_whoever_opened_it(running: Running) -> None:
    """A message that another token sends into it is answered as if there were no such stream."""
    headers = {"Authorization": f"Bearer {running.tokens['reader']}"}
    with (
        httpx2.Client(headers=headers, timeout=30) as http,
        http.stream("GET", f"{running.url}/mcp/sse") as stream,
    ):
        lines = stream.iter_lines()
        address = next(line for line in lines if line.startswith("data: ")).removeprefix("data: ")
        message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        assert running.call("POST", address, by="writer", json=message).status_code == 404
        assert running.call("POST", address, by="reader", json=message).status_code == 202


def test_a_client_that_went_away_leaves_nothing_behind(running: Running) -> None:
    async def come_and_go() -> None:
        for _ in range(5):
            async with events(running, "reader") as client:
                await client.list_tools()

    anyio.run(come_and_go)
    until(lambda: running.call("GET", "/healthz", by="").status_code == 200)


def test_both_ways_of_asking_write_the_same_file(clean_sandbox: Sandbox) -> None:
    repository = clean_sandbox.environment()["CONFIG_REPOSITORY"]
    with service(clean_sandbox) as running:
        done(partial(streamable, running, "writer"), "onboard-project", **REQUEST, displayName="Gears")
        again = running.call("POST", "/onboard", json={**REQUEST, "displayName": "Gears"})
    assert again.status_code == 200
    assert git(repository, "log", "--format=%s", "main").count("Onboard acme/gears") == 1
