"""The webhook of a repository's organization, through which GitHub tells mesh-six of cards that move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from reconciler.clients.github import GitHub, GitHubRepository, GitHubWriter
from reconciler.clients.vault import Vault, VaultWriter
from reconciler.engine.contract import Resource, Target
from reconciler.engine.one_by_one import read_each, unreadable
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
from reconciler.kinds.project.resources.repository_reads import read_repositories, repository_of
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.kinds.project.vault_paths import RECEIVER, organization
from reconciler.model.decision import Action, Applied, Change, Decision, Failed, Needed, Settled, Skipped
from reconciler.model.errors import Denied, Missing, Rejected, Senseless
from reconciler.model.json import Object
from reconciler.model.mark import Mark, Whose
from reconciler.model.observation import Absent, Known, Observation, Remembered, Seen, State, Unknown
from reconciler.model.removal import OnRemove
from reconciler.settings.giving import Reading, Settings, Writing

SECRET = "secret"  # noqa: S105 - the name of a key
_OURS = Mark("secret-of", "webhook-receiver")


class OrganizationHookState(State):
    """`organization`: its login; "" when the repository's owner is a user.

    `version`: of the copy of the receiver's secret in Vault; None where there is none, or of another secret.
    `whose`: the copy, by its mark.
    """

    organization: str = ""
    hook: HookState | None = None
    version: str | None = None
    whose: Whose = Whose.OURS


class OrganizationWebhook(Resource[ProjectSpec, OrganizationHookState]):
    """One webhook of the organization to `webhook.url`, signed with the receiver's own secret.

    All projects of an organization share it: whoever comes first makes it, the others find it. As with a
    repository's webhook, the URL is its identity. GitHub tells no secret, so a copy of the receiver's is kept
    in Vault: its version there is how a new one is noticed, and is noted for each webhook that has it. Never
    touches a webhook with another URL, save the one noted; never deletes one; never removes an event that
    people added.
    """

    name: ClassVar[str] = "organization-webhook"
    phase: ClassVar[str] = "initialization"
    system: ClassVar[str] = "GitHub"
    state: ClassVar[type[State]] = OrganizationHookState
    needs: ClassVar[tuple[str, ...]] = ("validate-repo", "webhook-secret")
    """Of the latter it uses nothing; but a Vault in which that is lost has no copy that can be believed."""
    audited: ClassVar[bool] = True
    settings: ClassVar[tuple[type[Settings], ...]] = (WebhookSettings,)
    on_remove: ClassVar[tuple[OnRemove, ...]] = (OnRemove.KEEP,)
    kept: ClassVar[str] = "the webhook of the organization"

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
        """Read the secret's copy once, and GitHub once for each organization of which it must be verified."""
        there, missing = read_repositories(targets, read)
        found: dict[str, Observation[OrganizationHookState]] = {**missing}
        of_organizations: list[Target[ProjectSpec]] = []
        for target in (target for target in targets if target.slug in there):
            if there[target.slug].owner_type == "Organization":
                of_organizations.append(target)
            else:
                found[target.slug] = Known(OrganizationHookState())
        if not of_organizations:
            return found
        vault = read.get(Vault)
        copy = self._copy(vault)
        due: list[Target[ProjectSpec]] = []
        for target in of_organizations:
            hook, owner = remembered_hook(target.remembered), there[target.slug].owner_login
            if hook and not target.verify and target.remembered.get("organization") == owner:
                state = copy.model_copy(update={"organization": owner, "hook": hook})
                found[target.slug] = Remembered(state, target.verified_at)
            else:
                due.append(target)
        looks: dict[str, Observation[OrganizationHookState]] = {}

        def look(target: Target[ProjectSpec]) -> Observation[OrganizationHookState]:
            repository = there[target.slug]
            if repository.owner_login not in looks:
                looks[repository.owner_login] = self._look(repository, read.get(GitHub), vault, copy)
            return looks[repository.owner_login]

        return found | read_each(due, read, look)

    def plan(
        self, target: Target[ProjectSpec], seen: Seen[OrganizationHookState], outputs: Mapping[str, Object]
    ) -> Decision:
        """Compare all that GitHub tells, and whether the secret that we wrote last is the configured one."""
        state = OrganizationHookState() if isinstance(seen, Absent) else seen.state
        if not state.organization:
            return Skipped(f"{target.spec.repo_owner} is a user, and the boards of users send no events")
        return self._compared(target, state)

    def apply(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Look again; then the copy of the secret, then the webhook, then the note of which one has it."""
        settings = self.sections.get(WebhookSettings)
        secret = settings.organization_secret
        assert settings.url and secret  # noqa: S101, PT018 - without them it is unwanted
        github, vault = write.get(GitHubWriter), write.get(VaultWriter)
        repository = repository_of(target, github)
        state = self._state(repository, github, vault, self._copy(vault))
        decision = self._compared(target, state)
        if not isinstance(decision, Needed):
            assert not isinstance(decision, Skipped)  # noqa: S101 - settled by another project, or a conflict
            return decision
        if state.version is None or state.whose is not Whose.OURS:
            found = vault.read(RECEIVER)
            vault.write(RECEIVER, {SECRET: secret}, cas=found.version if found else 0, metadata=_OURS.words())
        place = f"orgs/{state.organization}"
        events = sorted({*settings.organization_events, *(state.hook.events if state.hook else ())})
        if state.hook is None:
            number = github.create_hook(place, url=settings.url, events=events, secret=secret)
        else:
            number = state.hook.hook_id
            github.update_hook(place, number, url=settings.url, events=events, secret=secret)
        kept = vault.read(RECEIVER)
        version = kept.value_id if kept else ""
        note = {**_mark(repository).words(), NOTE: f"{number}: {version}"}
        vault.annotate(organization(state.organization), note)
        return Settled(
            {"organization": state.organization, **outputs_of(number, settings.url, events, version)}
        )

    def _compared(self, target: Target[ProjectSpec], state: OrganizationHookState) -> Decision:
        settings = self.sections.get(WebhookSettings)
        url, hook, version = settings.url or "", state.hook, state.version
        whom = f"the organization {state.organization}"
        if not state.whose.ours and not target.spec.adopt:
            return Failed(
                f"Vault has a secret at {RECEIVER} that {state.whose.history}",
                remedy="move it elsewhere; or add `adopt: true` to the project file to have it overwritten",
                conflict=True,
            )
        if hook is None:
            after = shown(url, settings.organization_events, None)
            summary = f"create the webhook of {whom} to {url}"
            return Needed(Change(target.id, self.name, Action.CREATE, summary, after=after))
        wrong = differences(hook, url, settings.organization_events)
        if version is None or hook.written != version or state.whose is not Whose.OURS:
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

    def _copy(self, vault: Vault) -> OrganizationHookState:
        """Return what Vault has of the receiver's secret, as far as it is the configured one."""
        found = vault.read(RECEIVER)
        if found is None:
            return OrganizationHookState()
        current = found.data.get(SECRET) == self.sections.get(WebhookSettings).organization_secret
        whose = _OURS.whose(found.metadata)
        return OrganizationHookState(version=found.value_id if current else None, whose=whose)

    def _look(
        self, repository: GitHubRepository, github: GitHub, vault: Vault, copy: OrganizationHookState
    ) -> Observation[OrganizationHookState]:
        try:
            return Known(self._state(repository, github, vault, copy))
        except (Missing, Denied, Rejected) as fault:
            if fault.system != self.system or isinstance(fault, Senseless):
                return unreadable(fault)
            return Unknown(
                f"GitHub does not show the webhooks of the organization {repository.owner_login}",
                "the token needs to be an owner's with the scope admin:org_hook, or an App's with the "
                "permission to write organization webhooks; or leave webhook.organizationSecret away, if "
                "somebody else has made that webhook",
            )

    def _state(
        self, repository: GitHubRepository, github: GitHub, vault: Vault, copy: OrganizationHookState
    ) -> OrganizationHookState:
        login = repository.owner_login
        if repository.owner_type != "Organization":
            return OrganizationHookState()
        hooks = github.hooks(f"orgs/{login}")
        noted_there = vault.metadata(organization(login))
        words = noted_there.metadata if noted_there else {}
        # A note of another organization that had this login says nothing of the webhooks of this one.
        number, written = noted(words) if _mark(repository).whose(words) is Whose.OURS else (None, None)
        hook = ours(hooks, self.sections.get(WebhookSettings).url or "", number)
        found = hook and state_of(hook, hooks, written if hook.id == number else None)
        return copy.model_copy(update={"organization": login, "hook": found})


def _mark(repository: GitHubRepository) -> Mark:
    return Mark("organization", repository.owner_login.lower(), repository.owner_id)
