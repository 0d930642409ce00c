"""A GitHub App's installation: a signed JWT in, a token for an hour out."""

from __future__ import annotations

import base64
import json
import secrets
from datetime import timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from reconciler.sandbox.emulators.github import bodies
from reconciler.sandbox.emulators.github.call import Answer, Call
from reconciler.sandbox.emulators.github.errors import Refusal, not_found
from reconciler.sandbox.emulators.github.world import World

INSTALLATIONS = "github.installations"
LONGEST_LIFE = 600 + 60
RANKS = ("none", "read", "write", "admin")
Document = dict[str, Any]


def get_installation(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/installation, with the App's JWT."""
    app = _app(call)
    repository = call.world.repositories.find(call.parameter("owner"), call.parameter("repo"))
    for installation in _installations(call.world, app):
        if repository and installation["owner"].lower() == repository["owner"].lower():
            return Answer(_body(call, installation))
    raise not_found()


def create_token(call: Call) -> Answer:
    """POST /app/installations/{id}/access_tokens: 403 when suspended, 422 for more than was granted."""
    app = _app(call)
    found = [one for one in _installations(call.world, app) if one["id"] == call.parameter("installation")]
    if not found:
        raise not_found()
    installation = found[0]
    if installation["suspended"]:
        raise Refusal(403, "This installation has been suspended")
    wanted = call.body.get("permissions") or installation["permissions"]
    granted = installation["permissions"]
    if any(RANKS.index(level) > RANKS.index(granted.get(name, "none")) for name, level in wanted.items()):
        raise Refusal(422, "The permissions requested are not granted to this installation.")
    names = [f"{installation['owner']}/{name}" for name in call.body.get("repositories", [])]
    expires = call.world.clock() + timedelta(hours=1)
    token = f"ghs_{app}_{secrets.token_urlsafe(300)}"
    call.world.identities.add(
        {
            "token": token,
            "login": f"app-{app}[bot]",
            "kind": "app",
            "permissions": wanted,
            "default": "none" if names else "admin",
            "repositories": dict.fromkeys(names, "admin"),
            "expires": expires.timestamp(),
        }
    )
    return Answer(
        {
            "token": token,
            "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "permissions": wanted,
            "repository_selection": "selected" if names else "all",
        },
        status=201,
    )


def add_installation(world: World, wish: Document) -> Document:
    """Keep an installation: id, appId, owner, publicKey (PEM), permissions, suspended."""
    kept = {"suspended": False, "createdAt": world.now(), **wish}
    world.store.put(INSTALLATIONS, str(kept["id"]), kept)
    return kept


def _installations(world: World, app: str) -> list[Document]:
    return [one for _, one in world.store.items(INSTALLATIONS) if str(one["appId"]) == app]


def _app(call: Call) -> str:
    """Return the App that signed the request's JWT; every fault is a 401."""
    token = call.request.headers.get("authorization", "").partition(" ")[2]
    head, _, signature = token.rpartition(".")
    try:
        claims = json.loads(_decoded(head.partition(".")[2]))
        app, issued, expires = str(claims["iss"]), float(claims["iat"]), float(claims["exp"])
        signed = _decoded(signature)
    except (ValueError, KeyError, TypeError):
        raise Refusal(401, "A JSON web token could not be decoded") from None
    if not any(_verifies(one["publicKey"], head, signed) for one in _installations(call.world, app)):
        raise Refusal(401, "A JSON web token could not be decoded")
    now = call.world.clock().timestamp()
    if issued > now + 60 or not now < expires <= now + LONGEST_LIFE:
        raise Refusal(401, "'Expiration time' claim ('exp') is too far in the future or past")
    return app


def _verifies(pem: str, head: str, signature: bytes) -> bool:
    key = serialization.load_pem_public_key(pem.encode())
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    try:
        key.verify(signature, head.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _body(call: Call, installation: Document) -> Document:
    owner = bodies.user(call, installation["owner"])
    address = f"{call.api}/app/installations/{installation['id']}"
    return {
        "id": installation["id"],
        "account": owner,
        "repository_selection": "all",
        "access_tokens_url": f"{address}/access_tokens",
        "repositories_url": f"{call.api}/installation/repositories",
        "html_url": f"{call.site}/organizations/{owner['login']}/settings/installations/{installation['id']}",
        "app_id": int(installation["appId"]),
        "app_slug": f"app-{installation['appId']}",
        "target_id": owner["id"],
        "target_type": owner["type"],
        "permissions": installation["permissions"],
        "events": [],
        "created_at": installation["createdAt"],
        "updated_at": installation["createdAt"],
        "single_file_name": None,
        "suspended_by": None,
        "suspended_at": installation["createdAt"] if installation["suspended"] else None,
    }
