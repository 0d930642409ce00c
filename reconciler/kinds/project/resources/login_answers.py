"""What is said of a login: the decisions, with the `oauth` section and the sentence for a person.

Pure. The same words whether a pass planned or applied, so that the pass after it finds nothing to change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from reconciler.crypto.sealing import Refusal
from reconciler.engine.contract import Target
from reconciler.kinds.project.resources.login import SEALED, DeviceState, following, later, sealed_text
from reconciler.kinds.project.resources.tokens import sentence_of
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.kinds.project.waits import AUTH
from reconciler.model.decision import Decision, Settled, Waiting
from reconciler.model.json import Json, Object
from reconciler.model.status_file import status_path

D = TypeVar("D", bound=Decision)


@dataclass(frozen=True)
class Answers:
    """About one project, whose open request is `request`; `recipient` is whom to seal to, "" for nobody.

    `handed_over`: the request that was served last, as Vault knows it; "" for none, or when it was not asked.
    """

    target: Target[ProjectSpec]
    request: str
    recipient: str
    handed_over: str = ""

    @property
    def login(self) -> str:
        """The request whose tokens were received last; "" before the first."""
        return later(str(self.target.remembered.get("login") or ""), self.handed_over)

    @property
    def command(self) -> str:
        """What seals tokens for this project."""
        return f"`reconcile seal {self.target.slug}`"

    def refusal(self, refusal: Refusal | None, request_id: str) -> Refusal | None:
        """Return why an entry is not accepted, now that it is known which request is open."""
        return refusal or (None if request_id == self.request else Refusal.OTHER_REQUEST)

    def pending(self, *, lost: bool) -> Waiting:
        """Wait for a person to seal tokens."""
        reason = "the auth-service has lost the credentials" if lost else "nobody has logged in yet"
        return self._waiting(
            reason,
            f"Log in with the Claude CLI and hand over its tokens with {self.command} (docs/sealing.md).",
            self.section("pending"),
        )

    def device(self, device: DeviceState) -> Waiting:
        """Wait for a person who has been given a code."""
        ends = device.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        return self._waiting(
            "a person has to agree to the login",
            f"Open {device.verification_uri} and type the code {device.user_code} to log in.",
            self.section(
                "pending",
                verificationUri=device.verification_uri,
                userCode=device.user_code,
                expiresAt=ends,
            ),
        )

    def expired(self) -> Waiting:
        """Wait for a person to ask for a code: nobody used the last ones."""
        return self._waiting(
            "nobody used the login codes, and the last one expired", self._ask(), self.section("expired")
        )

    def ended(self, why: str) -> Waiting:
        """Wait after a person said no, or the issuer gave less than is needed."""
        if why == "incomplete":
            reason = "the issuer gave no refresh token"
            todo = f"Set oauth.scope so that the issuer gives one, and then: {self._ask()}"
        else:
            reason, todo = "the login was refused", self._ask()
        return self._waiting(reason, todo, self.section("rejected", reason=why))

    def received(self, login: str) -> Settled:
        """Say that the tokens are in Vault, and on their way."""
        return Settled({"login": login}, section=replace(self, request=login).section("sealed"))

    def stored(self, login: str) -> Settled:
        """Say that the auth-service has them; a next login would be sealed for the next request."""
        return Settled({"login": login}, section=self.stored_section(login))

    def stored_section(self, login: str) -> Object:
        """Return the section of a login that is done."""
        return replace(self, request=following(login)).section("stored")

    def refused(self, decision: D, refusal: Refusal) -> D | Waiting:
        """Return the decision with a sealed entry's refusal told first; a change goes on all the same."""
        if not isinstance(decision, Settled | Waiting):
            return decision
        section = {**(decision.section or {}), "state": "rejected", "requestId": self.request}
        return self._waiting(
            f"the sealed entry is not accepted: {sentence_of(refusal)}",
            f"Seal the tokens again with {self.command}, or take oauth.sealed out of the status file.",
            {**section, "reason": refusal.value},
        )

    def served(self, decision: D) -> D | Settled:
        """Return the decision, with a sealed entry dropped that has served: a pass died before it said so."""
        text = sealed_text(self.target.section)
        if isinstance(decision, Settled) and text is not None:
            return replace(decision, consumed={SEALED: text})
        return decision

    def _ask(self) -> str:
        path = status_path(self.target.id)
        seal = f", or seal tokens with {self.command}" if self.recipient else ""
        return f"Take the oauth section out of {path} to be given a new code{seal}."

    def section(self, state: str, **more: Json) -> Object:
        """Return the section, without what people write there."""
        recipient = {"recipient": self.recipient} if self.recipient else {}
        return {"state": state, "requestId": self.request, **recipient, **more}

    def _waiting(self, reason: str, todo: str, section: Object) -> Waiting:
        return Waiting(reason, AUTH, todo=todo, outputs=self.target.remembered, section=section)
