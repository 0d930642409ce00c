"""Hands a login's tokens from Vault to the auth-service, and says in the status file that it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

from reconciler.clients.auth_service import (
    AuthService,
    AuthServiceSettings,
    AuthServiceWriter,
    CredentialHealth,
    same_instant,
)
from reconciler.clients.vault import Vault, VaultSettings, VaultWriter
from reconciler.crypto.sealing import SealingSettings
from reconciler.engine.contract import Resource, Target
from reconciler.engine.one_by_one import read_each
from reconciler.kinds.project.resources.app_settings import is_ours, logged_in
from reconciler.kinds.project.resources.login import (
    HANDED_OVER,
    SEALED,
    SECTION,
    open_sealed,
    same_tokens,
    sealed_text,
    tokens_in,
    vault_path,
)
from reconciler.kinds.project.resources.login_answers import Answers
from reconciler.kinds.project.resources.tokens import SealedLogin, Tokens
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.kinds.project.vault_paths import OAUTH
from reconciler.kinds.project.waits import AUTH
from reconciler.model.decision import (
    Action,
    Applied,
    Change,
    Decision,
    Failed,
    Needed,
    Settled,
    Waiting,
)
from reconciler.model.errors import Senseless
from reconciler.model.json import Object
from reconciler.model.observation import Absent, Known, Observation, Remembered, Seen, State
from reconciler.model.removal import OnRemove
from reconciler.settings.giving import Reading, Settings, Writing

ENDED = "ended"
"""What the status file remembers of a login that was put an end to: its record goes on being told of."""
NEWER = "the auth-service had a login that expires later, which stays; the tokens were not handed over"


class CredentialsState(State):
    """`present`: the auth-service has credentials. `held`: Vault still has tokens that are to go there."""

    present: bool = False
    held: bool = False


class Credentials(Resource[ProjectSpec, CredentialsState]):
    """The credentials of one project at the auth-service.

    It pushes only tokens of a login, and only to an entry of the auth-service that `settings` found to be
    ours. It never deletes credentials there, nor puts older ones in the place of newer ones, and removes
    from Vault only what it has seen arrive there, or what something newer is there for. Handing over happens
    at least once: after a kill in between, the same tokens are pushed again.
    """

    name: ClassVar[str] = "credentials"
    phase: ClassVar[str] = "auth_settings"
    system: ClassVar[str] = "auth-service"
    state: ClassVar[type[State]] = CredentialsState
    needs: ClassVar[tuple[str, ...]] = ("oauth", "settings")
    section: ClassVar[str] = SECTION
    human_keys: ClassVar[tuple[str, ...]] = (SEALED,)
    audited: ClassVar[bool] = True
    settings: ClassVar[tuple[type[Settings], ...]] = (AuthServiceSettings, VaultSettings, SealingSettings)
    on_remove: ClassVar[tuple[OnRemove, ...]] = (OnRemove.DELETE, OnRemove.KEEP)
    kept: ClassVar[str] = "the login at the auth-service"

    def observe(
        self, targets: Sequence[Target[ProjectSpec]], read: Reading
    ) -> Mapping[str, Observation[CredentialsState]]:
        """Ask the auth-service, one by one, where nothing is remembered or an audit is due."""
        service, vault = read.get(AuthService), read.get(Vault)
        found: dict[str, Observation[CredentialsState]] = {}
        due: list[Target[ProjectSpec]] = []
        for target in targets:
            if (target.spec.skip_auth and not target.leaving) or _awaits_login(target):
                found[target.slug] = Absent()
            elif not target.verify:
                found[target.slug] = Remembered(CredentialsState(present=True), target.verified_at)
            else:
                due.append(target)
        return found | read_each(due, read, lambda target: _look(target, service, vault))

    def plan(
        self, target: Target[ProjectSpec], seen: Seen[CredentialsState], outputs: Mapping[str, Object]
    ) -> Decision:
        """Hand over when a login was received that was not handed over yet."""
        login = outputs["oauth"]["login"]
        known = target.remembered.get("login")
        if isinstance(seen, Known) and not seen.state.held:
            if seen.state.present and isinstance(login, str):
                return Settled({"login": login})
            if login == known:
                return _lost(target)
        elif not isinstance(seen, Known) and login == known:
            return Settled({"login": known})
        action = Action.UPDATE if known else Action.CREATE
        return Needed(
            Change(
                target.id,
                self.name,
                action,
                "hand the login's tokens to the auth-service",
                before={"login": known} if known else {},
                after={"login": login},
            )
        )

    def apply(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Push the tokens, look whether they have arrived, and only then forget them.

        A login that expires later than they do is a newer one, which somebody else brought or which was
        refreshed since: it stays, and they are forgotten.
        """
        vault, service = write.get(VaultWriter), write.get(AuthServiceWriter)
        login, path = str(change.after["login"]), vault_path(target.slug)
        secret = vault.read(path)
        tokens = tokens_in(secret)
        if secret is None or tokens is None:
            there = logged_in(target, service, service.health(target.slug))
            return self._done(target, login, None) if there else _lost(target)
        if not (whose := target.mark.whose(secret.metadata)).ours:
            return Failed(f"Vault has a secret at {path} that {whose.history}", "remove it", conflict=True)
        newer = _outlasts(service.health(target.slug), tokens)
        if not newer:
            service.push_credentials(
                target.slug,
                access_token=tokens.access_token,
                refresh_token=tokens.refresh_token,
                expires_at=tokens.expires_at,
            )
            if not _has(service.health(target.slug), tokens, target.now):
                raise Senseless(service.system, "confirmed tokens that it does not have")
        vault.delete(path)
        vault.annotate(path, {**target.mark.words(), HANDED_OVER: login})
        done = self._done(target, login, tokens)
        return replace(done, note=NEWER) if newer else done

    def plan_removal(
        self, target: Target[ProjectSpec], seen: Seen[CredentialsState], wish: OnRemove
    ) -> Decision:
        """Put an end to the login, in the end: it could not be had back without a person."""
        if isinstance(seen, Absent) or not seen.state.present:
            return Settled()
        if wish is OnRemove.DISABLE or target.remembered.get(ENDED):
            return Settled(target.remembered)
        summary = "put an end to the login at the auth-service"
        return Needed(Change(target.id, self.name, Action.DELETE, summary, before={"present": True}))

    def apply_removal(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Push credentials that have expired, which set the others aside: it has no request that deletes."""
        service = write.get(AuthServiceWriter)
        project = service.project(target.slug)
        if project is None or not is_ours(target, project):
            return Settled(note="the auth-service's entry is not ours, and stays")
        service.end_credentials(target.slug)
        health = service.health(target.slug)
        if health is not None and health.has_valid_credential:
            raise Senseless(self.system, "confirmed the end of a login that it goes on having")
        return Settled({ENDED: True})

    def _done(self, target: Target[ProjectSpec], login: str, tokens: Tokens | None) -> Settled:
        """Say that it is stored; the sealed entry has served if it holds just what was pushed."""
        sealing = self.sections.get(SealingSettings)
        section = Answers(target, login, sealing.recipient).stored_section(login)
        text = sealed_text(target.section)
        opened = open_sealed(target.section, sealing.keys, target.id, target.now)
        served = tokens and isinstance(opened, SealedLogin) and same_tokens(tokens, opened.tokens)
        return Settled({"login": login}, section=section, consumed={SEALED: text} if served and text else {})


def _outlasts(health: CredentialHealth | None, tokens: Tokens) -> bool:
    """Tell whether the auth-service has a login that expires later than these tokens."""
    until = health.valid_until if health else None
    return until is not None and until > tokens.expires_at and not same_instant(until, tokens.expires_at)


def _has(health: CredentialHealth | None, tokens: Tokens, now: datetime) -> bool:
    """Tell whether the auth-service has these tokens, or what it has made of them since.

    Of tokens that have expired it only tells that there is something to refresh.
    """
    if health is None:
        return False
    if health.valid_until is None:
        return tokens.expires_at <= now and health.has_refresh_token
    return _outlasts(health, tokens) or same_instant(health.valid_until, tokens.expires_at)


def _awaits_login(target: Target[ProjectSpec]) -> bool:
    """Whether there cannot be anything to hand over: a first login is still awaited."""
    return not target.remembered.get("login") and target.section.get("state") in ("pending", "expired")


def _look(target: Target[ProjectSpec], service: AuthService, vault: Vault) -> Known[CredentialsState]:
    held = False
    if target.section.get("state") != "stored" and target.slug in vault.names(OAUTH):
        held = tokens_in(vault.read(vault_path(target.slug))) is not None
    present = logged_in(target, service, service.health(target.slug))
    return Known(CredentialsState(present=present, held=held))


def _lost(target: Target[ProjectSpec]) -> Waiting:
    return Waiting(
        "the auth-service does not have the credentials any more",
        AUTH,
        todo=f"Log in again and hand over the tokens with `reconcile seal {target.slug}`.",
    )
