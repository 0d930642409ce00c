"""Argo CD 3.x as far as a GitOps client sees it: one Application over one real git repository.

    kustomize.py   the manifests of a revision, as `kustomize build` would give them, or its error
    cluster.py     what the API server accepts, and how healthy what it holds looks
    setup.py       what the application is over
    controller.py  time: polls, comparisons, operations; all computed from time stamps when somebody asks
    views.py       the documents that the API answers with
    app.py         the API: routes, RBAC, refusals

Source of the behaviour: Argo CD's own sources, as docs/systems/argocd.md sums them up. It knows nothing of
the reconciler, and nothing runs in the background: whoever asks first pays for the time that has passed.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from reconciler.sandbox.system import Site, System

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from reconciler.sandbox.emulators.store import Store


def _app(store: Store, site: Site) -> Starlette:
    from reconciler.sandbox.emulators.argocd.app import create_app

    return create_app(store, token=site.secrets["argocd_token"], repository=site.layout.manifests)


SYSTEM = System(
    name="argocd",
    secrets={"argocd_token": lambda: secrets.token_hex(20)},
    environment=lambda site: {
        "ARGOCD_SERVER": site.url("argocd"),
        "ARGOCD_AUTH_TOKEN": site.secrets["argocd_token"],
    },
    sections=lambda site: {"argocd": {"server": site.url("argocd"), "application": "mesh-six"}},
    app=_app,
)
