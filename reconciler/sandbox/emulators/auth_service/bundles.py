"""How the auth-service hands a project's credentials to its pods, as its public source does.

Kept traps: a project that nobody knows is `no_credentials` with status 200, not 404; a request that does not
name the bundle in force makes a new one and sets aside those of all other pods; a bundle's credentials have
neither `scopes` nor `subscriptionType`, whatever was pushed; settings are the pushed text, even where that is
no JSON; `mcpJson` and `claudeMd` make a new bundle and are not in it; old bundles can still be fetched.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import uuid
from datetime import datetime
from typing import Any

from reconciler.sandbox.emulators.store import Store

_BUNDLES = "auth_bundles"
_HEADLESS_SETTINGS = {
    "skipDangerousModePermissionPrompt": True,
    "theme": "dark",
    "hasCompletedOnboarding": True,
}
_HEADLESS_STATE = {
    "hasCompletedOnboarding": True,
    "theme": "dark-ansi",
    "preferredNotifChannel": "notifications_disabled",
    "fileCheckpointingEnabled": False,
}
_ACCOUNT = ("accountUuid", "emailAddress", "organizationUuid", "billingType", "displayName")


class Bundles:
    """The bundles of all projects; times are given, and compared as instants."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def provision(
        self, project: dict[str, Any], credential: dict[str, Any] | None, current: str | None, now: datetime
    ) -> dict[str, Any]:
        """Answer a pod that says which bundle it has; `credential` is the valid one, or None."""
        if credential is None:
            return {"status": "no_credentials", "message": "No valid credentials available"}
        active = self.active(project["id"])
        if active and current == active["id"] and self._still_right(active, project, now):
            return {
                "status": "current",
                "bundleId": active["id"],
                "credentialExpiresAt": active["credentialExpiresAt"],
            }
        self.expire(project["id"])
        made = {
            "id": str(uuid.uuid4()),
            "projectId": project["id"],
            "credentialId": credential["id"],
            "credentialExpiresAt": credential["expiresAt"],
            "configHash": _config_hash(project, credential["id"]),
            "data": base64.b64encode(_archive(project, credential)).decode(),
        }
        self._store.put(_BUNDLES, made["id"], made)
        self._store.put("auth_active_bundles", project["id"], {"id": made["id"]})
        return {
            "status": "provisioned",
            "bundleId": made["id"],
            "credentialExpiresAt": credential["expiresAt"],
        }

    def fetch(self, slug: str, bundle_id: str) -> bytes | None:
        """Return the archive, a tar packed with gzip; None when it is not of this project."""
        found = self._store.get(_BUNDLES, bundle_id)
        return base64.b64decode(found["data"]) if found and found["projectId"] == slug else None

    def active(self, slug: str) -> dict[str, Any] | None:
        """Return the bundle in force, if there is one."""
        named = self._store.get("auth_active_bundles", slug)
        return self._store.get(_BUNDLES, named["id"]) if named else None

    def expire(self, slug: str) -> None:
        """Set the bundle in force aside."""
        self._store.delete("auth_active_bundles", slug)

    def _still_right(self, active: dict[str, Any], project: dict[str, Any], now: datetime) -> bool:
        return bool(
            active["configHash"] == _config_hash(project, active["credentialId"])
            and datetime.fromisoformat(active["credentialExpiresAt"]) > now
        )


def _config_hash(project: dict[str, Any], credential_id: str) -> str:
    texts = [project.get(key, "") for key in ("settingsJson", "claudeJson", "mcpJson", "claudeMd")]
    return hashlib.sha256("\0".join([credential_id, *texts]).encode()).hexdigest()


def _archive(project: dict[str, Any], credential: dict[str, Any]) -> bytes:
    account = {key: credential[key] for key in _ACCOUNT if key in credential}
    expires = int(datetime.fromisoformat(credential["expiresAt"]).timestamp() * 1000)
    tokens = {key: credential[key] for key in ("accessToken", "refreshToken") if key in credential}
    files = {
        ".claude/.credentials.json": _text({"claudeAiOauth": {**tokens, "expiresAt": expires, **account}}),
        ".config/claude/config.json": _text({"oauthToken": credential["accessToken"]}),
        ".claude/settings.json": project.get("settingsJson") or _text(_HEADLESS_SETTINGS),
        ".claude.json": project.get("claudeJson") or _text(_state(project, account)),
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(packed.getvalue())


def _state(project: dict[str, Any], account: dict[str, Any]) -> dict[str, Any]:
    known = {
        "accountUuid": project.get("claudeAccountUuid"),
        "emailAddress": project.get("claudeEmail"),
        "organizationUuid": project.get("claudeOrgUuid"),
        **account,
    }
    if not known["accountUuid"]:
        return _HEADLESS_STATE
    told = {key: value for key, value in known.items() if value is not None}
    return {**_HEADLESS_STATE, "oauthAccount": {**told, "hasExtraUsageEnabled": True}}


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2)
