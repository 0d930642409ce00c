"""`reconciler.yaml` and the environment, as the sections that clients and resources ask for (design §5)."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from pydantic import AliasChoices, Field

from reconciler.errors import ConfigurationError
from reconciler.gitops.yaml_read import load_yaml
from reconciler.model.duration import Duration
from reconciler.systems import Sections, Settings

DEFAULT_FILE = Path("reconciler.yaml")


class ScheduleSettings(Settings):
    """When passes run, and how old a verification of what is read one by one may get."""

    section: ClassVar[str] = "schedule"

    interval: Duration = timedelta(minutes=5)
    """How long after the beginning of one pass the next one begins."""
    jitter: Duration = timedelta(seconds=30)
    """By how much that varies, so that several reconcilers do not knock all at once."""
    verify_within: Duration = timedelta(hours=24)
    """What is read one by one (webhooks, secrets, the auth-service) is read again at the latest after this
    long."""
    heartbeat: Path | None = Field(None, validation_alias=AliasChoices("heartbeat", "RECONCILER_HEARTBEAT"))
    """A file that the loop touches after every pass that ran to its end; the container's health check."""


def load_sections(path: Path | None, environ: Mapping[str, str] | None = None) -> Sections:
    """Return the configuration: the file, if there is one, and the environment over it.

    `path` None means `reconciler.yaml` in the working directory, which may be absent. ConfigurationError
    for a named file that is absent and for unknown sections; InvalidFile for one that is no YAML mapping.
    """
    values = _read(path)
    known = _known(Settings)
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
        # now, not when a pass first needs it: a typing mistake is nobody's project's fault
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


def _known(kind: type[Settings]) -> set[type[Settings]]:
    """Return the settings of all clients and resources that were imported: a new system brings its own."""
    here = {kind} if "section" in vars(kind) else set()
    return here.union(*(_known(child) for child in kind.__subclasses__()))
