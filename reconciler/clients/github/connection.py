"""The seam to githubkit: one request in, decoded JSON or one of our errors out. Nothing is retried here.

githubkit is used without its retries (they repeat mutations), its cache (shared between identities) and
its models (they refuse what Enterprise Server sends); docs/systems/github.md, "githubkit", has more.
Importing it takes half a second, so this module is imported with the first request only.
"""

from __future__ import annotations

import contextvars
from collections.abc import Mapping
from typing import Any

import httpx
from githubkit import AppInstallationAuthStrategy, GitHub, TokenAuthStrategy
from githubkit.cache import MemCacheStrategy
from githubkit.exception import GitHubException, RequestError, RequestFailed, RequestTimeout

from reconciler.clients.answers import Endless, body_of, bounded, object_in
from reconciler.clients.github.account import GitHubSettings
from reconciler.clients.github.redirects import CHECK_ADDRESS, MOST, next_place
from reconciler.clients.github.refusals import SYSTEM, Elsewhere, TooHeavy, fault_of, graphql_fault, is_own
from reconciler.clients.http import trusted
from reconciler.model.errors import Denied, Missing, Senseless, SystemFault, Unavailable
from reconciler.settings.request_count import count, remaining

TIMEOUT = httpx.Timeout(15.0, connect=5.0)
"""More than the 10 seconds after which GitHub gives up by itself: its 502 says more than silence."""
HEADERS = {"X-GitHub-Api-Version": "2022-11-28"}
MOST_ITEMS = 20_000
"""Of one list, of whatever we read: webhooks, keys and pull requests of one branch have far fewer."""


class Connection:
    """One identity's connections; may be used by several threads."""

    def __init__(self, settings: GitHubSettings) -> None:
        self._github: GitHub[Any] = GitHub(
            _auth(settings),
            base_url=settings.api_url,
            user_agent="mesh-six-reconciler",
            timeout=TIMEOUT,
            ssl_verify=trusted(),
            auto_retry=False,
            http_cache=False,
            follow_redirects=False,
            cache_strategy=MemCacheStrategy(),
            event_hooks={"response": [bounded]},
        )
        self._api = httpx.URL(settings.api_url)
        # githubkit keeps its pool in a context variable: every thread runs in a copy of this context.
        self._context = contextvars.copy_context()
        self._context.run(self._github.__enter__)

    def close(self) -> None:
        """Give back the connections."""
        self._context.run(self._github.__exit__)

    def rest(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, str | int] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON as it comes; callers pick
        """Send one REST request and return the decoded body; None for a 204, which has none."""
        answer = self._send(method, path, json=json, params=params)
        return None if answer.status_code == httpx.codes.NO_CONTENT else _decoded(f"{method} {path}", answer)

    def pages(self, path: str, params: Mapping[str, str | int]) -> list[Any]:
        """Return the items of all pages of a list, following its links."""
        said = path
        following: Mapping[str, str | int] | None = params
        items: list[Any] = []
        while True:
            answer = self._send("GET", path, params=following)
            page = _decoded(f"GET {said}", answer)
            if not isinstance(page, list):
                raise Senseless(SYSTEM, f"GET {said} answered with something that is not a list")
            if not page and not is_own(answer.headers):
                raise Senseless(SYSTEM, f"GET {said} answered with an empty list that is not GitHub's own")
            items += page
            if len(items) > MOST_ITEMS:
                raise Senseless(SYSTEM, f"GET {said} has no last page")
            following_link = answer.links.get("next", {}).get("url", "")
            if not following_link:
                return items
            if httpx.URL(following_link).netloc != self._api.netloc:
                raise Senseless(SYSTEM, f"GET {said} points to another host for its next page")
            path, following = following_link, None

    def graphql(
        self, said: str, document: str, variables: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
        """Return (data, errors) of a document; the errors are those that belong to a part of the data.

        Raises what an error stands for that concerns the whole document. `said` names it in errors.
        """
        body = {"query": document, "variables": variables}
        try:
            answer = self._send("POST", self._graphql_url(), json=body, said=said)
        except (Missing, Elsewhere) as error:
            # What it would have said of a repository comes in its body: nothing was asked about any.
            raise Senseless(
                SYSTEM, f"{said} failed: no GraphQL API at {self._api.host}", remedy=CHECK_ADDRESS
            ) from error
        decoded = _decoded(said, answer)
        data = decoded.get("data") if isinstance(decoded, Mapping) else None
        errors = (decoded.get("errors") if isinstance(decoded, Mapping) else None) or []
        if not isinstance(errors, list) or not all(map(_is_error, errors)):
            raise Senseless(SYSTEM, f"{said} answered with errors that make no sense")
        whole = [error for error in errors if data is None or not error.get("path")]
        limited = [error for error in errors if str(error.get("type")) in {"RATE_LIMIT", "RATE_LIMITED"}]
        if fault := graphql_fault(said, limited or whole, answer.headers):
            raise fault
        if not isinstance(data, Mapping):
            raise Senseless(SYSTEM, f"{said} answered without data")
        return data, errors

    def _graphql_url(self) -> str:
        base = str(self._github.config.base_url).rstrip("/")
        return f"{base.removesuffix('/v3')}/graphql" if base.endswith("/api/v3") else f"{base}/graphql"

    def _send(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, str | int] | None = None,
        said: str = "",
    ) -> httpx.Response:
        said = said or f"{method} {path}"
        for _ in range(MOST + 1):
            answer = self._once(said, method, path, json=json, params=params)
            place = next_place(said, self._api, method, answer)
            if not place:
                return answer
            path, params = place, None
        raise Senseless(SYSTEM, f"{said} was redirected in a circle", remedy=CHECK_ADDRESS)

    def _once(
        self,
        said: str,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None,
        params: Mapping[str, str | int] | None,
    ) -> httpx.Response:
        count(SYSTEM, said)
        try:
            answer = self._context.copy().run(
                self._github.request, method, path, json=json, params=params, headers=HEADERS
            )
        except GitHubException as error:
            raise _fault(said, error) from error
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError) as error:
            # githubkit reads `Retry-After` as a number of seconds that it can reckon with, and GitHub's
            # proxies may write a date; and it reads the answer to an App's login as if it were always one.
            raise Unavailable(SYSTEM, f"{said} answered with a rate limit that makes no sense") from error
        headers = answer.raw_response.headers
        remaining(headers.get("x-ratelimit-resource", ""), headers.get("x-ratelimit-remaining", ""))
        return answer.raw_response


