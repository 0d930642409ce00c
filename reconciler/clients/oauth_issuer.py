"""The device flow of RFC 8628 against any issuer, one step a call.

Keeps nothing between calls and never sleeps: when to ask again is the caller's to remember. An answer is
judged by its `error` member, because issuers disagree about the status code that goes with it. The steps are
in docs/systems/claude-login.md, "The device flow".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from reconciler.clients.answers import object_in
from reconciler.clients.http import JsonClient
from reconciler.model.errors import ConfigurationError, Denied, Missing, Rejected, Senseless, SystemFault
from reconciler.settings.giving import Reader, Sections, Settings, WebAddress, Writer

SYSTEM = "oauth issuer"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
DISCOVERY = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
UNNAMED_LIFETIME = timedelta(hours=1)
"""Of an access token whose answer has no `expires_in`: too short only means an early refresh."""


class OAuthSettings(Settings):
    """How a project comes by its login: sealed by a person (`manual`), or by device flow at an issuer."""

    section: ClassVar[str] = "oauth"

    flow: Literal["manual", "device"] = Field("manual", validation_alias=AliasChoices("flow", "OAUTH_FLOW"))
    """`manual`: a person seals tokens. `device`: the issuer shows a code to type in (RFC 8628)."""
    issuer: WebAddress | None = Field(None, validation_alias=AliasChoices("issuer", "OAUTH_ISSUER"))
    """The issuer of the device flow; its metadata tell the endpoints."""
    client_id: str | None = Field(None, validation_alias=AliasChoices("clientId", "OAUTH_CLIENT_ID"))
    """The client that is registered there for the device flow."""
    client_secret: SecretStr | None = Field(
        None, validation_alias=AliasChoices("clientSecret", "OAUTH_CLIENT_SECRET")
    )
    """Its secret, if it has one."""
    scope: str | None = None
    """The scopes to ask for, with spaces between them; must make the issuer give a refresh token."""

    def missing(self) -> str | None:
        """Off without an issuer, unless the flow that needs one was chosen: that is half set, not off."""
        return None if self.issuer or self.flow == "device" else "oauth.issuer (OAUTH_ISSUER)"

    def check(self) -> None:
        """Raise ConfigurationError when the device flow lacks a part."""
        if not self.issuer:
            raise ConfigurationError(
                "oauth.flow is device, but there is no issuer", remedy="set oauth.issuer (OAUTH_ISSUER)"
            )
        if not self.client_id:
            raise ConfigurationError(
                "oauth.issuer is set, but no client", remedy="set oauth.clientId (OAUTH_CLIENT_ID)"
            )


@dataclass(frozen=True)
class DeviceRequest:
    """A request that waits for a person. `interval` is whole seconds between two polls."""

    device_code: SecretStr
    user_code: str
    verification_uri: str
    expires_at: datetime
    interval: int


@dataclass(frozen=True)
class Granted:
    """The person agreed. These tokens are given once; `refresh_token` is None when the issuer gave none."""

    access_token: SecretStr
    refresh_token: SecretStr | None
    expires_at: datetime


class Poll(StrEnum):
    """The other answers to a poll."""

    PENDING = "authorization_pending"
    SLOW_DOWN = "slow_down"
    DENIED = "access_denied"
    EXPIRED = "expired_token"
    SPENT = "invalid_grant"
    """The code was redeemed before, or withdrawn."""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


A = TypeVar("A", bound=_Answer)


class _Metadata(_Answer):
    device_authorization_endpoint: str
    token_endpoint: str


class _Authorization(_Answer):
    device_code: SecretStr = Field(min_length=1)
    user_code: str = Field(min_length=1, max_length=100)
    verification_uri: str = Field(max_length=500)
    expires_in: int = Field(gt=0, le=31_536_000)
    interval: int = Field(default=5, ge=1, le=3600)


class _Token(_Answer):
    access_token: SecretStr = Field(min_length=1)
    refresh_token: SecretStr | None = None
    expires_in: int | None = Field(default=None, gt=0, le=315_360_000)


class OAuthIssuer(Reader):
    """Finds the issuer's endpoints."""

    system: ClassVar[str] = SYSTEM
    settings: ClassVar[type[Settings]] = OAuthSettings

    def __init__(self, settings: OAuthSettings) -> None:
        self._settings = settings
        self._http = JsonClient(SYSTEM, "", own=_is_own, headers={"Accept": "application/json"})
        self._found: _Metadata | None = None

    @classmethod
    def connect(cls, sections: Sections) -> Self:
        """Make a client, without any request."""
        return cls(sections.get(OAuthSettings))

    def close(self) -> None:
        """Give back the connections."""
        self._http.close()

    def _metadata(self) -> _Metadata:
        if self._found is None:
            self._found = self._discover()
        return self._found

    def _discover(self) -> _Metadata:
        issuer = self._settings.issuer or ""
        fault: SystemFault = Rejected(SYSTEM, "has no discovery document", remedy="check oauth.issuer")
        for path in DISCOVERY:
            try:
                found = _read(_Metadata, self._http.get(issuer + path))
            except Missing:
                continue
            except Senseless as other:  # a page, or a document without the device flow
                fault = other
                continue
            for endpoint in (found.device_authorization_endpoint, found.token_endpoint):
                _web_address(endpoint)
            return found
        raise fault


