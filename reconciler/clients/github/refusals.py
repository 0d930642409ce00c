"""GitHub's refusals as our errors: the only place that knows its phrases.

Bodies are searched for known phrases; of a refusal that has none, GitHub's first sentence is shown. Which
refusal looks how is in docs/systems/github.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.clients.answers import retry_after, until_moment
from reconciler.clients.server_words import first_sentence
from reconciler.model.errors import (
    Collision,
    Denied,
    Missing,
    Rejected,
    Senseless,
    SystemFault,
    Unavailable,
)

SYSTEM = "GitHub"
SECONDARY_WAIT = 60.0
"""Seconds, when a secondary limit names no time: GitHub's documentation asks for a minute at least."""

_TAKEN = (
    "already exists",
    "already been taken",
    "already in use",
    "sha\" wasn't supplied",
)
_GRAPHQL_KINDS: Mapping[str, type[SystemFault]] = {
    "NOT_FOUND": Missing,
    "FORBIDDEN": Denied,
    "INSUFFICIENT_SCOPES": Denied,
    "SERVICE_UNAVAILABLE": Unavailable,
}
_REMEDIES = {
    "FORBIDDEN": "the token or App lacks a permission, or is not authorized for this organization",
    "INSUFFICIENT_SCOPES": "the token needs the scopes repo, admin:repo_hook and project",
}
_HIDDEN = (
    "check that it is there; GitHub also says so of what the token or App has no right to see (README.md)"
)
_PROTECTED = ("protected branch", "rule violations", "changes must be made through a pull request")


class TooHeavy(Unavailable):
    """A query took too long or too much: half of it may do."""


class Elsewhere(Senseless):
    """A 404 of something else than GitHub, which knows nothing of what GitHub has."""


class BranchProtected(Rejected):
    """The branch takes no direct commit; a pull request may do."""


def fault_of(said: str, status: int, headers: Mapping[str, str], body: object) -> SystemFault | None:
    """Return the error that an answer stands for, or None below 400. `said` names method and path."""
    if status < 400:
        return None
    words = _words(body)
    said = f"{said} answered {status}"
    if status in {403, 429} and (wait := _limit(status, headers, words)) is not None:
        return Unavailable(SYSTEM, f"{said}: a rate limit is used up", retry_after=wait)
    if status >= 500:
        kind = TooHeavy if status in {502, 504} else Unavailable
        return kind(SYSTEM, said, retry_after=retry_after(headers))
    if any(phrase in words for phrase in _PROTECTED):
        return BranchProtected(SYSTEM, f"{said}: the branch is protected", remedy="use a pull request")
    if status in {401, 403}:
        return _denied(said, status, headers, words)
    return _foreign(said, status, headers, body) or _refused(said, status, words, body)


def is_own(headers: Mapping[str, str]) -> bool:
    """Tell whether GitHub itself answers: Enterprise Server too names the media type of what it sends."""
    return "x-github-media-type" in headers or "x-github-request-id" in headers


def graphql_fault(
    said: str, errors: Sequence[Mapping[str, Any]], headers: Mapping[str, str]
) -> SystemFault | None:
    """Return what the first of a GraphQL answer's errors stands for; None when there is none."""
    if not errors:
        return None
    kind = str(errors[0].get("type") or "").upper()
    words = str(errors[0].get("message") or "").lower()
    said = f"{said} failed" + (f" with {kind}" if re.fullmatch(r"[A-Z_]{1,40}", kind) else "")
    if kind in {"RATE_LIMIT", "RATE_LIMITED"} or "secondary rate limit" in words:
        wait = retry_after(headers) or (SECONDARY_WAIT if "secondary" in words else _until_reset(headers))
        return Unavailable(SYSTEM, f"{said}: a rate limit is used up", retry_after=wait)
    if kind in {"RESOURCE_LIMITS_EXCEEDED", "MAX_NODE_LIMIT_EXCEEDED"} or "something went wrong" in words:
        return TooHeavy(SYSTEM, said)
    sentence = first_sentence(errors[0].get("message"))
    if any(phrase in words for phrase in _TAKEN):
        return Collision(SYSTEM, f"{said}: it exists already{sentence}")
    remedy = _REMEDIES.get(kind, "")
    if kind in _GRAPHQL_KINDS:
        return _GRAPHQL_KINDS[kind](SYSTEM, said, remedy=remedy)
    return Rejected(SYSTEM, f"{said}{sentence}", remedy=remedy)


