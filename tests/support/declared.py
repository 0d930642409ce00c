"""What settings, clients and the sandbox's systems declare, for tests that have to cover all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from docs.configuration import SECTIONS
from reconciler.sandbox.environment import SERVE, secret_makers
from reconciler.sandbox.layout import Layout, Secrets
from reconciler.sandbox.system import Site, System
from reconciler.sandbox.systems import systems
from reconciler.settings.giving import HeaderSecret, HostOrWebAddress, Reader, Settings, WebAddress

SYSTEMS: Mapping[str, System] = {system.name: system for system in systems()}


@dataclass(frozen=True)
class Variable:
    """An environment variable, and the setting that it gives a value to."""

    name: str
    section: type[Settings]
    field: str

    @property
    def description(self) -> str:
        return self.section.model_fields[self.field].description or ""

    @property
    def is_secret(self) -> bool:
        return "SecretStr" in str(self._type)

    @property
    def is_header(self) -> bool:
        """Whether it is a secret that is sent as an HTTP header."""
        return HeaderSecret in self._types

    @property
    def is_address(self) -> bool:
        """Whether it is the address of a system that speaks HTTP."""
        return WebAddress in self._types or HostOrWebAddress in self._types

    @property
    def _type(self) -> Any:
        return get_type_hints(self.section, include_extras=True)[self.field]

    @property
    def _types(self) -> tuple[Any, ...]:
        return (self._type, *get_args(self._type))


def _variables() -> Iterator[Variable]:
    for section in SECTIONS:
        for name, field in section.model_fields.items():
            for choice in getattr(field.validation_alias, "choices", ()):
                if str(choice).isupper():
                    yield Variable(str(choice), section, name)


VARIABLES: Mapping[str, Variable] = {each.name: each for each in _variables()}


def clients(kind: type[Reader] = Reader) -> Iterator[type[Reader]]:
    """Yield the client classes of the program."""
    for child in kind.__subclasses__():
        if "system" in vars(child) and child.__module__.startswith("reconciler."):
            yield child
        yield from clients(child)


class _MadeUp(Secrets):
    """Has every secret that is asked for, also those that servers give out when they first start."""

    def __getitem__(self, name: str) -> str:
        make = secret_makers().get(name)
        return make() if make else f"made-up-{name}"


def _site() -> Site:
    servers = [each.server for each in SYSTEMS.values() if each.server]
    names = [*SYSTEMS, *(name for server in servers for name in server.ports), SERVE]
    layout = Layout(Path("/nowhere"))
    return Site(layout, {name: 10_001 + number for number, name in enumerate(names)}, _MadeUp(layout))


SITE = _site()
"""A sandbox of which nothing runs."""
SYSTEM_OF: Mapping[str, str] = {
    name: each.name for each in SYSTEMS.values() for name in each.environment(SITE)
}
"""The system that each of the sandbox's variables is for, if it is for one."""
