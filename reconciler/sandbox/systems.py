"""Finds the systems of the sandbox by what they declare; nothing else lists them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from reconciler.sandbox import emulators, servers
from reconciler.sandbox.system import System


@cache
def systems() -> tuple[System, ...]:
    """Return every `SYSTEM` that a module or package directly in `emulators` or `servers` declares."""
    return tuple(each for package in (emulators, servers) for each in _declared(package))


def _declared(package: ModuleType) -> Iterator[System]:
    for found in iter_modules(package.__path__, f"{package.__name__}."):
        declared = getattr(import_module(found.name), "SYSTEM", None)
        if isinstance(declared, System):
            yield declared
