"""The MCP server: the tools of every kind and each kind's own. Knows no transport but stdio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import anyio.to_thread
import mcp_types as types
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from pydantic import BaseModel, ValidationError

from reconciler.engine.item_file import InvalidFiles, explained
from reconciler.faces.mcp.tool import Tool
from reconciler.model.errors import ReconcilerError, UsageError
from reconciler.settings.program import Scope

INSTRUCTIONS = (
    "Asks for things around mesh-six and tells where they stand. Each is one file in git; `next` of an "
    "answer says what a person has to do."
)


def server(tools: Sequence[Tool], *, local: bool) -> Server[Any]:
    """Return the MCP server. `local`: whoever runs it has the configuration, and so all rights, already."""
    by_name = {tool.name: tool for tool in tools}

    async def list_tools(_: ServerRequestContext[Any], __: object) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(tool) for tool in tools])

    async def call_tool(
        _: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        caller = get_access_token()
        scopes = caller.scopes if caller else [str(scope) for scope in Scope] if local else []
        try:
            answer = await anyio.to_thread.run_sync(_call, by_name, params, scopes)
        except InvalidFiles as errors:
            return _refused("; ".join(f"{each.message} ({each.remedy})" for each in errors.found))
        except ReconcilerError as error:
            return _refused(str(error))
        return types.CallToolResult(
            content=[
                types.TextContent(type="text", text=answer.model_dump_json(indent=2, exclude_none=True))
            ],
            structured_content=answer.model_dump(mode="json"),
        )

    return Server(
        "mesh-six-onboarding",
        version=version("mesh-six-reconciler"),
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def serve_stdio(tools: Sequence[Tool]) -> None:
    """Serve one client on standard input and output until it goes."""
    made = server(tools, local=True)
    async with stdio_server() as (reading, writing):
        await made.run(reading, writing, made.create_initialization_options())


def _described(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        description=tool.description,
        input_schema=tool.arguments.model_json_schema(by_alias=True),
        output_schema=tool.answer.model_json_schema(mode="serialization"),
        annotations=types.ToolAnnotations(
            read_only_hint=not tool.writes, destructive_hint=False, idempotent_hint=True
        ),
    )


def _call(tools: Mapping[str, Tool], params: types.CallToolRequestParams, scopes: list[str]) -> BaseModel:
    tool = tools.get(params.name)
    if tool is None:
        raise UsageError(f"there is no tool {params.name[:60]!r}", remedy=f"known: {', '.join(tools)}")
    if tool.scope not in scopes:
        raise UsageError(f"this token may not do that: it lacks the scope {tool.scope}")
    try:
        arguments = tool.arguments.model_validate(params.arguments or {})
    except ValidationError as error:
        # Without its cause and its input, which may be tokens.
        said = [
            " — ".join(filter(None, explained([str(part) for part in each["loc"]], tool.arguments, each)))
            for each in error.errors(include_input=False)
        ]
        raise UsageError("; ".join(said)) from None
    return tool.call(arguments)


def _refused(said: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=said)], is_error=True)
