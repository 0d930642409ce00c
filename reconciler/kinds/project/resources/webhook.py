"""The repository's webhook, through which GitHub tells mesh-six what happens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from reconciler.clients.github import GitHub, GitHubRepository, GitHubWriter, Hook
from reconciler.clients.vault import Vault, VaultWriter
from reconciler.engine.contract import Resource, Target
from reconciler.engine.one_by_one import read_each
from reconciler.kinds.project import vault_paths
from reconciler.kinds.project.resources.repository_reads import name_of, read_repositories
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.model.decision import Action, Applied, Change, Decision, Failed, Needed, Settled, Skipped
from reconciler.model.errors import Missing
from reconciler.model.json import Json, Object
from reconciler.model.observation import Absent, Known, Observation, Remembered, Seen, State, Unknown
from reconciler.settings.giving import Reading, Settings, Writing

NOTE = "webhook"
"""The custom metadata of the secret that say which webhook has it: `<id>: <version>`.

Only this proves which webhook we made: a status file could name any.
"""


class WebhookSettings(Settings):
    """mesh-six's webhook receiver."""

    section: ClassVar[str] = "webhook"

    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=2000)] | None = None
    """Where GitHub sends events to; must be reachable from there. Without it no webhook is made."""
    events: Annotated[tuple[Annotated[str, Field(pattern=r"^[a-z_]+$|^\*$")], ...], Field(min_length=1)] = (
        "issue_comment",
        "issues",
        "pull_request",
        "pull_request_review",
        "push",
    )
    """What GitHub tells; events that people add to a webhook stay."""

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


