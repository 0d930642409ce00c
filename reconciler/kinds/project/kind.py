"""What the kind `project` declares: a repository onboarded to mesh-six, resource by resource."""

from __future__ import annotations

from pathlib import Path

from reconciler.engine.kind import Kind, Proof
from reconciler.kinds.project.limits import breaches
from reconciler.kinds.project.resources.app_settings import AppSettings
from reconciler.kinds.project.resources.credentials import Credentials
from reconciler.kinds.project.resources.devcontainer import Devcontainer
from reconciler.kinds.project.resources.git_access import GitAccess
from reconciler.kinds.project.resources.litellm_team import LiteLLMTeam
from reconciler.kinds.project.resources.llm_key import LlmKey
from reconciler.kinds.project.resources.manifests import Manifests
from reconciler.kinds.project.resources.oauth import OAuth
from reconciler.kinds.project.resources.organization_webhook import OrganizationWebhook
from reconciler.kinds.project.resources.pod_health import PodHealth
from reconciler.kinds.project.resources.project_board import ProjectBoard
from reconciler.kinds.project.resources.recordings import Recordings
from reconciler.kinds.project.resources.registry_row import RegistryRowResource
from reconciler.kinds.project.resources.sync import Sync
from reconciler.kinds.project.resources.validate_repo import ValidateRepo
from reconciler.kinds.project.resources.webhook import Webhook
from reconciler.kinds.project.resources.webhook_secret import WebhookSecret
from reconciler.kinds.project.sandbox import make_repositories
from reconciler.kinds.project.spec import KIND, ProjectSpec
from reconciler.kinds.project.tables.run_ledger import RunLedger
from reconciler.kinds.project.waits import SYNC, WAITS
from reconciler.model.item import Identity
from reconciler.model.json import Object
from reconciler.model.status_file import mapping


def _face() -> object:
    from reconciler.kinds.project.face.face import FACE  # noqa: PLC0415 - a web framework, for services only

    return FACE


def identity_before(document: Object) -> Identity | None:
    """Read it from the section `repository`, as status files had it before they had an identity."""
    found = mapping(document.get("repository"))
    owner, name, number = found.get("owner"), found.get("name"), found.get("id")
    if not (isinstance(owner, str) and isinstance(name, str)):
        return None
    return Identity(f"repository {owner}/{name}".lower(), str(number) if isinstance(number, int) else "")


PROJECT = Kind(
    name=KIND,
    spec=ProjectSpec,
    resources=(
        ValidateRepo,
        ProjectBoard,
        WebhookSecret,
        Webhook,
        OrganizationWebhook,
        GitAccess,
        LlmKey,
        # What has a name that somebody else's may have comes before what is deployed in that name.
        RegistryRowResource,
        LiteLLMTeam,
        AppSettings,
        Recordings,
        Devcontainer,
        Manifests,
        Sync,
        PodHealth,
        OAuth,
        Credentials,
    ),
    waits=WAITS,
    after_commit=SYNC,
    limits=breaches,
    proof=Proof(ValidateRepo.name, "id", "GitHub's number of it"),
    ledger=RunLedger,
    migrations=Path(__file__).parent / "migrations",
    face=_face,
    made_outside=make_repositories,
    sandbox_settings={
        "webhook": {
            "url": "https://hooks.mesh-six.example/github",
            "organizationSecret": "the sandbox's receiver and GitHub share it",
        },
        "projects": {"repositories": ["*/*"]},
        "pods": {
            "featureReference": "registry.mesh-six.example/mesh-six/mesh-six-tools:2",
            "cacheRepository": "registry.mesh-six.example/envbuilder-cache",
            "gatewayUrl": "http://litellm.litellm",
        },
    },
    identity_before=identity_before,
)
