"""How programs are pointed at the sandbox: environment variables, and a reconciler.yaml without secrets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from reconciler.sandbox.layout import BUCKET, DATABASE, OAUTH_CLIENT_ID, Layout, Secrets
from reconciler.sandbox.repositories import BRANCH

FILE = "reconciler.yaml"
SERVE = "serve"
"""The name of the port that `reconcile serve` listens on."""
_ABOUT = "Written by the sandbox at every start; secrets come by the environment: reconcile sandbox env\n"


def environment(layout: Layout, ports: Mapping[str, int], secrets: Secrets) -> dict[str, str]:
    """Return the variables of design §7, and the other secrets that the reconciler wants."""
    password, port = secrets["postgres_password"], ports["postgres"]
    return {
        "VAULT_ADDR": _url(ports, "vault"),
        "VAULT_TOKEN": secrets["vault_token"],
        "DATABASE_URL": f"postgresql://{DATABASE}:{password}@127.0.0.1:{port}/{DATABASE}",
        "MINIO_ENDPOINT": _url(ports, "s3"),
        "MINIO_ACCESS_KEY": secrets["s3_access_key"],
        "MINIO_SECRET_KEY": secrets["s3_secret_key"],
        "MANIFESTS_REPOSITORY": str(layout.manifests),
        "CONFIG_REPOSITORY": str(layout.config),
        "GITHUB_API_URL": _url(ports, "github"),
        "GITHUB_TOKEN": secrets["github_token"],
        "ARGOCD_SERVER": _url(ports, "argocd"),
        "ARGOCD_AUTH_TOKEN": secrets["argocd_token"],
        "AUTH_SERVICE_URL": _url(ports, "auth-service"),
        "AUTH_SERVICE_TOKEN": secrets["auth_service_token"],
        "OAUTH_ISSUER": _url(ports, "oauth-issuer"),
        "OAUTH_CLIENT_ID": OAUTH_CLIENT_ID,
        "LITELLM_URL": _url(ports, "litellm"),
        "LITELLM_ADMIN_KEY": secrets["litellm_admin_key"],
        "RECONCILER_AGE_IDENTITY": secrets["age_identity"],
        "RECONCILER_URL": _url(ports, SERVE),
        "RECONCILER_API_TOKEN": secrets["api_token"],
        "RECONCILER_WEBHOOK_SECRET": secrets["webhook_secret"],
    }


def write(layout: Layout, ports: Mapping[str, int], secrets: Secrets) -> Path:
    """Write the sandbox's reconciler.yaml; of secrets nothing but the hash of the API's token."""
    sections: dict[str, dict[str, Any]] = {
        # GitHub wants a second between writes; the emulator does not.
        "github": {"apiUrl": _url(ports, "github"), "writePause": 0},
        "vault": {"address": _url(ports, "vault"), "mount": "secret"},
        "s3": {"endpoint": _url(ports, "s3"), "bucket": BUCKET},
        "argocd": {"server": _url(ports, "argocd"), "application": "mesh-six"},
        "authService": {"url": _url(ports, "auth-service")},
        "oauth": {"flow": "manual", "issuer": _url(ports, "oauth-issuer"), "clientId": OAUTH_CLIENT_ID},
        "litellm": {"url": _url(ports, "litellm")},
        # Where clones are kept; they would otherwise be shared by all sandboxes of a user.
        "work": {"directory": str(layout.work)},
        "webhook": {"url": "https://hooks.mesh-six.example/github"},
        "config": {"repository": str(layout.config), "branch": BRANCH},
        "manifests": {"repository": str(layout.manifests), "branch": BRANCH, "path": "k8s/base"},
        # Its machines are quick, and nobody is charged for its requests.
        "schedule": {"leastPause": "2s"},
        "serve": {
            "port": ports[SERVE],
            # The config repository of the sandbox is a folder, where nobody can open a pull request.
            "onboardBy": "commit",
            "tokens": [
                {
                    "name": "sandbox",
                    "scopes": ["read", "write", "submit-tokens"],
                    "sha256": hashlib.sha256(secrets["api_token"].encode()).hexdigest(),
                }
            ],
        },
    }
    path = layout[FILE]
    with path.open("w", encoding="utf-8") as file:
        file.write(f"# {_ABOUT}")
        YAML().dump(sections, file)
    return path


def _url(ports: Mapping[str, int], name: str) -> str:
    return f"http://127.0.0.1:{ports[name]}"
