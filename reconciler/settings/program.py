"""Settings of the program itself: when passes run, and how it is served."""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr
from pydantic.alias_generators import to_camel

from reconciler.model.duration import Duration, DurationOrZero
from reconciler.settings.giving import Settings


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
    """What asking for something by HTTP or MCP does with its file: open a pull request in the config
    repository, for which that repository has to be on GitHub, or commit it to the branch."""
    ready_within: Duration = timedelta(minutes=30)
    """`/readyz` answers 200 while the last pass that ran to its end is no older than this."""
    webhook_secret: SecretStr | None = Field(
        None, validation_alias=AliasChoices("webhookSecret", "RECONCILER_WEBHOOK_SECRET")
    )
    """The secret of the config repository's webhook on GitHub (events: push; content type: JSON).
    Deliveries go to `/webhooks/github` and start a pass at once."""
