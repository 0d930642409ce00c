"""The emulators that the gateway hosts, each with its own store."""

from __future__ import annotations

import shutil

from reconciler.sandbox.emulators.store import Store
from reconciler.sandbox.http_front import Emulated
from reconciler.sandbox.system import Site
from reconciler.sandbox.systems import systems


class Emulators:
    """All of them, by the name of their system."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._makers = {system.name: system.app for system in systems() if system.app}
        self._folders = [site.layout[folder] for system in systems() for folder in system.folders]
        self._stores = {name: Store(site.layout.store(name)) for name in self._makers}
        self.handlers = {
            name: Emulated(make(self._stores[name], site)) for name, make in self._makers.items()
        }

    def clear(self) -> None:
        """Empty every store and make the apps anew, since some remember things in memory."""
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)
        for name, handler in self.handlers.items():
            self._stores[name].clear()
            handler.app = self._makers[name](self._stores[name], self._site)
