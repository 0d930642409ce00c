"""The repository's webhook, through which GitHub tells mesh-six what happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from reconciler.clients.github import GitHub, GitHubRepository, GitHubWriter
from reconciler.clients.vault import Vault, VaultWriter
from reconciler.engine.contract import Resource, Target
from reconciler.engine.one_by_one import read_each
from reconciler.kinds.project import vault_paths
from reconciler.kinds.project.resources.hooks import (
    NOTE,
    HookState,
    WebhookSettings,
    differences,
    noted,
    ours,
    outputs_of,
    remembered_hook,
    shown,
    state_of,
    twins_note,
)
from reconciler.kinds.project.resources.repository_reads import (
    own_repository,
    read_repositories,
    repository_of,
)
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.model.decision import Action, Applied, Change, Decision, Failed, Needed, Settled, Skipped
from reconciler.model.errors import Missing
from reconciler.model.json import Object
from reconciler.model.observation import Absent, Known, Observation, Remembered, Seen, State, Unknown
from reconciler.model.removal import OnRemove
from reconciler.settings.giving import Reading, Settings, Writing


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
    on_remove: ClassVar[tuple[OnRemove, ...]] = (OnRemove.DELETE, OnRemove.DISABLE, OnRemove.KEEP)
    kept: ClassVar[str] = "the webhook"

    def observe(
        self, targets: Sequence[Target[ProjectSpec]], read: Reading
    ) -> Mapping[str, Observation[HookState]]:
        """Ask for each repository's webhooks where it must be verified; GraphQL has none."""
        if self.sections.get(WebhookSettings).missing():
            unset = Unknown("webhook.url is not set", "set it, so that the webhook can be found")
            return {target.slug: unset if target.leaving else Absent() for target in targets}
        there, missing = read_repositories(targets, read)
        found: dict[str, Observation[HookState]] = {**missing}
        due: list[Target[ProjectSpec]] = []
        for target in targets:
            if not target.verify and (state := remembered_hook(target.remembered)):
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
            after = shown(settings.url, settings.events, version)
            change = Change(
                target.id, self.name, Action.CREATE, f"create the webhook to {settings.url}", after=after
            )
            return Needed(change)
        state = seen.state
        written = state.written
        wrong = differences(state, settings.url, settings.events)
        if written != version:
            wrong.append("secret")
        if wrong:
            action = Action.UPDATE if written else Action.ADOPT
            summary = f"set {', '.join(wrong)} of the webhook to {settings.url}"
            before = shown(state.url, state.events, written)
            after = shown(settings.url, {*settings.events, *state.events}, version)
            return Needed(Change(target.id, self.name, action, summary, before, after))
        return Settled(outputs_of(state.hook_id, state.url, state.events, version), note=twins_note(state))

    def apply(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Look again, then create or set all of it in one write, with the secret as Vault has it now."""
        settings = self.sections.get(WebhookSettings)
        assert settings.url is not None  # noqa: S101 - plan skips it otherwise
        github, vault = write.get(GitHubWriter), write.get(VaultWriter)
        full_name = repository_of(target, github).full_name
        path = _secret_path(full_name)
        secret = vault.read(path)
        if secret is None or "secret" not in secret.data:
            raise Missing("Vault", f"the webhook secret of {target.slug} is not there")
        number, _ = noted(secret.metadata)
        hook = ours(github.hooks(f"repos/{full_name}"), settings.url, number)
        events = sorted({*settings.events, *(hook.events if hook else ())})
        if hook is None:
            number = github.create_hook(
                f"repos/{full_name}", url=settings.url, events=events, secret=secret.data["secret"]
            )
        else:
            number = hook.id
            github.update_hook(
                f"repos/{full_name}", number, url=settings.url, events=events, secret=secret.data["secret"]
            )
        # Should the secret have changed since the plan, the next pass sees another version and writes again.
        vault.annotate(path, {NOTE: f"{number}: {change.after['secretVersion']}"})
        return Settled(outputs_of(number, settings.url, events, change.after["secretVersion"]))

    def plan_removal(self, target: Target[ProjectSpec], seen: Seen[HookState], wish: OnRemove) -> Decision:
        """Have GitHub send nothing more, and in the end have no webhook of ours."""
        if isinstance(seen, Absent):
            return Settled()
        state = seen.state
        if wish is OnRemove.DELETE:
            summary = f"delete the webhook to {state.url}"
            return Needed(Change(target.id, self.name, Action.DELETE, summary, {"url": state.url}))
        if state.active:
            summary = f"switch the webhook to {state.url} off"
            change = Change(
                target.id, self.name, Action.DISABLE, summary, {"active": True}, {"active": False}
            )
            return Needed(change)
        return Settled(_switched_off(state.hook_id, state.url, state.events, state.written))

    def apply_removal(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Look again, then switch it off or delete it."""
        github, vault = write.get(GitHubWriter), write.get(VaultWriter)
        repository = own_repository(target, github)
        if repository is None:
            return Settled()
        place, path = f"repos/{repository.full_name}", _secret_path(repository.full_name)
        secret = vault.read(path)
        number, version = noted(secret.metadata if secret else {})
        hook = ours(github.hooks(place), self.sections.get(WebhookSettings).url or "", number)
        if hook is None:
            return Settled()
        if change.action is Action.DELETE:
            github.delete_hook(place, hook.id)
            return Settled()
        value = secret.data.get("secret") if secret else None
        events = sorted(hook.events)
        github.update_hook(place, hook.id, url=hook.url, events=events, secret=value, active=False)
        return Settled(_switched_off(hook.id, hook.url, events, version if value else None))

    def _look(
        self, target: Target[ProjectSpec], repository: GitHubRepository, read: Reading
    ) -> Observation[HookState]:
        url = self.sections.get(WebhookSettings).url or ""
        try:
            hooks = read.get(GitHub).hooks(f"repos/{repository.full_name}")
        except Missing:
            return Unknown(
                f"GitHub does not show the webhooks of {repository.full_name}",
                "the token needs admin access and the scope admin:repo_hook",
            )
        secret = read.get(Vault).metadata(_secret_path(repository.full_name))
        number, written = noted(secret.metadata if secret else {})
        hook = ours(hooks, url, number)
        if hook is None:
            return Absent()
        return Known(state_of(hook, hooks, written if hook.id == number else None))


def _switched_off(number: int, url: str, events: Sequence[str], version: str | None) -> Object:
    return {**outputs_of(number, url, events, version), "active": False}


def _secret_path(full_name: str) -> str:
    return f"{vault_paths.WEBHOOKS}/{vault_paths.webhook_name(full_name)}"
