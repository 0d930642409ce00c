"""The auth-service of mesh-six: who keeps a project's credentials and the settings of its environment.

The requests and answers are those of its public source; docs/auth-service.md names them. Tokens go out to it
and are never read back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self, TypeVar

from pydantic import (
    AliasChoices,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from reconciler.clients.http import JsonClient
from reconciler.model.errors import Missing, Senseless
from reconciler.settings.giving import HeaderSecret, Reader, Sections, Settings, WebAddress, Writer

SYSTEM = "auth-service"
_ID = re.compile(r"[a-z0-9-]+")


class AuthServiceSettings(Settings):
    """The service that hands a login's credentials to the environments (docs/auth-service.md)."""

    section: ClassVar[str] = "authService"
    place: ClassVar[tuple[str, ...]] = ("url",)

    url: WebAddress | None = Field(None, validation_alias=AliasChoices("url", "AUTH_SERVICE_URL"))
    """Its address."""
    token: HeaderSecret | None = Field(None, validation_alias=AliasChoices("token", "AUTH_SERVICE_TOKEN"))
    """A bearer token for a gateway in front of it; the service itself has no log-in."""

    def missing(self) -> str | None:
        """Off without a URL."""
        return None if self.url else "authService.url (AUTH_SERVICE_URL)"


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


A = TypeVar("A", bound=_Answer)


class AuthProject(_Answer):
    """A project as the auth-service has it. `settings_json` is JSON as text, or None when never set."""

    id: str
    display_name: str
    settings_json: str | None = None


class CredentialHealth(_Answer):
    """What may be known of a project's credentials without reading them.

    `expires_at`: of the credential that is valid now; None when none is.
    """

    project_id: str
    has_valid_credential: StrictBool
    has_refresh_token: StrictBool
    expires_at: AwareDatetime | None = None

    @property
    def present(self) -> bool:
        """Whether it has what it needs to log in, if only by a refresh."""
        return self.has_valid_credential or self.has_refresh_token

    @property
    def valid_until(self) -> datetime | None:
        """When the credential expires that is valid now; None when none is."""
        return self.expires_at if self.has_valid_credential else None


class _Pushed(_Answer):
    id: str
    project_id: str
    expires_at: AwareDatetime


class AuthService(Reader):
    """Reads projects and the health of their credentials, one by one: it has no bulk reads."""

    system: ClassVar[str] = SYSTEM
    settings: ClassVar[type[Settings]] = AuthServiceSettings

    def __init__(self, settings: AuthServiceSettings) -> None:
        headers = {"Accept": "application/json"}
        if settings.token:
            headers["Authorization"] = f"Bearer {settings.token.get_secret_value()}"
        self._http = JsonClient(SYSTEM, settings.url or "", own=_is_own, headers=headers)
        self._health: dict[str, CredentialHealth | None] = {}

    @classmethod
    def connect(cls, sections: Sections) -> Self:
        """Make a client, without any request."""
        return cls(sections.get(AuthServiceSettings))

    def close(self) -> None:
        """Give back the connections."""
        self._http.close()

    def project(self, slug: str) -> AuthProject | None:
        """Return the project, or None when there is none."""
        try:
            return _project(slug, self._http.get(_path(slug)))
        except Missing:
            return None

    def health(self, slug: str) -> CredentialHealth | None:
        """Return what is known of a project's credentials; None without the project. One request a pass."""
        if slug not in self._health:
            self._health[slug] = self._ask_health(slug)
        return self._health[slug]

    def _ask_health(self, slug: str) -> CredentialHealth | None:
        try:
            health = _read(CredentialHealth, self._http.get(f"{_path(slug)}/health"))
        except Missing:
            return None
        if health.project_id != slug:
            raise Senseless(SYSTEM, "told the health of another project than the one it was asked for")
        return health


class AuthServiceWriter(AuthService, Writer):
    """Writes too."""

    def health(self, slug: str) -> CredentialHealth | None:
        """Return what is known of a project's credentials, asked anew."""
        return self._ask_health(slug)

    def create_project(self, slug: str, *, display_name: str, settings_json: str) -> None:
        """Make a project; Collision when there is one. Not retried."""
        body = {"id": slug, "displayName": display_name, "settingsJson": settings_json}
        _project(slug, self._http.once("POST", "/projects", json=body))

    def update_project(self, slug: str, *, display_name: str, settings_json: str) -> None:
        """Set these two fields and no other; Missing without such a project. Repeatable, so retried.

        It makes every pod of the project fetch its files anew, so it is not for saying what is there already.
        """
        body = {"displayName": display_name, "settingsJson": settings_json}
        _project(slug, self._http.retry.repeat(self._http.once, "PUT", _path(slug), json=body))

    def push_credentials(
        self, slug: str, *, access_token: SecretStr, refresh_token: SecretStr, expires_at: datetime
    ) -> None:
        """Hand over tokens, which take the place of those before; Missing without such a project.

        Handing over the same ones again leaves the project with the same ones. Not retried here: each time
        makes the pods fetch their files anew.
        """
        body = {
            "accessToken": access_token.get_secret_value(),
            "refreshToken": refresh_token.get_secret_value(),
            "expiresAt": instant(expires_at),
        }
        self._push(slug, body, expires_at)

    def end_credentials(self, slug: str) -> None:
        """Put credentials that were over long ago in the place of those before; no request deletes any.

        Missing without such a project. Not retried, as for `push_credentials`.
        """
        over = datetime(2000, 1, 1, tzinfo=UTC)
        body = {"accessToken": "none", "expiresAt": instant(over)}
        self._push(slug, body, over)

    def _push(self, slug: str, body: Mapping[str, str], expires_at: datetime) -> None:
        headers = {"X-Pushed-By": "mesh-six-reconciler"}
        answer = self._http.once("POST", f"{_path(slug)}/credentials", json=dict(body), headers=headers)
        pushed = _read(_Pushed, answer)
        if pushed.project_id != slug or not same_instant(pushed.expires_at, expires_at):
            raise Senseless(SYSTEM, "did not confirm the credentials that it was given")


def instant(moment: datetime) -> str:
    """Return the ISO 8601 text with milliseconds and `Z`, the only form that the auth-service takes."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03}Z"


def same_instant(left: datetime, right: datetime) -> bool:
    """Tell whether these are the same to the millisecond, which is what the auth-service keeps."""
    return abs(left - right) < timedelta(milliseconds=1)


def _path(slug: str) -> str:
    assert _ID.fullmatch(slug)  # noqa: S101 - a slug cannot leave its path segment
    return f"/projects/{slug}"


def _is_own(status: int, path: str, error: Mapping[str, Any]) -> bool:
    """Tell whether it is how the service refuses: `{"error": …}`, with `details` at most.

    Half the world says `{"error": "Not Found"}`; the service names the project that it does not have.
    """
    said = error.get("error")
    if not isinstance(said, str) or not error.keys() <= {"error", "details"}:
        return False
    return status != 404 or f"'{path.split('/')[2]}'" in said


def _project(slug: str, answer: Any) -> AuthProject:  # noqa: ANN401 - JSON as it comes
    project = _read(AuthProject, answer)
    if project.id != slug:
        raise Senseless(SYSTEM, "told of another project than the one it was asked for")
    return project


def _read(kind: type[A], answer: Any) -> A:  # noqa: ANN401 - JSON as it comes
    try:
        return kind.model_validate(answer)
    except ValidationError:
        # Without its cause, which quotes the answer.
        raise Senseless(SYSTEM, f"gave an answer that is no {kind.__name__.lstrip('_')}") from None
