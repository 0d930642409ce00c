"""The writes of a login, one step each. Every step looks at Vault first and may be repeated after a kill.

What is precious goes to Vault before anything else is done with it: a device code when it is made, tokens
when they are redeemed. Killed between the redeeming and Vault, those tokens are gone; the issuer then calls
the code spent, and a new request is made.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import SecretStr

from reconciler.clients.auth_service import AuthService, AuthServiceWriter
from reconciler.clients.oauth_issuer import Granted, OAuthIssuerWriter, Poll
from reconciler.clients.retry import repeat
from reconciler.clients.vault import VaultSecret, VaultWriter
from reconciler.engine.contract import Target
from reconciler.kinds.project.resources.app_settings import is_ours, logged_in
from reconciler.kinds.project.resources.login import (
    RENEWALS,
    DeviceState,
    device_code_in,
    device_in,
    device_metadata,
    open_sealed,
    same_tokens,
    tokens_data,
    tokens_in,
    tokens_metadata,
    vault_path,
)
from reconciler.kinds.project.resources.login_answers import Answers
from reconciler.kinds.project.resources.tokens import SealedLogin, Tokens
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.kinds.project.waits import AUTH
from reconciler.model.decision import Applied, Change, Failed, Settled, Waiting
from reconciler.model.errors import Collision, Senseless, Unavailable
from reconciler.settings.giving import Writing

SLOWER = 5
"""Seconds that a `slow_down` adds to the interval, for good (RFC 8628, section 3.5)."""


def has_login(service: AuthService, target: Target[ProjectSpec]) -> bool:
    """Tell whether the auth-service has a login of the project's: in an entry not ours it is another's."""
    project = service.project(target.slug)
    if project is None or not is_ours(target, project):
        return False
    return logged_in(target, service, service.health(target.slug))


class LoginSteps:
    """The steps of one project's login in one pass."""

    def __init__(
        self, target: Target[ProjectSpec], answers: Answers, keys: Sequence[SecretStr], write: Writing
    ) -> None:
        self._target = target
        self._answers = answers
        self._keys = tuple(keys)
        self._write = write
        self._vault = write.get(VaultWriter)
        self._path = vault_path(target.slug)

    def take_step(self, change: Change) -> Applied:
        """Make the step that the change names."""
        if change.after["step"] == "take":
            return self._take()
        done = self._poll() if change.after["step"] == "poll" else self._start(_number(change, "renewals"))
        opened = open_sealed(self._target.section, self._keys, self._target.id, self._target.now)
        if opened is None or not isinstance(done, Waiting):
            return done
        refusal = None if isinstance(opened, SealedLogin) else opened
        request_id = opened.request_id if isinstance(opened, SealedLogin) else ""
        wrong = self._answers.refusal(refusal, request_id)
        return self._answers.refused(done, wrong) if wrong else done

    def _take(self) -> Applied:
        """Put the sealed tokens into Vault; the entry itself stays until the auth-service has them."""
        opened = open_sealed(self._target.section, self._keys, self._target.id, self._target.now)
        if not isinstance(opened, SealedLogin):
            return Failed("the sealed entry changed while it was used", remedy="the next pass looks again")
        self._keep(opened.tokens)
        return self._answers.received(self._answers.request)

    def _start(self, renewals: int) -> Applied:
        """Get a code for a person to type, unless there is one, or a login after all."""
        secret = self._ours()
        if secret and tokens_in(secret):
            return self._answers.received(secret.metadata.get("request-id") or self._answers.request)
        device = device_in(secret)
        if device and device.ended == "no" and device.expires_at > self._target.now:
            return self._answers.device(device)
        if not self._answers.login and has_login(self._write.get(AuthServiceWriter), self._target):
            return self._answers.stored(self._answers.request)
        return self._request(secret, renewals)

    def _request(self, over: VaultSecret | None, renewals: int) -> Waiting:
        now = self._target.now
        made = self._write.get(OAuthIssuerWriter).start(now)
        about = device_metadata(self._target.mark, self._answers.request, made, now, renewals)
        self._vault.write(
            self._path, {"deviceCode": made.device_code}, cas=over.version if over else 0, metadata=about
        )
        return self._answers.device(
            DeviceState(
                request_id=self._answers.request,
                user_code=made.user_code,
                verification_uri=made.verification_uri,
                expires_at=made.expires_at,
                started_at=now,
                interval=made.interval,
            )
        )

    def _poll(self) -> Applied:
        """Ask once. Vault was just read, so it answers: no tokens are redeemed that could not be kept."""
        secret = self._ours()
        device, code = device_in(secret), device_code_in(secret)
        if device is None or code is None or device.ended != "no":
            return Waiting("the login was changed by somebody else", AUTH, todo="Run another pass.")
        answer = self._write.get(OAuthIssuerWriter).poll(code, self._target.now)
        if isinstance(answer, Granted):
            return self._granted(answer)
        if answer is Poll.SLOW_DOWN:
            self._vault.annotate(self._path, {"interval": str(device.interval + SLOWER)})
        if answer in {Poll.PENDING, Poll.SLOW_DOWN}:
            return self._answers.device(device)
        if answer is Poll.DENIED:
            return self._ended("denied")
        self._vault.annotate(self._path, {"ended": "expired"})
        if device.renewals >= RENEWALS:
            return self._answers.expired()
        return self._request(secret, device.renewals + 1)

    def _granted(self, granted: Granted) -> Settled | Waiting:
        if granted.refresh_token is None:
            return self._ended("incomplete")
        self._keep(Tokens(granted.access_token, granted.refresh_token, granted.expires_at))
        return self._answers.received(self._answers.request)

    def _ended(self, why: str) -> Waiting:
        self._vault.annotate(self._path, {"ended": why})
        return self._answers.ended(why)

    def _keep(self, tokens: Tokens) -> None:
        """Write tokens over whatever of ours is there. Repeated as it is: the same twice is one write.

        Also where Vault's answer was none: tokens that were redeemed are not to be had again.
        """

        def write() -> None:
            secret = self._ours()
            about = tokens_metadata(self._target.mark, self._answers.request, tokens)
            if same_tokens(tokens_in(secret), tokens) and secret and about.items() <= secret.metadata.items():
                return
            try:
                self._vault.write(
                    self._path, tokens_data(tokens), cas=secret.version if secret else 0, metadata=about
                )
            except Senseless as error:
                raise Unavailable(error.system, "did not confirm the tokens", remedy=error.remedy) from error

        repeat(write)

    def _ours(self) -> VaultSecret | None:
        secret = self._vault.read(self._path)
        if secret is not None and not (whose := self._target.mark.whose(secret.metadata)).ours:
            raise Collision("Vault", f"{self._path} has a secret that {whose.history}")
        return secret


def _number(change: Change, key: str) -> int:
    value = change.after.get(key, 0)
    return value if isinstance(value, int) else 0
