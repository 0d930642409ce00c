"""The MCP tools of mesh-six's onboarding service: the operations and scopes of its routes."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.faces.desk import Desk
from reconciler.faces.mcp.tool import Tool
from reconciler.kinds.project.face.onboarding_run import OnboardingRun
from reconciler.kinds.project.face.requests import TokenSubmission
from reconciler.kinds.project.face.runs import Runs
from reconciler.kinds.project.spec import OnboardProjectRequest
from reconciler.model.item import Strict
from reconciler.settings.program import Scope


class RunQuery(Strict):
    """Which run is meant."""

    workflow_id: str
    """The run's id, as onboard-project gave it."""


class OAuthSubmission(TokenSubmission):
    """A run, and the tokens of a login for it."""

    workflow_id: str
    """The run's id, as onboard-project gave it."""


def tools(desk: Desk) -> Sequence[Tool]:
    """Return the tools."""
    runs = Runs(desk)
    return (
        Tool(
            "onboard-project",
            "Ask for a repository to be onboarded. Asking twice for the same gives the same run.",
            Scope.WRITE,
            OnboardProjectRequest,
            OnboardingRun,
            lambda request: runs.start(request)[0],
        ),
        Tool(
            "get-onboarding-status",
            "Tell where a run stands: its phase, what is done, what failed, and what a person has to do.",
            Scope.READ,
            RunQuery,
            OnboardingRun,
            lambda query: runs.run(query.workflow_id),
            writes=False,
        ),
        Tool(
            "submit-oauth-code",
            "Hand over the tokens of a Claude login to a run that waits for them. They are sealed at once.",
            Scope.SUBMIT_TOKENS,
            OAuthSubmission,
            OnboardingRun,
            lambda sent: runs.submit(sent.workflow_id, sent.content()),
        ),
    )
