"""`reconciler.yaml` and the environment, as the sections that clients and resources ask for."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr
from pydantic.alias_generators import to_camel

from reconciler.model.duration import Duration, DurationOrZero
from reconciler.model.errors import ConfigurationError, UnusableSetting
from reconciler.model.yaml_read import load_yaml
from reconciler.settings.giving import Sections, Settings

DEFAULT_FILE = Path("reconciler.yaml")


class ScheduleSettings(Settings):
    """When passes run, and how old a verification of what is read one by one may get."""

    section: ClassVar[str] = "schedule"

    interval: Duration = timedelta(minutes=5)
    """How long after the beginning of one pass the next one begins."""
    jitter: DurationOrZero = timedelta(seconds=30)
    """By how much that varies, so that several reconcilers do not knock all at once; `0s` for not at all."""
    least_pause: Duration = timedelta(seconds=30)
    """Between one pass and the next where a machine is awaited, however soon that may be ready: each pass
    reads everything. A push or a request does not wait for it."""
    verify_within: Duration = timedelta(hours=24)
    """What is read one by one (webhooks, secrets, the auth-service) is read again at the latest after this
    long."""
    heartbeat: Path | None = Field(None, validation_alias=AliasChoices("heartbeat", "RECONCILER_HEARTBEAT"))
    """A file that the loop touches after every pass that ran to its end; the container's health check."""


class Scope(StrEnum):
    """What a bearer token may do."""

    READ = "read"
    WRITE = "write"
    SUBMIT_TOKENS = "submit-tokens"


class ApiToken(BaseModel):
    """One bearer token as the configuration knows it: by its hash, so that nobody can take it from there."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    expires: date | None = None


class ServeSettings(Settings):
    """`reconcile serve`: the HTTP API, the MCP server and the webhook of the config repository."""

    section: ClassVar[str] = "serve"

    host: str = "127.0.0.1"
    """The address to listen on; `0.0.0.0` in a pod. There is no TLS: put an ingress in front."""
    port: int = Field(8080, ge=0, le=65535)
    """The port to listen on; 0 for any that is free."""
    tokens: tuple[ApiToken, ...] = ()
    """Who may use the API: a list of `{name, scopes, sha256, expires}`, where `scopes` are of `read`,
    `write` and `submit-tokens`, and `expires` is a date. `reconcile token` makes one and prints its entry."""
    onboard_by: Literal["pull-request", "commit"] = "pull-request"
    """What `POST /onboard` does with a project file: open a pull request in the config repository, for
    which that repository has to be on GitHub, or commit it to the branch."""
    ready_within: Duration = timedelta(minutes=30)
    """`/readyz` answers 200 while the last pass that ran to its end is no older than this."""
    webhook_secret: SecretStr | None = Field(
        None, validation_alias=AliasChoices("webhookSecret", "RECONCILER_WEBHOOK_SECRET")
    )
    """The secret of the config repository's webhook on GitHub (events: push; content type: JSON).
    Deliveries go to `/webhooks/github` and start a pass at once."""


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
        # Read all of it now: a typing mistake shall end the program, and not show as some project's error.
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


def known_settings(kind: type[Settings] = Settings) -> set[type[Settings]]:
    """Return the settings of all clients and resources that were imported: a new system brings its own."""
    here = {kind} if "section" in vars(kind) else set()
    return here.union(*(known_settings(child) for child in kind.__subclasses__()))
