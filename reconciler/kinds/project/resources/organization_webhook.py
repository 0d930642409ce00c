"""The webhook of a repository's organization, through which GitHub tells mesh-six of cards that move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from reconciler.clients.github import GitHub, GitHubRepository, GitHubWriter
from reconciler.clients.vault import Vault, VaultSecret, VaultWriter
from reconciler.engine.contract import Resource, Target
from reconciler.engine.one_by_one import read_each
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
from reconciler.kinds.project.vault_paths import organization_secret
from reconciler.model.decision import Action, Applied, Change, Decision, Failed, Needed, Settled, Skipped
from reconciler.model.errors import Denied, Missing
from reconciler.model.json import Object
from reconciler.model.mark import Mark, Whose
from reconciler.model.observation import Absent, Known, Observation, Remembered, Seen, State, Unknown
from reconciler.settings.giving import Reading, Settings, Writing

SECRET = "secret"  # noqa: S105 - the name of a key


class OrganizationHookState(State):
    """`organization`: its login; "" when the repository's owner is a user.

    `version`: of the copy of the secret in Vault; None where there is none. `current`: the copy is the
    configured secret. `whose`: by the mark of the copy.
    """

    organization: str = ""
    hook: HookState | None = None
    version: str | None = None
    current: bool = False
    whose: Whose = Whose.OURS


class OrganizationWebhook(Resource[ProjectSpec, OrganizationHookState]):
    """One webhook of the organization to `webhook.url`, signed with the receiver's own secret.

    All projects of an organization share it: whoever comes first makes it, the others find it. As with a
    repository's webhook, the URL is its identity. GitHub tells no secret, so a copy of the one that was
    written last is kept in Vault, with a note of the webhook that has it. Never touches one with another
    URL, save the one noted there; never deletes one; never removes an event that people added.
    """

    name: ClassVar[str] = "organization-webhook"
    phase: ClassVar[str] = "initialization"
    system: ClassVar[str] = "GitHub"
    state: ClassVar[type[State]] = OrganizationHookState
    needs: ClassVar[tuple[str, ...]] = ("validate-repo", "webhook-secret")
    """Of the latter it uses nothing; but a Vault in which that is lost has no copy that can be believed."""
    audited: ClassVar[bool] = True
    settings: ClassVar[tuple[type[Settings], ...]] = (WebhookSettings,)

    def unwanted(self, target: Target[ProjectSpec]) -> Skipped | Failed | None:
        """Skip without an address or a secret; an error when one was taken away."""
        settings = self.sections.get(WebhookSettings)
        secret = (
            None if settings.organization_secret else "webhook.organizationSecret (GITHUB_WEBHOOK_SECRET)"
        )
        missing = settings.missing() or secret
        if missing is None:
            return None
        if target.remembered:
            return Failed(
                f"{missing} is not set any more, and this project's organization has a webhook",
                remedy=f"set {missing}",
            )
        return Skipped(f"{missing} is not set", unconfigured=True)

    def observe(
        self, targets: Sequence[Target[ProjectSpec]], read: Reading
    ) -> Mapping[str, Observation[OrganizationHookState]]:
        """Ask once for each organization, where one of its projects must be verified."""
        there, missing = read_repositories(targets, read)
        found: dict[str, Observation[OrganizationHookState]] = {**missing}
        due: list[Target[ProjectSpec]] = []
        for target in (target for target in targets if target.slug in there):
            hook = remembered_hook(target.remembered)
            if there[target.slug].owner_type != "Organization":
                found[target.slug] = Known(OrganizationHookState())
            elif (
                hook and not target.verify and target.remembered.get("organization") == _owner(there, target)
            ):
                state = _remembered(_owner(there, target), hook)
                found[target.slug] = Remembered(state, target.verified_at)
            else:
                due.append(target)
        seen: dict[str, Observation[OrganizationHookState]] = {}

        def look(target: Target[ProjectSpec]) -> Observation[OrganizationHookState]:
            login = _owner(there, target)
            if login not in seen:
                seen[login] = self._look(there[target.slug], read.get(GitHub), read.get(Vault))
            return seen[login]

        return found | read_each(due, read, look)

    def plan(
        self, target: Target[ProjectSpec], seen: Seen[OrganizationHookState], outputs: Mapping[str, Object]
    ) -> Decision:
        """Compare all that GitHub tells, and whether the secret that we wrote last is the configured one."""
        state = OrganizationHookState() if isinstance(seen, Absent) else seen.state
        if not state.organization:
            return Skipped(
                f"{target.spec.repo_owner} is a user, whose boards send no events; mesh-six polls for them"
            )
        return self._compared(target, state)

    def apply(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Look again; then the copy of the secret, then the webhook, then the note of which one has it."""
        settings = self.sections.get(WebhookSettings)
        secret = settings.organization_secret
        assert settings.url and secret  # noqa: S101, PT018 - without them it is unwanted
        github, vault = write.get(GitHubWriter), write.get(VaultWriter)
        repository = github.repository(name_of(target))
        state = self._state(repository, github, vault)
        decision = self._compared(target, state)
        if not isinstance(decision, Needed):
            assert not isinstance(decision, Skipped)  # noqa: S101 - settled by another project, or a conflict
            return decision
        path, place = organization_secret(state.organization), f"orgs/{state.organization}"
        if not state.current or state.whose is not Whose.OURS:
            found = vault.read(path)
            words = _mark(repository).words()
            vault.write(path, {SECRET: secret}, cas=found.version if found else 0, metadata=words)
        events = sorted({*settings.organization_events, *(state.hook.events if state.hook else ())})
        if state.hook is None:
            number = github.create_hook(place, url=settings.url, events=events, secret=secret)
        else:
            number = state.hook.hook_id
            github.update_hook(place, number, url=settings.url, events=events, secret=secret)
        version = _version(vault.read(path))
        vault.annotate(path, {NOTE: f"{number}: {version}"})
        return Settled(
            {"organization": state.organization, **outputs_of(number, settings.url, events, version)}
        )

    def _compared(self, target: Target[ProjectSpec], state: OrganizationHookState) -> Decision:
        settings = self.sections.get(WebhookSettings)
        url, hook, version = settings.url or "", state.hook, state.version
        whom = f"the organization {state.organization}"
        if version and not state.whose.ours and not target.spec.adopt:
            return Failed(
                f"Vault has a secret at {organization_secret(state.organization)} that {state.whose.history}",
                remedy="move it elsewhere; or add `adopt: true` to the project file to have it overwritten",
                conflict=True,
            )
        if hook is None:
            after = shown(url, settings.organization_events, None)
            summary = f"create the webhook of {whom} to {url}"
            return Needed(Change(target.id, self.name, Action.CREATE, summary, after=after))
        wrong = differences(hook, url, settings.organization_events)
        if not state.current or hook.written != version or state.whose is not Whose.OURS:
            wrong.append("secret")
        if not wrong:
            told = {
                "organization": state.organization,
                **outputs_of(hook.hook_id, hook.url, hook.events, version),
            }
            return Settled(told, note=twins_note(hook))
        action = Action.UPDATE if hook.written else Action.ADOPT
        summary = f"set {', '.join(dict.fromkeys(wrong))} of the webhook of {whom} to {url}"
        before = shown(hook.url, hook.events, hook.written)
        after = shown(url, {*settings.organization_events, *hook.events}, None)
        return Needed(Change(target.id, self.name, action, summary, before, after))

    def _look(
        self, repository: GitHubRepository, github: GitHub, vault: Vault
    ) -> Observation[OrganizationHookState]:
        try:
            return Known(self._state(repository, github, vault))
        except (Missing, Denied) as fault:
            if fault.system != self.system:
                raise
            return Unknown(
                f"GitHub does not show the webhooks of the organization {repository.owner_login}",
                "the token needs to be an owner's with the scope admin:org_hook, or an App's with the "
                "permission to write organization webhooks; or leave webhook.organizationSecret away, if "
                "somebody else has made that webhook",
            )

    def _state(self, repository: GitHubRepository, github: GitHub, vault: Vault) -> OrganizationHookState:
        settings, login = self.sections.get(WebhookSettings), repository.owner_login
        if repository.owner_type != "Organization":
            return OrganizationHookState()
        hooks = github.hooks(f"orgs/{login}")
        found = vault.read(organization_secret(login))
        number, written = noted(found.metadata if found else {})
        hook = ours(hooks, settings.url or "", number)
        wanted = settings.organization_secret
        return OrganizationHookState(
            organization=login,
            hook=hook and state_of(hook, hooks, written if hook.id == number else None),
            version=found and _version(found),
            current=found is not None and found.data.get(SECRET) == wanted,
            whose=_mark(repository).whose(found.metadata) if found else Whose.OURS,
        )


def _owner(there: Mapping[str, GitHubRepository], target: Target[ProjectSpec]) -> str:
    return there[target.slug].owner_login


def _remembered(login: str, hook: HookState) -> OrganizationHookState:
    return OrganizationHookState(organization=login, hook=hook, version=hook.written, current=True)


def _mark(repository: GitHubRepository) -> Mark:
    return Mark("organization", repository.owner_login.lower(), repository.owner_id)


def _version(secret: VaultSecret | None) -> str:
    return f"{secret.version} of {secret.created.strftime('%Y-%m-%dT%H:%M:%SZ')}" if secret else ""
