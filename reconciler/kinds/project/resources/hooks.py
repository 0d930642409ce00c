"""What the webhooks of repositories and of organizations have in common: settings, state, comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import AliasChoices, Field, SecretStr

from reconciler.clients.github import Hook
from reconciler.model.json import Json, Object
from reconciler.model.observation import State
from reconciler.settings.giving import Settings

NOTE = "webhook"
"""The custom metadata of the secret that say which webhook has it: `<id>: <version>`.

Only this proves which webhook we made: a status file could name any.
"""
Event = Annotated[str, Field(pattern=r"^[a-z0-9_]+$|^\*$")]
Events = Annotated[tuple[Event, ...], Field(min_length=1)]


class WebhookSettings(Settings):
    """mesh-six's webhook receiver."""

    section: ClassVar[str] = "webhook"

    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=2000)] | None = None
    """Where GitHub sends events to; must be reachable from there. Without it no webhook is made."""
    events: Events = ("issue_comment", "issues", "pull_request", "pull_request_review", "push")
    """What GitHub tells of a repository; events that people add to a webhook stay."""
    organization_secret: SecretStr | None = Field(
        None, validation_alias=AliasChoices("organizationSecret", "GITHUB_WEBHOOK_SECRET")
    )
    """The receiver's own secret (its GITHUB_WEBHOOK_SECRET), with which GitHub signs what organizations send.
    Without it no organization gets a webhook, and nobody is told when a card moves on a board. A new one
    counts from the next pass on."""
    organization_events: Events = ("projects_v2_item",)
    """What GitHub tells of an organization: boards are an organization's, and no repository sends their
    events."""

    def missing(self) -> str | None:
        """Off without a URL."""
        return None if self.url else "webhook.url"


class HookState(State):
    """The webhook with our URL. `twins`: ids of further ones with the same URL.

    `written`: the version of the secret that we wrote to it last; None when that is not known.
    """

    hook_id: int
    url: str
    events: tuple[str, ...]
    content_type: str = "json"
    insecure: bool = False
    has_secret: bool = True
    active: bool = True
    twins: tuple[int, ...] = ()
    written: str | None = None


def noted(metadata: Mapping[str, str]) -> tuple[int | None, str | None]:
    """Return which webhook has the secret, and which version of it."""
    number, _, version = metadata.get(NOTE, "").partition(": ")
    return (int(number), version) if number.isdecimal() and version else (None, None)


def ours(hooks: Sequence[Hook], url: str, number: int | None) -> Hook | None:
    """Return the webhook with our URL, of several the noted one; else ours of before the URL changed."""
    same = [hook for hook in hooks if hook.url == url]
    by_number = [hook for hook in hooks if hook.id == number]
    return next((hook for hook in same if hook.id == number), next(iter([*same, *by_number]), None))


def state_of(hook: Hook, hooks: Sequence[Hook], written: str | None) -> HookState:
    """Return the webhook as it is compared."""
    return HookState(
        hook_id=hook.id,
        url=hook.url,
        events=tuple(sorted(hook.events)),
        content_type=hook.content_type,
        insecure=hook.insecure,
        has_secret=hook.has_secret,
        active=hook.active,
        twins=tuple(each.id for each in hooks if each.url == hook.url and each.id != hook.id),
        written=written,
    )


def remembered_hook(outputs: Object) -> HookState | None:
    """Return the webhook that a status file remembers."""
    number, url, events = outputs.get("hookId"), outputs.get("url"), outputs.get("events")
    if not (isinstance(number, int) and isinstance(url, str) and isinstance(events, Sequence)):
        return None
    version = outputs.get("secretVersion")
    return HookState(
        hook_id=number,
        url=url,
        events=tuple(str(event) for event in events),
        written=version if isinstance(version, str) else None,
        active=outputs.get("active") is not False,
    )


def differences(state: HookState, url: str, events: Iterable[str]) -> list[str]:
    """Name what is not as it should be, of all that GitHub tells."""
    compared = {
        "url": state.url != url,
        "content type": state.content_type != "json",
        "TLS verification": state.insecure,
        "active": not state.active,
        "events": "*" not in state.events and not {*events} <= {*state.events},
        "secret": not state.has_secret,
    }
    return [name for name, differs in compared.items() if differs]


def twins_note(state: HookState) -> str:
    """Return what to tell people of further webhooks with the same URL."""
    numbers = ", ".join(str(number) for number in state.twins)
    return f"GitHub has further webhooks to the same URL, remove them: {numbers}" if numbers else ""


def shown(url: str, events: Iterable[str], version: Json) -> Object:
    """Return a webhook as a plan shows it."""
    return {"url": url, "events": sorted(events), "contentType": "json", "secretVersion": version}


def outputs_of(number: int, url: str, events: Iterable[str], version: Json) -> Object:
    """Return a webhook as the status file remembers it."""
    return {"hookId": number, "url": url, "events": sorted(events), "secretVersion": version}