def _foreign(said: str, status: int, headers: Mapping[str, str], body: object) -> Senseless | None:
    """Return what a refusal is that GitHub did not make; None for its own.

    Each of its own has a message. What is not there is believed only with where that is documented, or with
    GitHub's headers, since many a program says "Not Found" in that form.
    """
    if not isinstance(body, Mapping) or not isinstance(body.get("message"), str):
        kind = Elsewhere if status == 404 else Senseless
        return kind(SYSTEM, f"{said} without a word of GitHub's")
    if status == 404 and not (isinstance(body.get("documentation_url"), str) or is_own(headers)):
        return Elsewhere(SYSTEM, f"{said}, and not as GitHub does")
    return None


def _limit(status: int, headers: Mapping[str, str], words: str) -> float | None:
    named = retry_after(headers)
    if headers.get("x-ratelimit-remaining") == "0" and "secondary" not in words:
        return named if named is not None else _until_reset(headers)
    if status == 429 or named is not None or "secondary rate limit" in words or "abuse detection" in words:
        return SECONDARY_WAIT if named is None else named
    return None


def _until_reset(headers: Mapping[str, str]) -> float:
    wait = until_moment(headers.get("x-ratelimit-reset", ""), headers)
    return SECONDARY_WAIT if wait is None else max(1.0, wait)


def _denied(said: str, status: int, headers: Mapping[str, str], words: str) -> Denied:
    if status == 401:
        return Denied(SYSTEM, said, remedy="check that GITHUB_TOKEN, or the App's key, is right and current")
    if "archived" in words:
        return Denied(SYSTEM, f"{said}: the repository is archived", remedy="unarchive it")
    needed = headers.get("x-accepted-github-permissions", "")
    if re.fullmatch(r"[a-z_=,; ]{1,200}", needed):
        return Denied(SYSTEM, said, remedy=f"the token or App needs one of these permissions: {needed}")
    return Denied(SYSTEM, said, remedy="the token or App lacks a permission for this")


def _refused(said: str, status: int, words: str, body: object) -> SystemFault:
    if status == 404:
        return Missing(SYSTEM, said, remedy=_HIDDEN)
    if "deploy key" in words and "disabled" in words:
        return Denied(
            SYSTEM,
            f"{said}: deploy keys are disabled for this repository",
            remedy="an owner of the organization must allow deploy keys in its settings",
        )
    if "key is already in use" in words:
        return Collision(
            SYSTEM,
            f"{said}: that key is in use already{first_sentence(body)}",
            remedy="it can be a deploy key of one repository only: remove it there, or delete the secret in "
            "Vault to have a new one made",
        )
    if "cannot have more than" in words and "hook" in words:
        return Rejected(
            SYSTEM,
            f"{said}{first_sentence(body)}",
            remedy="remove webhooks of that repository that nobody uses",
        )
    if status == 409 or any(phrase in words for phrase in _TAKEN):
        return Collision(SYSTEM, f"{said}: it exists already, or changed meanwhile{first_sentence(body)}")
    return Rejected(SYSTEM, said + "".join(_fields(body)) + first_sentence(body))


def _words(body: object) -> str:
    if not isinstance(body, Mapping):
        return ""
    errors = [each for each in _listed(body) if isinstance(each, Mapping | str)]
    said = [
        each if isinstance(each, str) else f"{each.get('message', '')} {each.get('code', '')}"
        for each in errors
    ]
    return " ".join([str(body.get("message", "")), *said]).replace("already_exists", "already exists").lower()


def _listed(body: Mapping[str, Any]) -> Sequence[Any]:
    """Return a refusal's list of errors; empty where it has none."""
    errors = body.get("errors")
    return errors if isinstance(errors, list) else []


def _fields(body: object) -> list[str]:
    """Return GitHub's names of the fields that it refused: words of its own, not of ours."""
    errors = _listed(body) if isinstance(body, Mapping) else []
    named = [f"{each.get('field')} {each.get('code')}" for each in errors if isinstance(each, Mapping)]
    return [f", {name}" for name in named if re.fullmatch(r"[a-z_]{1,40} [a-z_]{1,40}", name)]
