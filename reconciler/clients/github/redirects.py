"""Which redirects are GitHub's own, and which are a wrong address. Followed here: a body may hold a secret.

GitHub redirects what was renamed to an address by its number, at the same host; a write with 307. Nothing
else that is written follows anybody.
"""

from __future__ import annotations

import re

import httpx

from reconciler.clients.github.refusals import SYSTEM
from reconciler.model.errors import Senseless

MOST = 5
"""Redirects of one request; a repository that was renamed twice has one."""
CHECK_ADDRESS = "check github.apiUrl: https://api.github.com, or https://HOST/api/v3 on Enterprise Server"
CHECK_NAME = "write the repository's name of today into repoOwner and repoName, or correct github.apiUrl"
_KEEPS_METHOD = {307, 308}
_OF_NAME = re.compile(r"/repos/[^/]+/[^/]+(/.*)?")
_OF_NUMBER = re.compile(r"/repositories/[0-9]+(/.*)?")


def next_place(said: str, api: httpx.URL, method: str, answer: httpx.Response) -> str:
    """Return where an answer sends the same request, empty when it is no redirect.

    Rejected where that is another host, which gets neither our credentials nor what we would write, or where
    the method would change: a write that is read instead looks done.
    """
    status = answer.status_code
    if not 300 <= status < 400 or status == httpx.codes.NOT_MODIFIED:
        return ""
    place = answer.headers.get("location")
    if not place:
        raise Senseless(SYSTEM, f"{said} answered {status}, and not where it is now", remedy=CHECK_NAME)
    try:
        there = answer.url.join(place)
    except httpx.InvalidURL as error:
        raise Senseless(SYSTEM, f"{said} answered {status} with no address", remedy=CHECK_ADDRESS) from error
    if (there.scheme, there.netloc) != (api.scheme, api.netloc):
        raise Senseless(
            SYSTEM, f"{said} answered {status}, which leads to {there.host}", remedy=CHECK_ADDRESS
        )
    if method != "GET" and status not in _KEEPS_METHOD:
        raise Senseless(SYSTEM, f"{said} answered {status}, which no write follows", remedy=CHECK_NAME)
    if method != "GET" and not _is_renamed(answer.url.path, there.path, api.path):
        raise Senseless(SYSTEM, f"{said} answered {status}, which no write follows", remedy=CHECK_ADDRESS)
    return str(there)


def _is_renamed(asked: str, there: str, api: str) -> bool:
    """Tell whether it leads from a repository's name to the very same of a repository by its number."""
    base = api.rstrip("/")
    if not (asked.startswith(base) and there.startswith(base)):
        return False
    before, after = _OF_NAME.fullmatch(asked[len(base) :]), _OF_NUMBER.fullmatch(there[len(base) :])
    return before is not None and after is not None and before[1] == after[1]
