"""The seam between hvac and Vault's answers: every refusal becomes one of our errors, here and only here."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from hvac.adapters import JSONAdapter

from reconciler.clients.http import retry_after
from reconciler.model.errors import Collision, Denied, Missing, Rejected, SystemFault, Unavailable
from reconciler.settings.request_count import count

SYSTEM = "Vault"
_REMEDY = "is vault.address a Vault, and vault.mount a KV version 2?"


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
    return made


class VaultAdapter(JSONAdapter):  # type: ignore[misc] # hvac has no types
    """Gives hvac the decoded body of a 200, and None for an answer without one."""

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - hvac's
        """Send one request; raises SystemFault. The path is named, the body never."""
        said = f"{method.upper()} {url.removeprefix('/v1/')}"
        count(SYSTEM, said)
        where = urlsplit(self.base_uri).netloc
        try:
            answer = super().request(method, url, *args, **kwargs)
        except requests.Timeout as error:
            raise Unavailable(SYSTEM, f"{where} did not answer {said} in time") from error
        except requests.RequestException as error:
            raise Unavailable(SYSTEM, f"{said} to {where} failed: {type(error).__name__}") from error
        if not isinstance(answer, requests.Response):
            return answer
        if fault := fault_of(said, answer):
            raise fault
        if answer.status_code != HTTPStatus.NO_CONTENT:
            # Something else than Vault answers so: nobody knows what became of a write.
            raise Rejected(SYSTEM, f"{said} answered {answer.status_code} without any sense", remedy=_REMEDY)
        return None


def fault_of(said: str, response: requests.Response) -> SystemFault | None:
    """Return the error that an answer stands for, or None when it is none."""
    status, body = response.status_code, _body(response)
    errors = " ".join(str(error) for error in body.get("errors") or [])
    said = f"{said} answered {status}"
    if 200 <= status < 300:
        return None
    if status == 429 or status >= 500:
        sealed = "is sealed" if "sealed" in errors else said
        return Unavailable(SYSTEM, sealed, retry_after=retry_after(response.headers))
    if status in {401, 403}:
        remedy = "check that the token is current and its policy allows this path"
        return Denied(SYSTEM, said, remedy=remedy)
    if status == 404 and not errors and body:
        return _missing(said, body)
    return _refused(said, errors)


def _missing(said: str, body: dict[str, Any]) -> Missing:
    """Tell an absent secret, a 404 with an empty list of errors, from a deleted one, which tells its version.

    Any other 404 is not Vault's word that nothing is there.
    """
    try:
        return Gone(int(body["data"]["metadata"]["version"]))
    except (KeyError, TypeError, ValueError):
        return Missing(SYSTEM, said)


def _refused(said: str, errors: str) -> SystemFault:
    if "check-and-set parameter did not match" in errors:
        return Collision(SYSTEM, f"{said}: somebody else wrote it first")
    return Rejected(SYSTEM, said, remedy="check vault.address, vault.mount and vault.namespace")


def _body(response: requests.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}
