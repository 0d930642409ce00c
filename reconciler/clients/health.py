"""One GET to a URL that says of itself whether it is well. Sends no credentials, follows no redirect."""

from __future__ import annotations

import httpx

from reconciler.clients.http import trusted

TIMEOUT = httpx.Timeout(5.0)


def probe(url: str) -> str:
    """Return what is wrong with the URL's answer in a few words; empty for a status below 400."""
    try:
        # Its body is nobody's business, and may have no end.
        with httpx.stream("GET", url, timeout=TIMEOUT, follow_redirects=False, verify=trusted()) as answer:
            return "" if answer.status_code < 400 else f"answered {answer.status_code}"
    except httpx.HTTPError as error:
        return f"did not answer ({type(error).__name__})"
    except httpx.InvalidURL:
        return "is not a URL"