def _auth(settings: GitHubSettings) -> TokenAuthStrategy | AppInstallationAuthStrategy:
    if settings.token:
        return TokenAuthStrategy(settings.token.get_secret_value())
    assert settings.app_id and settings.installation_id and settings.private_key  # noqa: S101, PT018 - checked by settings.check
    return AppInstallationAuthStrategy(
        settings.app_id, settings.private_key.get_secret_value(), settings.installation_id
    )


def _at(error: Exception) -> str:
    """Return where a request went that got no answer."""
    return f" at {error.request.url.netloc.decode()}" if isinstance(error, httpx.RequestError) else ""


def _fault(said: str, error: GitHubException) -> SystemFault:
    if isinstance(error, RequestError) and isinstance(error.exc, GitHubException):
        # A refused App shows as a failed request inside the request that needed its token.
        return _fault(f"signing in for {said}", error.exc)
    if isinstance(error, RequestFailed):
        answer = error.response.raw_response
        found = fault_of(said, answer.status_code, answer.headers, object_in(answer.content))
        return found or Senseless(SYSTEM, f"{said} failed")
    if isinstance(error, RequestTimeout):
        slow = TooHeavy if isinstance(error.exc, httpx.ReadTimeout) else Unavailable
        return slow(SYSTEM, f"{said} did not answer in time{_at(error.exc)}")
    if isinstance(error, RequestError) and isinstance(error.exc, Endless):
        return Senseless(SYSTEM, f"{said} was answered without an end")
    if isinstance(error, RequestError) and isinstance(error.exc, httpx.HTTPError):
        return Unavailable(SYSTEM, f"{said} failed{_at(error.exc)}: {type(error.exc).__name__}")
    remedy = "check github.appId, installationId and GITHUB_APP_PRIVATE_KEY (a PEM file's content)"
    return Denied(SYSTEM, f"could not sign in for {said}", remedy=remedy)


def _decoded(said: str, answer: httpx.Response) -> Any:  # noqa: ANN401 - JSON as it comes
    return body_of(SYSTEM, said, answer.content, answer.headers.get("content-type", ""))


def _is_error(error: object) -> bool:
    """Tell whether it is an error of GraphQL: with a message, and a list for the part that it is about."""
    if not isinstance(error, Mapping) or not isinstance(error.get("message"), str):
        return False
    path = error.get("path") or []
    return isinstance(path, list) and all(isinstance(step, str | int) for step in path)
