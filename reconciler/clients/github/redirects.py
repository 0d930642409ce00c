"""Which redirects are GitHub's own, and which are a wrong address. Followed here: a body may hold a secret.

GitHub redirects what was renamed to an address by its number, at the same host; a write with 307.
"""

from __future__ import annotations

import httpx

from reconciler.clients.github.refusals import SYSTEM
from reconciler.model.errors import Rejected

MOST = 5
"""Redirects of one request; a repository that was renamed twice has one."""
CHECK_ADDRESS = "check github.apiUrl: https://api.github.com, or https://HOST/api/v3 on Enterprise Server"
CHECK_NAME = "write the repository's name of today into repoOwner and repoName, or correct github.apiUrl"
_KEEPS_METHOD = {307, 308}


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
        raise Rejected(SYSTEM, f"{said} answered {status}, and not where it is now", remedy=CHECK_NAME)
    try:
        there = answer.url.join(place)
    except httpx.InvalidURL as error:
        raise Rejected(SYSTEM, f"{said} answered {status} with no address", remedy=CHECK_ADDRESS) from error
    if (there.scheme, there.netloc) != (api.scheme, api.netloc):
        raise Rejected(SYSTEM, f"{said} answered {status}, which leads to {there.host}", remedy=CHECK_ADDRESS)
    if method != "GET" and status not in _KEEPS_METHOD:
        raise Rejected(SYSTEM, f"{said} answered {status}, which no write follows", remedy=CHECK_NAME)
    return str(there)