class OAuthIssuerWriter(OAuthIssuer, Writer):
    """Makes requests and polls them; a poll may redeem the code, which works once."""

    def start(self, now: datetime) -> DeviceRequest:
        """Ask for a new request. Not retried: each call makes one."""
        endpoint = self._metadata().device_authorization_endpoint
        form = self._client_form()
        if self._settings.scope:
            form["scope"] = self._settings.scope
        body = self._post(endpoint, form)
        if error := body.get("error"):
            raise _refused(error)
        answer = _read(_Authorization, body)
        if not answer.user_code.isprintable():
            raise Rejected(SYSTEM, "gave a user code that nobody can type")
        return DeviceRequest(
            device_code=answer.device_code,
            user_code=answer.user_code,
            verification_uri=_web_address(answer.verification_uri),
            expires_at=now + timedelta(seconds=answer.expires_in),
            interval=answer.interval,
        )

    def poll(self, device_code: SecretStr, now: datetime) -> Granted | Poll:
        """Ask once whether the person has agreed. Keep the tokens before doing anything else."""
        form = {
            **self._client_form(),
            "grant_type": GRANT,
            "device_code": device_code.get_secret_value(),
        }
        body = self._post(self._metadata().token_endpoint, form)
        if error := body.get("error"):
            if error in set(Poll):
                return Poll(error)
            raise _refused(error)
        answer = _read(_Token, body)
        lifetime = timedelta(seconds=answer.expires_in) if answer.expires_in else UNNAMED_LIFETIME
        return Granted(answer.access_token, answer.refresh_token, now + lifetime)

    def _client_form(self) -> dict[str, str]:
        form = {"client_id": self._settings.client_id or ""}
        if self._settings.client_secret:
            form["client_secret"] = self._settings.client_secret.get_secret_value()
        return form

    def _post(self, url: str, form: dict[str, str]) -> dict[str, Any]:
        """Return the JSON object of an answer of whatever status; a SystemFault when it makes no sense."""
        path = urlsplit(url).path
        response = self._http.send("POST", url, data=form)
        body = dict(object_in(response.content))
        if _is_own(response.status_code, path, body) and response.status_code < 500:
            return body
        if fault := self._http.fault_of("POST", path, response):
            raise fault
        if not body:
            raise Senseless(SYSTEM, f"POST {path} answered with something that is no JSON object")
        return body


def _is_own(status: int, path: str, error: Mapping[str, Any]) -> bool:
    """Tell whether it is an error of OAuth: a code of small letters, and no sentence.

    Where a document is looked for in several places it is not in all of them, in whatever words.
    """
    if path.endswith(DISCOVERY):
        return True
    code = error.get("error")
    return isinstance(code, str) and re.fullmatch(r"[a-z_]{1,50}", code) is not None


def _refused(error: object) -> Rejected | Denied:
    """Return the fault for an error code that ends the flow; one that is no plain word is not quoted."""
    code = (
        error if isinstance(error, str) and error.replace("_", "").isalpha() and len(error) < 50 else "error"
    )
    if code in {"invalid_client", "unauthorized_client"}:
        return Denied(SYSTEM, f"answered {code}", remedy="check oauth.clientId and oauth.clientSecret")
    remedy = "check oauth.scope" if code == "invalid_scope" else ""
    return Rejected(SYSTEM, f"answered {code}", remedy=remedy)


def _web_address(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isprintable() or " " in url:
        raise Rejected(SYSTEM, "named an address that is no http(s) URL")
    return url


def _read(kind: type[A], answer: Any) -> A:  # noqa: ANN401 - JSON as it comes
    try:
        return kind.model_validate(answer)
    except ValidationError:
        # Without its cause, which quotes the answer.
        raise Senseless(SYSTEM, "gave an answer that makes no sense") from None
