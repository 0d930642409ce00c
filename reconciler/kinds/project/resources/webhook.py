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
from reconciler.kinds.project.resources.repository_reads import name_of, read_repositories
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.model.decision import Action, Applied, Change, Decision, Failed, Needed, Settled, Skipped
from reconciler.model.errors import Missing
from reconciler.model.json import Object
from reconciler.model.observation import Absent, Known, Observation, Remembered, Seen, State, Unknown
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
        full_name = github.repository(name_of(target)).full_name
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


def _secret_path(full_name: str) -> str:
    return f"{vault_paths.WEBHOOKS}/{vault_paths.webhook_name(full_name)}"
