"""The seam between hvac and Vault's answers: every refusal becomes one of our errors, here and only here."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from hvac.adapters import RawAdapter

from reconciler.clients.answers import Endless, body_of, object_in, parts_of, retry_after, within_bounds
from reconciler.model.errors import (
    Collision,
    Denied,
    Missing,
    Rejected,
    Senseless,
    SystemFault,
    Unavailable,
)
from reconciler.settings.request_count import count

SYSTEM = "Vault"
_REMEDY = "is vault.address a Vault, and vault.mount a KV version 2?"
_CHECK = "check vault.address, vault.mount and vault.namespace"


class Gone(Missing):
    """The newest version of a secret is deleted or destroyed; it still counts for check-and-set."""

    def __init__(self, version: int) -> None:
        super().__init__(SYSTEM, f"version {version} is deleted")
        self.version = version


def session(ca_certificate: Path | None) -> requests.Session:
    """Return a connection pool that takes no proxy, netrc or certificate from the environment."""
    made = requests.Session()
    made.trust_env = False
    made.verify = str(ca_certificate) if ca_certificate else True
    made.hooks["response"] = [_bounded]
    return made


def _bounded(answer: requests.Response, **_: Any) -> None:  # noqa: ANN401 - what requests tells its hooks
    answer.raw = _Bounded(answer.raw)


class _Bounded:
    """What requests reads an answer from, raising Endless beyond the bounds."""

    def __init__(self, raw: Any) -> None:  # noqa: ANN401 - urllib3's, which requests does not type
        self._raw = raw
        self.release_conn = raw.release_conn
        self.close = raw.close

    def stream(self, size: int, *, decode_content: bool) -> Iterator[bytes]:
        try:
            yield from within_bounds(parts_of(self._raw))
        except Endless:
            self.close()
            raise


class VaultAdapter(RawAdapter):  # type: ignore[misc] # hvac has no types
    """Gives hvac the decoded object of an answer, and None for a 204, which has no body."""

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - hvac's
        """Send one request; raises SystemFault. The path is named, the body never."""
        said = f"{method.upper()} {url.removeprefix('/v1/')}"
        count(SYSTEM, said)
        where = urlsplit(self.base_uri).netloc
        try:
            answer = super().request(method, url, *args, **kwargs)
        except Endless as error:
            raise Senseless(SYSTEM, f"{said} was answered without an end") from error
        except requests.Timeout as error:
            raise Unavailable(SYSTEM, f"{where} did not answer {said} in time") from error
        except requests.RequestException as error:
            raise Unavailable(SYSTEM, f"{said} to {where} failed: {type(error).__name__}") from error
        if fault := fault_of(said, answer):
            raise fault
        if answer.status_code == HTTPStatus.NO_CONTENT:
            return None
        body = body_of(SYSTEM, said, answer.content, answer.headers.get("content-type", ""))
        if not isinstance(body, dict):
            # Something else than Vault answers so: nobody knows what became of a write.
            raise Senseless(SYSTEM, f"{said} answered {answer.status_code} without any sense", remedy=_REMEDY)
        return body

    def get_login_token(self, response: Any) -> str:  # noqa: ANN401 - hvac's
        """Return the token that a login gave."""
        given = response.get("auth") if isinstance(response, dict) else None
        token = given.get("client_token") if isinstance(given, dict) else None
        if not isinstance(token, str) or not token.isprintable() or not token.isascii():
            raise Senseless(SYSTEM, "answered a login without a token", remedy=_REMEDY)
        return token


def fault_of(said: str, response: requests.Response) -> SystemFault | None:
    """Return the error that an answer stands for, or None when it is none."""
    status, body = response.status_code, dict(object_in(response.content))
    told = body.get("errors")
    errors = " ".join(str(error) for error in told) if isinstance(told, list) else ""
    said = f"{said} answered {status}"
    if 200 <= status < 300:
        return None
    if status == 429 or status >= 500:
        sealed = "is sealed" if "sealed" in errors else said
        return Unavailable(SYSTEM, sealed, retry_after=retry_after(response.headers))
    if status in {401, 403}:
        remedy = "check that the token is current and its policy allows this path"
        return Denied(SYSTEM, said, remedy=remedy)
    if status == 404 and not errors and (missing := _missing(said, body)):
        return missing
    if not errors:
        return Senseless(SYSTEM, f"{said}, and not in the way in which it refuses", remedy=_CHECK)
    return _refused(said, errors)


def _missing(said: str, body: dict[str, Any]) -> Missing | None:
    """Tell an absent secret, a 404 with an empty list of errors, from a deleted one, which tells its version.

    Any other 404 is not Vault's word that nothing is there: None.
    """
    try:
        version = body["data"]["metadata"]["version"]
    except (KeyError, TypeError):
        return Missing(SYSTEM, said) if body.get("errors") == [] else None
    return Gone(version) if isinstance(version, int) else None


def _refused(said: str, errors: str) -> SystemFault:
    if "check-and-set parameter did not match" in errors:
        return Collision(SYSTEM, f"{said}: somebody else wrote it first")
    return Rejected(SYSTEM, said, remedy=_CHECK)