class Webhook(Resource[ProjectSpec, HookState]):
    """One webhook to `webhook.url`, JSON, signed with the secret of `webhook-secret`.

    A webhook has no place for a marker: the URL is its identity, because only mesh-six's webhooks go to
    mesh-six's receiver. So one with our URL that we did not make is adopted, and its write-only secret
    written once; which one has it is noted in Vault beside the secret. Never touches a webhook with another
    URL, save the one noted there, from before `webhook.url` changed; never deletes one; never removes an
    event that people added.
    """

    name: ClassVar[str] = "webhook"
    phase: ClassVar[str] = "initialization"
    system: ClassVar[str] = "GitHub"
    state: ClassVar[type[State]] = HookState
    needs: ClassVar[tuple[str, ...]] = ("validate-repo", "webhook-secret")
    audited: ClassVar[bool] = True
    settings: ClassVar[tuple[type[Settings], ...]] = (WebhookSettings,)

    def observe(
        self, targets: Sequence[Target[ProjectSpec]], read: Reading
    ) -> Mapping[str, Observation[HookState]]:
        """Ask for each repository's webhooks where it must be verified; GraphQL has none."""
        if self.sections.get(WebhookSettings).missing():
            return {target.slug: Absent() for target in targets}
        there, missing = read_repositories(targets, read)
        found: dict[str, Observation[HookState]] = {**missing}
        due: list[Target[ProjectSpec]] = []
        for target in targets:
            if not target.verify and (state := _remembered(target.remembered)):
                found[target.slug] = Remembered(state, target.verified_at)
            elif target.slug in there:
                due.append(target)
        return found | read_each(due, read, lambda target: self._look(target, there[target.slug], read))

    def plan(
        self, target: Target[ProjectSpec], seen: Seen[HookState], outputs: Mapping[str, Object]
    ) -> Decision:
        """Compare all that GitHub tells, and for the secret the version that we wrote last."""
        settings = self.sections.get(WebhookSettings)
        if settings.url is None:
            if target.remembered:
                return Failed(
                    "webhook.url is not set any more, and this project has a webhook",
                    remedy="set webhook.url",
                )
            return Skipped("webhook.url is not set", unconfigured=True)
        version = outputs["webhook-secret"].get("version")
        if isinstance(seen, Absent):
            after = _shown(settings.url, settings.events, version)
            change = Change(
                target.id, self.name, Action.CREATE, f"create the webhook to {settings.url}", after=after
            )
            return Needed(change)
        state = seen.state
        written = state.written
        wrong = _differences(state, settings)
        if written != version:
            wrong.append("secret")
        if wrong:
            action = Action.UPDATE if written else Action.ADOPT
            summary = f"set {', '.join(wrong)} of the webhook to {settings.url}"
            before = _shown(state.url, state.events, written)
            after = _shown(settings.url, {*settings.events, *state.events}, version)
            return Needed(Change(target.id, self.name, action, summary, before, after))
        note = ""
        if state.twins:
            numbers = ", ".join(str(number) for number in state.twins)
            note = f"GitHub has further webhooks to the same URL, remove them: {numbers}"
        return Settled(_outputs(state.hook_id, state.url, state.events, version), note=note)

    def apply(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Look again, then create or set all of it in one write, with the secret as Vault has it now."""
        settings = self.sections.get(WebhookSettings)
        assert settings.url is not None  # noqa: S101 - plan skips it otherwise
        github, vault = write.get(GitHubWriter), write.get(VaultWriter)
        full_name = github.repository(name_of(target)).full_name
        path = _secret_path(full_name)
        secret = vault.read(path)
        if secret is None or "secret" not in secret.data:
            raise Missing("Vault", f"the webhook secret of {target.slug} is not there")
        number, _ = _noted(secret.metadata)
        hook = _ours(github.hooks(full_name), settings.url, number)
        events = sorted({*settings.events, *(hook.events if hook else ())})
        if hook is None:
            number = github.create_hook(
                full_name, url=settings.url, events=events, secret=secret.data["secret"]
            )
        else:
            number = hook.id
            github.update_hook(
                full_name, number, url=settings.url, events=events, secret=secret.data["secret"]
            )
        # Should the secret have changed since the plan, the next pass sees another version and writes again.
        vault.annotate(path, {NOTE: f"{number}: {change.after['secretVersion']}"})
        return Settled(_outputs(number, settings.url, events, change.after["secretVersion"]))

    def _look(
        self, target: Target[ProjectSpec], repository: GitHubRepository, read: Reading
    ) -> Observation[HookState]:
        url = self.sections.get(WebhookSettings).url or ""
        try:
            hooks = read.get(GitHub).hooks(repository.full_name)
        except Missing:
            return Unknown(
                f"GitHub does not show the webhooks of {repository.full_name}",
                "the token needs admin access and the scope admin:repo_hook",
            )
        secret = read.get(Vault).metadata(_secret_path(repository.full_name))
        number, written = _noted(secret.metadata if secret else {})
        hook = _ours(hooks, url, number)
        if hook is None:
            return Absent()
        return Known(_state(hook, hooks, written if hook.id == number else None))


def _secret_path(full_name: str) -> str:
    return f"{vault_paths.WEBHOOKS}/{vault_paths.webhook_name(full_name)}"


def _noted(metadata: Mapping[str, str]) -> tuple[int | None, str | None]:
    """Return which webhook has the secret, and which version of it."""
    number, _, version = metadata.get(NOTE, "").partition(": ")
    return (int(number), version) if number.isdecimal() and version else (None, None)


def _ours(hooks: Sequence[Hook], url: str, number: int | None) -> Hook | None:
    """Return the webhook with our URL, of several the noted one; else ours of before the URL changed."""
    same = [hook for hook in hooks if hook.url == url]
    noted = [hook for hook in hooks if hook.id == number]
    return next((hook for hook in same if hook.id == number), next(iter([*same, *noted]), None))


def _state(hook: Hook, hooks: Sequence[Hook], written: str | None) -> HookState:
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


def _remembered(outputs: Object) -> HookState | None:
    number, url, events = outputs.get("hookId"), outputs.get("url"), outputs.get("events")
    if not (isinstance(number, int) and isinstance(url, str) and isinstance(events, Sequence)):
        return None
    version = outputs.get("secretVersion")
    return HookState(
        hook_id=number,
        url=url,
        events=tuple(str(event) for event in events),
        written=version if isinstance(version, str) else None,
    )


def _differences(state: HookState, settings: WebhookSettings) -> list[str]:
    compared = {
        "url": state.url != settings.url,
        "content type": state.content_type != "json",
        "TLS verification": state.insecure,
        "active": not state.active,
        "events": "*" not in state.events and not {*settings.events} <= {*state.events},
        "secret": not state.has_secret,
    }
    return [name for name, differs in compared.items() if differs]


def _shown(url: str, events: Iterable[str], version: Json) -> Object:
    return {"url": url, "events": sorted(events), "contentType": "json", "secretVersion": version}


def _outputs(number: int, url: str, events: Iterable[str], version: Json) -> Object:
    return {"hookId": number, "url": url, "events": sorted(events), "secretVersion": version}
