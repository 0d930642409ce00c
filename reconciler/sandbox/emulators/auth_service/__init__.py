"""The auth-service of mesh-six, as its public source answers (docs/auth-service.md).

app.py         its projects and credentials, and the gateway before it
bodies.py      what it makes of a request's body
bundles.py     how it hands credentials to pods
pod_tokens.py  the tokens by which pods say who they are
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from reconciler.sandbox.system import Site, System

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from reconciler.sandbox.emulators.store import Store


def _app(store: Store, site: Site) -> Starlette:
    from reconciler.sandbox.emulators.auth_service.app import create_app

    return create_app(store, token=site.secrets["auth_service_token"])


SYSTEM = System(
    name="auth-service",
    secrets={"auth_service_token": lambda: secrets.token_hex(20)},
    environment=lambda site: {
        "AUTH_SERVICE_URL": site.url("auth-service"),
        "AUTH_SERVICE_TOKEN": site.secrets["auth_service_token"],
    },
    sections=lambda site: {"authService": {"url": site.url("auth-service")}},
    app=_app,
)
