"""`reconciler.yaml` and the environment, as the sections that clients and resources ask for."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

from reconciler import clients
from reconciler.model.errors import ConfigurationError, UnusableSetting
from reconciler.model.yaml_read import load_yaml
from reconciler.settings.giving import Sections, Settings

DEFAULT_FILE = Path("reconciler.yaml")


def load_sections(path: Path | None, environ: Mapping[str, str] | None = None) -> Sections:
    """Return the configuration: the file, if there is one, and the environment over it.

    `path` None means `reconciler.yaml` in the working directory, which may be absent. ConfigurationError
    for a named file that is absent and for unknown sections; InvalidFile for one that is no YAML mapping.
    """
    values = _read(path)
    known = known_settings()
    names = {kind.section for kind in known}
    for name, section in values.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(names))}"
            raise ConfigurationError(f"{path or DEFAULT_FILE}: unknown section {name}", remedy=hint)
        if not isinstance(section, Mapping):
            raise ConfigurationError(
                f"{path or DEFAULT_FILE}: section {name} is no mapping", remedy="see docs/configuration.md"
            )
    sections = Sections(values, os.environ if environ is None else environ)
    for kind in known:
        # Read all of it now: a typing mistake shall end the program, and not show as some item's error.
        # An address or credential that is none is told by the resources of its system, and all others go on.
        with suppress(UnusableSetting):
            sections.get(kind)
    return sections


def _read(path: Path | None) -> Mapping[str, Mapping[str, object]]:
    file = path or DEFAULT_FILE
    if path is None and not file.exists():
        return {}
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{file}: cannot be read", remedy="name a readable file with --config"
        ) from error
    return load_yaml(str(file), content).values if content.strip() else {}


def known_settings() -> set[type[Settings]]:
    """Return the settings of every client, and of whatever else was imported by now, such as the kinds.

    A client counts also while no kind uses it: its section is no typing mistake.
    """
    for module in walk_packages(clients.__path__, f"{clients.__name__}."):
        import_module(module.name)
    return _below(Settings)


def _below(kind: type[Settings]) -> set[type[Settings]]:
    here = {kind} if "section" in vars(kind) else set()
    return here.union(*(_below(child) for child in kind.__subclasses__()))
