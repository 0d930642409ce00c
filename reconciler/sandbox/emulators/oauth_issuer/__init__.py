"""An OAuth issuer with the device flow; app.py names the traps that it keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.sandbox.system import Site, System

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from reconciler.sandbox.emulators.store import Store

CLIENT_ID = "mesh-six-sandbox"


def _app(store: Store, site: Site) -> Starlette:
    from reconciler.sandbox.emulators.oauth_issuer.app import create_app

    return create_app(store, base_url=site.url("oauth-issuer"))


SYSTEM = System(
    name="oauth-issuer",
    environment=lambda site: {"OAUTH_ISSUER": site.url("oauth-issuer"), "OAUTH_CLIENT_ID": CLIENT_ID},
    sections=lambda site: {
        "oauth": {"flow": "manual", "issuer": site.url("oauth-issuer"), "clientId": CLIENT_ID}
    },
    app=_app,
)
