"""JSON over HTTP with our errors: for the systems that have no well-kept Python client of their own."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import httpx

from reconciler.clients.retry import Retry
from reconciler.model.errors import Collision, Denied, Missing, Rejected, SystemFault, Unavailable
from reconciler.settings.request_count import count

TIMEOUT = httpx.Timeout(10.0, connect=5.0)


@cache
def trusted() -> ssl.SSLContext:
    """Return whom every connection trusts. Loading it takes 40 ms, and a pass has a dozen clients."""
    return httpx.create_ssl_context()


class JsonClient:
    """One system's HTTP connection. Every error is a SystemFault without body, query or credentials in it."""

    def __init__(self, system: str, base_url: str, *, headers: Mapping[str, str] | None = None) -> None:
        self.system = system
        self.retry = Retry()
        self._http = httpx.Client(
            base_url=base_url, headers=dict(headers or {}), timeout=TIMEOUT, verify=trusted()
        )

    def close(self) -> None:
        """Give back the connections."""
        self._http.close()

    def get(self, path: str, **options: Any) -> Any:  # noqa: ANN401 - JSON as it comes; callers validate
        """Read; retried."""
        return self.retry.repeat(self.once, "GET", path, **options)

    def once(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 - JSON as it comes
        """Send one request, not retried; options are httpx's (`params`, `json`, `data`, `headers`).

        Returns the decoded body, None when it is empty.
        """
        response = self.send(method, path, **options)
        if fault := fault_of(self.system, method, path, response):
            raise fault
        if not response.content:
            return None
        try:
            return response.json()
        except (ValueError, RecursionError) as error:
            raise Rejected(
                self.system, f"{method} {path} answered with something that is not JSON"
            ) from error

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        """Send one request and return the answer whatever its status; Unavailable when there is none."""
        count(self.system, f"{method} {path}")
        where = self._http.base_url.netloc.decode()
        try:
            return self._http.request(method, path, **options)
        except httpx.TimeoutException as error:
            raise Unavailable(self.system, f"{where} did not answer {method} {path} in time") from error
        except httpx.HTTPError as error:
            said = f"{method} {path} to {where} failed: {type(error).__name__}"
            raise Unavailable(self.system, said) from error


def fault_of(system: str, method: str, path: str, response: httpx.Response) -> SystemFault | None:
    """Return the error that a status code stands for, or None for a success. The body is not quoted."""
    status = response.status_code
    said = f"{method} {path} answered {status}"
    if status < 300:
        return None
    if status < 400:
        # Nothing is followed: what a request carries is for this address only. And nothing was done there.
        remedy = "check that its address in the settings is its own, scheme and path too, and no login page's"
        return Rejected(system, f"{said}, which leads to {_place(response)}", remedy=remedy)
    if status == 429 or status >= 500:
        return Unavailable(system, said, retry_after=retry_after(response.headers))
    if status in {401, 403}:
        remedy = "check that its credentials are right, current and allowed to do this"
        return Denied(system, said, remedy=remedy)
    if status == 404:
        return Missing(system, said)
    return Collision(system, said) if status == 409 else Rejected(system, said)


def _place(response: httpx.Response) -> str:
    """Return the host that a redirect names; not its path or query, which may hold anything."""
    try:
        return response.url.join(response.headers.get("location", "")).host
    except httpx.InvalidURL:
        return "no address at all"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a `Retry-After` header asks for, if it has one that makes sense."""
    value = headers.get("retry-after", "")
    if value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
        sent = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return None
    return max(0.0, (moment - sent).total_seconds())
