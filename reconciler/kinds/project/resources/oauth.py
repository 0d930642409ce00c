"""The one human step: a login's tokens, sealed into the status file by a person or redeemed by device flow.

Tokens and device codes rest in Vault from the moment that they are known; `credentials` hands them on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import ClassVar

from reconciler.clients.auth_service import AuthService, AuthServiceSettings, AuthServiceWriter
from reconciler.clients.oauth_issuer import OAuthIssuer, OAuthSettings
from reconciler.clients.vault import Vault, VaultSettings, VaultWriter
from reconciler.crypto.sealing import Refusal, SealingSettings
from reconciler.engine.contract import Orphan, Owners, Resource, SealedForm, Target
from reconciler.engine.one_by_one import read_each
from reconciler.kinds.parts.vault_secret import marked_secrets
from reconciler.kinds.project.resources.login import (
    RENEWALS,
    SEALED,
    SECTION,
    DeviceState,
    device_in,
    expected_request,
    handed_over_in,
    open_sealed,
    same_tokens,
    sealed_text,
    tokens_in,
    vault_path,
)
from reconciler.kinds.project.resources.login_answers import Answers
from reconciler.kinds.project.resources.login_steps import LoginSteps, has_login
from reconciler.kinds.project.resources.tokens import MADE_UP, WHAT, SealedLogin, fields_to_seal
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.kinds.project.vault_paths import OAUTH
from reconciler.model.decision import Action, Applied, Change, Decision, Failed, Needed, Settled, Skipped
from reconciler.model.errors import NotConfigured
from reconciler.model.json import Json, Object
from reconciler.model.mark import Whose
from reconciler.model.observation import Absent, Known, Observation, Remembered, Seen, State
from reconciler.model.removal import OnRemove
from reconciler.settings.giving import Reading, Settings, Writing

ASK_AGAIN = timedelta(minutes=15)
"""While a person is awaited, how often the auth-service is asked if it got credentials some other way."""


class EntryState(State):
    """A sealed entry: why it is refused, or for which request it is. `held`: Vault has just these tokens."""

    refusal: Refusal | None = None
    request_id: str = ""
    held: bool = False


class OAuthState(State):
    """Where a login stands.

    `stored`: whether the auth-service has credentials; None when it was not asked. `held`: the request whose
    tokens are in Vault. `device`: the open request of a device flow. `whose`: the secret in Vault's place for
    it. `handed_over`: the last request that was served, as Vault knows it.
    """

    stored: bool | None = None
    held: str | None = None
    device: DeviceState | None = None
    entry: EntryState | None = None
    whose: Whose = Whose.OURS
    handed_over: str = ""


class OAuth(Resource[ProjectSpec, OAuthState]):
    """Receives a login's tokens into `mesh-six/oauth/<slug>`.

    It never asks for a login while the auth-service has one, never removes a sealed entry that was not used,
    and never changes a secret at that path that is not marked as this project's.
    """

    name: ClassVar[str] = "oauth"
    phase: ClassVar[str] = "auth_settings"
    system: ClassVar[str] = "OAuth"
    state: ClassVar[type[State]] = OAuthState
    needs: ClassVar[tuple[str, ...]] = ("validate-repo",)
    provides: ClassVar[tuple[str, ...]] = ("login",)
    section: ClassVar[str] = SECTION
    human_keys: ClassVar[tuple[str, ...]] = (SEALED,)
    sealed: ClassVar[SealedForm | None] = SealedForm(
        key=SEALED,
        read=fields_to_seal,
        what=WHAT,
        made_up=MADE_UP,
        handed_over="Nothing to do: the tokens are there, sealed, and the next pass stores them.",
    )
    audited: ClassVar[bool] = True
    settings: ClassVar[tuple[type[Settings], ...]] = (
        SealingSettings,
        OAuthSettings,
        VaultSettings,
        AuthServiceSettings,
    )

    on_remove: ClassVar[tuple[OnRemove, ...]] = (OnRemove.DELETE, OnRemove.KEEP)
    kept: ClassVar[str] = "what Vault has of its logins"

    def unwanted(self, target: Target[ProjectSpec]) -> Skipped | None:
        """Nobody logs in where the project file says so."""
        if target.spec.skip_auth:
            return Skipped("skipAuth is set: take it out of the project file to log in later")
        return None

    def observe(
        self, targets: Sequence[Target[ProjectSpec]], read: Reading
    ) -> Mapping[str, Observation[OAuthState]]:
        """Look at entries, at Vault for logins under way, at the auth-service where nothing else tells."""
        self._check_configured(read)
        vault, service = read.get(Vault), read.get(AuthService)
        leaving: dict[str, Observation[OAuthState]] = {
            target.slug: Known(OAuthState()) if target.slug in vault.names(OAUTH) else Absent()
            for target in targets
            if target.leaving
        }
        targets = [target for target in targets if not target.leaving]
        found: dict[str, Observation[OAuthState]] = {
            target.slug: Known(OAuthState()) for target in targets if _is_handed_over(target)
        }
        looked = [target for target in targets if target.slug not in found]
        found |= read_each(looked, read, lambda target: Known(self._look(target, vault)))
        # A second round, so that those whose tokens are at hand do not wait for the auth-service.
        states = {slug: each.state for slug, each in found.items() if isinstance(each, Known)}
        readable = [target for target in targets if target.slug in states]
        asked = [target for target in readable if _asks_service(target, states[target.slug])]
        return {
            **leaving,
            **found,
            **{target.slug: _unasked(target, states[target.slug]) for target in readable},
            **read_each(asked, read, lambda target: _stored(service, target, states[target.slug])),
        }

    def plan(
        self, target: Target[ProjectSpec], seen: Seen[OAuthState], outputs: Mapping[str, Object]
    ) -> Decision:
        """Decide in this order: what a person dropped, what Vault holds, what the auth-service has."""
        state = OAuthState() if isinstance(seen, Absent) else seen.state
        repository = outputs["validate-repo"]["id"]
        answers = self._answers(target, repository, state.handed_over)
        if not state.whose.ours:
            return self._foreign(target, repository, state.whose)
        refusal = answers.refusal(state.entry.refusal, state.entry.request_id) if state.entry else None
        if state.entry and not refusal and not (state.entry.held and state.held == answers.request):
            return _step(target, "take", "take the sealed tokens into Vault", requestId=answers.request)
        if state.held is not None:
            return answers.received(state.held or answers.request)
        decision = self._without_entry(target, state, answers)
        if state.entry and state.entry.request_id and state.entry.request_id == state.handed_over:
            return answers.served(decision)
        return answers.refused(decision, refusal) if refusal else decision

    def apply(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Make the one step that the change names."""
        if change.after["step"] == "adopt":
            return self._adopt(target, change, write)
        answers = Answers(
            target, str(change.after["requestId"]), self.sections.get(SealingSettings).recipient
        )
        keys = self.sections.get(SealingSettings).keys
        return LoginSteps(target, answers, keys, write).take_step(change)

    def plan_removal(self, target: Target[ProjectSpec], seen: Seen[OAuthState], wish: OnRemove) -> Decision:
        """Let a login be until the end; then Vault forgets it, and which requests there were."""
        if isinstance(seen, Absent):
            return Settled()
        if wish is OnRemove.DISABLE:
            return Settled(target.remembered, section=target.section or None)
        path = vault_path(target.slug)
        return Needed(
            Change(target.id, self.name, Action.DELETE, f"delete the logins at {path}", {"vault": path})
        )

    def apply_removal(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Delete what carries our mark."""
        vault, path = write.get(VaultWriter), vault_path(target.slug)
        known = vault.metadata(path)
        if known is not None and target.mark.whose(known.metadata).ours:
            vault.delete(path)
        return Settled()

    def orphans(self, owners: Owners, read: Reading) -> Sequence[Orphan]:
        """Look at the logins of slugs that nobody has."""
        vault = read.get(Vault)
        suspects = [name for name in vault.names(OAUTH) if name not in owners.proofs]
        return marked_secrets(self.name, owners, vault, OAUTH, suspects)

    def _without_entry(self, target: Target[ProjectSpec], state: OAuthState, answers: Answers) -> Decision:
        device_flow = self.sections.get(OAuthSettings).flow == "device"
        start = _step(target, "start", "ask the issuer for a login", requestId=answers.request, renewals=0)
        if device_flow and state.device:
            return _device(target, state.device, answers, start)
        if state.stored or (state.stored is None and answers.login):
            # Only a person takes our section out of a status file: that is how a new login is asked for.
            asked = device_flow and answers.login and not target.section
            return start if asked else answers.stored(answers.login or answers.request)
        if device_flow:
            return start
        return answers.pending(lost=bool(answers.login))

    def _foreign(self, target: Target[ProjectSpec], repository: Json, whose: Whose) -> Decision:
        path = vault_path(target.slug)
        if target.spec.adopt:
            return _step(
                target, "adopt", f"take over the secret at {path}", Action.ADOPT, repository=repository
            )
        return Failed(
            f"Vault has a secret at {path} that {whose.history}",
            remedy="remove it, or write adopt: true in the project file to take it over",
            conflict=True,
        )

    def _adopt(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        vault = write.get(VaultWriter)
        vault.annotate(vault_path(target.slug), target.mark.words())
        stored = has_login(write.get(AuthServiceWriter), target)
        state = self._look(target, vault).model_copy(update={"stored": stored})
        decision = self.plan(target, Known(state), {"validate-repo": {"id": change.after["repository"]}})
        if isinstance(decision, Needed):
            return self.apply(target, decision.change, write)
        assert not isinstance(decision, Skipped)  # noqa: S101 - a skipped login plans no change
        return decision

    def _answers(self, target: Target[ProjectSpec], repository: Json, handed_over: str) -> Answers:
        request = expected_request(target, repository, handed_over)
        return Answers(target, request, self.sections.get(SealingSettings).recipient, handed_over)

    def _check_configured(self, read: Reading) -> None:
        sealing, oauth = self.sections.get(SealingSettings), self.sections.get(OAuthSettings)
        if oauth.flow == "device":
            read.get(OAuthIssuer)
        elif setting := sealing.missing():
            raise NotConfigured(
                "the sealing of tokens is not configured", remedy=f"set {setting} to turn it on"
            )
        sealing.check()

    def _look(self, target: Target[ProjectSpec], vault: Vault) -> OAuthState:
        keys = self.sections.get(SealingSettings).keys
        opened = open_sealed(target.section, keys, target.id, target.now)
        here = target.slug in vault.names(OAUTH)
        secret = vault.read(vault_path(target.slug)) if here else None
        if secret is not None and not (whose := target.mark.whose(secret.metadata)).ours:
            return OAuthState(whose=whose)
        kept = secret or (vault.metadata(vault_path(target.slug)) if here else None)
        tokens = tokens_in(secret)
        entry = None
        if isinstance(opened, SealedLogin):
            entry = EntryState(request_id=opened.request_id, held=same_tokens(tokens, opened.tokens))
        elif opened is not None:
            entry = EntryState(refusal=opened)
        device = device_in(secret) if self.sections.get(OAuthSettings).flow == "device" else None
        held = secret.metadata.get("request-id", "") if secret and tokens else None
        handed_over = handed_over_in(kept.metadata, target.proof) if kept else ""
        return OAuthState(held=held, device=device, entry=entry, handed_over=handed_over)


def poll_due(device: DeviceState, target: Target[ProjectSpec]) -> bool:
    """Whether the issuer may be asked again.

    `verified_at` moves only in passes that asked, and is kept outside git: so asking changes no file.
    """
    if device.ended != "no" or device.expires_at <= target.now:
        return False
    last = max(device.started_at, target.verified_at or device.started_at)
    # A moment that is still to come was read off a clock that was wrong: then nobody knows, and it is asked.
    return last > target.now or target.now - last >= timedelta(seconds=device.interval)


def _is_handed_over(target: Target[ProjectSpec]) -> bool:
    """Whether Vault has nothing to tell: the last login is at the auth-service, and nobody sealed another."""
    stored = bool(target.remembered.get("login")) and target.section.get("state") == "stored"
    return stored and sealed_text(target.section) is None


def _unasked(target: Target[ProjectSpec], state: OAuthState) -> Observation[OAuthState]:
    polls = state.device is not None and poll_due(state.device, target)
    return Known(state) if polls else Remembered(state, target.verified_at)


def _stored(service: AuthService, target: Target[ProjectSpec], state: OAuthState) -> Known[OAuthState]:
    return Known(state.model_copy(update={"stored": has_login(service, target)}))


def _asks_service(target: Target[ProjectSpec], state: OAuthState) -> bool:
    entry = state.entry
    usable = entry and not entry.refusal and entry.request_id == target.section.get("requestId")
    if not target.verify or usable or not state.whose.ours or state.device or state.held is not None:
        return False
    first = not target.remembered.get("login") and bool(target.section)
    return not first or target.verified_at is None or target.now - target.verified_at >= ASK_AGAIN


def _device(target: Target[ProjectSpec], device: DeviceState, answers: Answers, start: Needed) -> Decision:
    expired = device.ended == "expired" or (device.ended == "no" and device.expires_at <= target.now)
    if device.ended == "no" and not expired:
        if poll_due(device, target):
            return _step(
                target, "poll", "ask the issuer whether the login is done", requestId=device.request_id
            )
        return answers.device(device)
    if not target.section:
        return start
    if not expired:
        return answers.ended(device.ended)
    if device.renewals >= RENEWALS:
        return answers.expired()
    summary = "ask the issuer for a login again, since the last request expired"
    return _step(target, "start", summary, requestId=answers.request, renewals=device.renewals + 1)


def _step(
    target: Target[ProjectSpec], step: str, summary: str, action: Action | None = None, **after: Json
) -> Needed:
    usual = Action.UPDATE if target.remembered.get("login") else Action.CREATE
    return Needed(Change(target.id, OAuth.name, action or usual, summary, after={"step": step, **after}))
