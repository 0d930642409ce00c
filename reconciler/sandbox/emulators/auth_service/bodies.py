"""What the auth-service makes of a request's body; it knows no state."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from starlette.requests import Request

PROJECT_TEXTS = (
    "claudeAccountUuid",
    "claudeOrgUuid",
    "claudeEmail",
    "settingsJson",
    "claudeJson",
    "mcpJson",
    "claudeMd",
)
CONFIGURATION = {"settingsJson", "claudeJson", "mcpJson", "claudeMd"}
CREDENTIAL_TEXTS = (
    "refreshToken", "accountUuid", "emailAddress", "organizationUuid", "billingType", "displayName",
    "subscriptionType", "rateLimitTier",
)  # fmt: skip
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z")


def project_issues(body: dict[str, Any], *, required: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return what is wrong with a project, new or changed."""
    issues = [_issue(key, "Required") for key in required if key not in body]
    issues += [
        _issue(key, "Expected a string of at least 1 character")
        for key in (required or ("displayName",))
        if key in body and (not isinstance(body[key], str) or not body[key])
    ]
    issues += [
        _issue(key, "Expected string") for key in PROJECT_TEXTS if not isinstance(body.get(key, ""), str)
    ]
    return issues


def credential_issues(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is wrong with a push."""
    issues = [_issue(key, "Required") for key in ("accessToken", "expiresAt") if key not in body]
    texts = ("accessToken", "expiresAt", *CREDENTIAL_TEXTS)
    issues += [_issue(key, "Expected string") for key in texts if not isinstance(body.get(key, ""), str)]
    if isinstance(body.get("expiresAt"), str) and _instant(body["expiresAt"]) is None:
        issues.append(_issue("expiresAt", "Invalid datetime"))
    scopes = body.get("scopes", [])
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        issues.append(_issue("scopes", "Expected array of string"))
    return issues


def provision_issues(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is wrong with a pod's request."""
    issues = [] if "podName" in body else [_issue("podName", "Required")]
    texts = ("podName", "currentBundleId")
    return issues + [
        _issue(key, "Expected string") for key in texts if not isinstance(body.get(key, ""), str)
    ]


def moment(text: str) -> datetime:
    """Return the instant of a time that was accepted."""
    return datetime.fromisoformat(text)


def _instant(text: str) -> datetime | None:
    try:
        return moment(text) if _INSTANT.fullmatch(text) else None
    except ValueError:
        return None


def _issue(key: str, message: str) -> dict[str, Any]:
    return {"path": [key], "message": message}


async def read(request: Request) -> dict[str, Any] | None:
    """Return the body's object; an empty one for other JSON, which then fails validation; None if no JSON."""
    try:
        body = await request.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else {"displayName": None, "accessToken": None}
