"""The MCP tools of seed 000: the operations and scopes of the HTTP API. Knows no transport but stdio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import anyio.to_thread
import mcp_types as types
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from pydantic import ValidationError

from reconciler.config import Scope
from reconciler.errors import ReconcilerError, UsageError
from reconciler.model.project import Strict
from reconciler.model.project_spec import OnboardProjectRequest
from reconciler.project_file import InvalidFiles, explained
from reconciler.service.onboarding import Onboarding
from reconciler.service.requests import TokenSubmission
from reconciler.service.runs import OnboardingRun

INSTRUCTIONS = (
    "Onboards GitHub repositories to mesh-six. Start with onboard-project; it answers with a run, whose `id` "
    "the other tools take as workflowId. `next` of a run says what a person has to do."
)


class RunQuery(Strict):
    """Which run is meant."""

    workflow_id: str
    """The run's id, as onboard-project gave it."""


class OAuthSubmission(TokenSubmission):
    """A run, and the tokens of a login for it."""

    workflow_id: str
    """The run's id, as onboard-project gave it."""


@dataclass(frozen=True)
class _Tool:
    name: str
    description: str
    scope: Scope
    arguments: type[Strict]
    call: Callable[[Onboarding, Any], OnboardingRun]
    writes: bool = True

    def described(self) -> types.Tool:
        return types.Tool(
            name=self.name,
            description=self.description,
            input_schema=self.arguments.model_json_schema(by_alias=True),
            output_schema=OnboardingRun.model_json_schema(mode="serialization"),
            annotations=types.ToolAnnotations(
                read_only_hint=not self.writes, destructive_hint=False, idempotent_hint=True
            ),
        )


TOOLS = {
    tool.name: tool
    for tool in (
        _Tool(
            "onboard-project",
            "Ask for a repository to be onboarded. Asking twice for the same gives the same run.",
            Scope.WRITE,
            OnboardProjectRequest,
            lambda onboarding, request: onboarding.start(request)[0],
        ),
        _Tool(
            "get-onboarding-status",
            "Tell where a run stands: its phase, what is done, what failed, and what a person has to do.",
            Scope.READ,
            RunQuery,
            lambda onboarding, query: onboarding.run(query.workflow_id),
            writes=False,
        ),
        _Tool(
            "submit-oauth-code",
            "Hand over the tokens of a Claude login to a run that waits for them. They are sealed at once.",
            Scope.SUBMIT_TOKENS,
            OAuthSubmission,
            lambda onboarding, sent: onboarding.submit(sent.workflow_id, sent.content()),
        ),
    )
}


def server(onboarding: Onboarding, *, local: bool) -> Server[Any]:
    """Return the MCP server. `local`: whoever runs it has the configuration, and so all rights, already."""

    async def list_tools(_: ServerRequestContext[Any], __: object) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[tool.described() for tool in TOOLS.values()])

    async def call_tool(
        _: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        caller = get_access_token()
        scopes = caller.scopes if caller else [str(scope) for scope in Scope] if local else []
        try:
            run = await anyio.to_thread.run_sync(_call, onboarding, params, scopes)
        except InvalidFiles as errors:
            return _refused("; ".join(f"{each.message} ({each.remedy})" for each in errors.found))
        except ReconcilerError as error:
            return _refused(str(error))
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=run.model_dump_json(indent=2, exclude_none=True))],
            structured_content=run.model_dump(mode="json"),
        )

    return Server(
        "mesh-six-onboarding",
        version=version("mesh-six-reconciler"),
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def serve_stdio(onboarding: Onboarding) -> None:
    """Serve one client on standard input and output until it goes."""
    made = server(onboarding, local=True)
    async with stdio_server() as (reading, writing):
        await made.run(reading, writing, made.create_initialization_options())


def _call(onboarding: Onboarding, params: types.CallToolRequestParams, scopes: list[str]) -> OnboardingRun:
    tool = TOOLS.get(params.name)
    if tool is None:
        raise UsageError(f"there is no tool {params.name[:60]!r}", remedy=f"known: {', '.join(TOOLS)}")
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
    return tool.call(onboarding, arguments)


def _refused(said: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=said)], is_error=True)
