"""The kind `project`: a repository onboarded to mesh-six (seed 000), resource by resource (design §6)."""

from __future__ import annotations

from reconciler.model.json import Object
from reconciler.model.outcome import Condition, ProjectReport, Status
from reconciler.model.project_spec import ProjectSpec
from reconciler.model.run import RunRow
from reconciler.model.status_file import mapping
from reconciler.resources.contract import Kind
from reconciler.resources.credentials import Credentials
from reconciler.resources.devcontainer import Devcontainer
from reconciler.resources.git_access import GitAccess
from reconciler.resources.litellm import LiteLLMTeam
from reconciler.resources.llm_key import LlmKey
from reconciler.resources.manifests import Manifests
from reconciler.resources.oauth import OAuth
from reconciler.resources.pod_health import PodHealth
from reconciler.resources.project_board import ProjectBoard
from reconciler.resources.recordings import Recordings
from reconciler.resources.registry import RegistryRowResource
from reconciler.resources.settings import AppSettings
from reconciler.resources.sync import Sync
from reconciler.resources.validate_repo import ValidateRepo
from reconciler.resources.webhook import Webhook
from reconciler.resources.webhook_secret import WebhookSecret


def run_row(spec: ProjectSpec | None, report: ProjectReport, document: Object) -> RunRow:
    """Return the row of `onboarding_runs` that seed 000's readers expect."""
    written = mapping(document.get("repository"))
    done = {Condition.OK, Condition.CHANGED, Condition.SKIPPED}
    open_ones = [outcome for outcome in report.outcomes if outcome.condition not in done]
    error = next((outcome for outcome in open_ones if outcome.condition is Condition.ERROR), None)
    oauth: Object = next((o.section for o in report.outcomes if o.resource == OAuth.name and o.section), {})
    url, code = oauth.get("verificationUri"), oauth.get("userCode")
    return RunRow(
        id=report.slug,
        repo_owner=spec.repo_owner if spec else str(written.get("owner", "")),
        repo_name=spec.repo_name if spec else str(written.get("name", "")),
        status=str(report.status),
        current_phase=report.phase or None,
        current_activity=open_ones[0].resource if open_ones else None,
        completed_activities=tuple(o.resource for o in report.outcomes if o.condition in done),
        error_message=error.reason if error and report.status is Status.FAILED else None,
        oauth_device_url=str(url) if url else None,
        oauth_user_code=str(code) if code else None,
    )


PROJECT = Kind(
    name="project",
    spec=ProjectSpec,
    resources=(
        ValidateRepo,
        ProjectBoard,
        WebhookSecret,
        Webhook,
        GitAccess,
        LlmKey,
        RegistryRowResource,
        Recordings,
        Devcontainer,
        Manifests,
        Sync,
        PodHealth,
        OAuth,
        LiteLLMTeam,
        AppSettings,
        Credentials,
    ),
    run=run_row,
)
