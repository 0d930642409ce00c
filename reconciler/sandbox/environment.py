"""How programs are pointed at the sandbox: environment variables, and a reconciler.yaml without secrets.

What concerns one system is declared with it (system.py). Here is what belongs to none: the repositories, the
reconciler's own service, and where it works.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyrage
from ruamel.yaml import YAML

from reconciler.sandbox.repositories import BRANCH
from reconciler.sandbox.system import Site
from reconciler.sandbox.systems import systems

FILE = "reconciler.yaml"
SERVE = "serve"
"""The name of the port that `reconcile serve` listens on."""
_SECRETS: Mapping[str, Callable[[], str]] = {
    "control_token": lambda: secrets.token_hex(20),
    "api_token": lambda: f"mesh6_{secrets.token_urlsafe(32)}",
    "webhook_secret": lambda: secrets.token_hex(20),
    "age_identity": lambda: str(pyrage.x25519.Identity.generate()),
}
_ABOUT = "Written by the sandbox at every start; secrets come by the environment: reconcile sandbox env\n"


def secret_makers() -> dict[str, Callable[[], str]]:
    """Return how each secret is made that the sandbox chooses itself."""
    return {**_SECRETS, **{name: make for system in systems() for name, make in system.secrets.items()}}


def environment(site: Site) -> dict[str, str]:
    """Return the variables that point any program at this sandbox, secrets included."""
    found: dict[str, str] = {}
    for system in systems():
        found |= system.environment(site)
    return {
        **found,
        "MANIFESTS_REPOSITORY": str(site.layout.manifests),
        "CONFIG_REPOSITORY": str(site.layout.config),
        "RECONCILER_AGE_IDENTITY": site.secrets["age_identity"],
        "RECONCILER_URL": site.url(SERVE),
        "RECONCILER_API_TOKEN": site.secrets["api_token"],
        "RECONCILER_WEBHOOK_SECRET": site.secrets["webhook_secret"],
    }


def sections(site: Site, more: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the sandbox's reconciler.yaml; of secrets nothing but the hash of the API's token.

    `more`: sections that say nothing of the sandbox, but that somebody needs.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for system in systems():
        found |= system.sections(site)
    return {
        **found,
        **more,
        # Where clones are kept; they would otherwise be shared by all sandboxes of a user.
        "work": {"directory": str(site.layout.work)},
        "config": {"repository": str(site.layout.config), "branch": BRANCH},
        "manifests": {"repository": str(site.layout.manifests), "branch": BRANCH, "path": "k8s/base"},
        # Its machines are quick, and nobody is charged for its requests.
        "schedule": {"leastPause": "2s"},
        "serve": {
            "port": site.ports[SERVE],
            # The config repository of the sandbox is a folder, where nobody can open a pull request.
            "onboardBy": "commit",
            "tokens": [
                {
                    "name": "sandbox",
                    "scopes": ["read", "write", "submit-tokens"],
                    "sha256": hashlib.sha256(site.secrets["api_token"].encode()).hexdigest(),
                }
            ],
        },
    }


def write(site: Site, more: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write the sandbox's reconciler.yaml."""
    path = site.layout[FILE]
    with path.open("w", encoding="utf-8") as file:
        file.write(f"# {_ABOUT}")
        YAML().dump(sections(site, more), file)
    return path
