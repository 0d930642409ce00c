"""The emulators that the gateway hosts, each with its own store."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from starlette.applications import Starlette

from reconciler.sandbox.emulators.store import Store
from reconciler.sandbox.http_front import Emulated
from reconciler.sandbox.layout import EMULATED, Layout, Secrets


class Emulators:
    """All of them, by the name of their system."""

    def __init__(self, layout: Layout, ports: Mapping[str, int], secrets: Secrets) -> None:
        self._layout = layout
        self._ports = ports
        self._secrets = secrets
        self._stores = {name: Store(layout.store(name)) for name in EMULATED}
        self.handlers = {name: Emulated(self._make(name)) for name in EMULATED}

    def clear(self) -> None:
        """Empty every store and make the apps anew, since some remember things in memory."""
        shutil.rmtree(self._layout["git"] / "github", ignore_errors=True)
        for name, handler in self.handlers.items():
            self._stores[name].clear()
            handler.app = self._make(name)

    def _make(self, name: str) -> Starlette:
        options: dict[str, dict[str, Any]] = {
            "github": {
                "token": self._secrets["github_token"],
                "git_directory": self._layout["git"] / "github",
            },
            "argocd": {"token": self._secrets["argocd_token"], "repository": self._layout.manifests},
            "auth-service": {"token": self._secrets["auth_service_token"]},
            "oauth-issuer": {"base_url": f"http://127.0.0.1:{self._ports['oauth-issuer']}"},
            "litellm": {"admin_key": self._secrets["litellm_admin_key"]},
        }
        module = import_module(f"reconciler.sandbox.emulators.{name.replace('-', '_')}")
        app = module.create_app(self._stores[name], **options[name])
        assert isinstance(app, Starlette)  # noqa: S101 - what every emulator promises
        return app
