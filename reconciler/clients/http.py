"""JSON over HTTP with our errors: for the systems that have no well-kept Python client of their own."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx

from reconciler.clients.answers import Endless, Own, body_of, bounded, object_in, retry_after
from reconciler.clients.retry import Retry
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

TIMEOUT = httpx.Timeout(10.0, connect=5.0)
CHECK_ADDRESS = "check that its address in the settings is its own, scheme and path too, and no login page's"
_KINDS: Mapping[int, type[SystemFault]] = {404: Missing, 409: Collision}


@cache
def trusted() -> ssl.SSLContext:
    """Return whom every connection trusts. Loading it takes 40 ms, and a pass has a dozen clients."""
    return httpx.create_ssl_context()


class JsonClient:
    """One system's HTTP connection. Every error is a SystemFault without body, query or credentials in it.

    `own`: which errors are the system's own.
    """

    def __init__(
        self, system: str, base_url: str, *, own: Own, headers: Mapping[str, str] | None = None
    ) -> None:
        self.system = system
        self.retry = Retry()
        self._own = own
        self._http = httpx.Client(
            base_url=base_url,
            headers=dict(headers or {}),
            timeout=TIMEOUT,
            verify=trusted(),
            event_hooks={"response": [bounded]},
        )

    def close(self) -> None:
        """Give back the connections."""
        self._http.close()

    def get(self, path: str, **options: Any) -> Any:  # noqa: ANN401 - JSON as it comes; callers validate
        """Read; retried."""
        return self.retry.repeat(self.once, "GET", path, **options)

    def once(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 - JSON as it comes
        """Send one request, not retried; options are httpx's (`params`, `json`, `data`, `headers`).

        Returns the decoded body; Senseless without one, since none of these systems answers so.
        """
        response = self.send(method, path, **options)
        if fault := self.fault_of(method, path, response):
            raise fault
        content_type = response.headers.get("content-type", "")
        return body_of(self.system, f"{method} {path}", response.content, content_type)

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        """Send one request and return the answer whatever its status; Unavailable when there is none."""
        count(self.system, f"{method} {path}")
        where = self._http.base_url.netloc.decode()
        try:
            return self._http.request(method, path, **options)
        except Endless as error:
            raise Senseless(self.system, f"{method} {path} was answered without an end") from error
        except httpx.TimeoutException as error:
            raise Unavailable(self.system, f"{where} did not answer {method} {path} in time") from error
        except httpx.HTTPError as error:
            said = f"{method} {path} to {where} failed: {type(error).__name__}"
            raise Unavailable(self.system, said) from error

    def fault_of(self, method: str, path: str, response: httpx.Response) -> SystemFault | None:
        """Return the error that an answer stands for, or None for a success. The body is not quoted."""
        status = response.status_code
        said = f"{method} {path} answered {status}"
        if 200 <= status < 300:
            return None
        if status < 400:
            # Nothing is followed: what a request carries is for this address only. Nothing was done there.
            return Senseless(self.system, f"{said}, which leads to {_place(response)}", remedy=CHECK_ADDRESS)
        if status == 429 or status >= 500:
            return Unavailable(self.system, said, retry_after=retry_after(response.headers))
        if status in {401, 403}:
            remedy = "check that its credentials are right, current and allowed to do this"
            return Denied(self.system, said, remedy=remedy)
        if not self._own(status, path, object_in(response.content)):
            return Senseless(self.system, f"{said}, and not in the way in which it refuses")
        return _KINDS.get(status, Rejected)(self.system, said)


def _place(response: httpx.Response) -> str:
    """Return the host that a redirect names; not its path or query, which may hold anything."""
    try:
        return response.url.join(response.headers.get("location", "")).host
    except httpx.InvalidURL:
        return "no address at all"
