"""The tokens by which pods say who they are: those that Kubernetes projects into them, and their check.

It stands for two things that no test has: the cluster that signs a service account's token, and the gateway
before the auth-service that checks it (docs/seed-departures.md). The real ones are signed with the cluster's
RSA key; a pod cannot tell, for it only carries its token.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

import jwt

from reconciler.sandbox.emulators.store import Store

AUDIENCE = "auth-service"
_ISSUER = "https://kubernetes.default.svc.cluster.local"


class PodTokens:
    """Makes and checks tokens, with a key that lives in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def make(self, namespace: str, account: str, *, audience: str, seconds: int) -> str:
        """Return a token as Kubernetes' TokenRequest does; with negative seconds an expired one."""
        now = int(time.time())
        claims = {
            "aud": [audience],
            "exp": now + seconds,
            "iat": now,
            "iss": _ISSUER,
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account}},
            "sub": f"system:serviceaccount:{namespace}:{account}",
        }
        return jwt.encode(claims, self._key(), algorithm="HS256")

    def refusal(self, authorization: str, slug: str) -> int | None:
        """Return the HTTP status that refuses this header, or None when the pod of that project sent it."""
        scheme, _, token = authorization.partition(" ")
        try:
            claims: dict[str, Any] = jwt.decode(
                token, self._key(), algorithms=["HS256"], audience=AUDIENCE, issuer=_ISSUER
            )
        except jwt.InvalidTokenError:
            return 401
        subject = str(claims.get("sub", "")).split(":")
        known = scheme.lower() == "bearer" and subject[:2] == ["system", "serviceaccount"]
        return None if known and subject[3:] == [f"env-{slug}"] else 403

    def _key(self) -> str:
        found = self._store.get("auth_pod_tokens", "key")
        if found is None:
            found = {"key": secrets.token_hex(32)}
            self._store.put("auth_pod_tokens", "key", found)
        return str(found["key"])
