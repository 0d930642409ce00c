"""Argo CD 3.x as far as a GitOps client sees it: one Application over one real git repository.

    kustomize.py   the manifests of a revision, as `kustomize build` would give them, or its error
    cluster.py     what the API server accepts, and how healthy what it holds looks
    setup.py       what the application is over
    controller.py  time: polls, comparisons, operations; all computed from time stamps when somebody asks
    views.py       the documents that the API answers with
    app.py         the API: routes, RBAC, refusals

Source of the behaviour: facts §4, and Argo CD's own sources where those are silent. It knows nothing of the
reconciler, and nothing runs in the background: whoever asks first pays for the time that has passed.
"""

from reconciler.sandbox.emulators.argocd.app import create_app

__all__ = ["create_app"]
