"""The auth-service as pods see it: the sandbox's emulator, with a gateway that checks their tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from reconciler.sandbox.emulators.auth_service.app import create_app
from reconciler.sandbox.emulators.store import Store
from tests.support.serve import serve

SLUG = "acme-widgets"
GATEWAY = {"Authorization": "Bearer secret"}
LATER = "2099-01-01T00:00:00.000Z"
LOGIN = {
    "accessToken": "canary-access",
    "refreshToken": "canary-access-refresh",
    "expiresAt": 4070908800000,
    "billingType": "stripe_subscription",
    "displayName": "mesh-six",
    "scopes": ["user:inference"],
}
"""What a pod makes of a push of `canary-access`."""


@dataclass
class Service:
    """The auth-service, which a test can have answer anything."""

    app: ASGIApp
    http: httpx.Client = field(default_factory=lambda: httpx.Client(headers=GATEWAY))
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """What to answer, instead of the truth, to requests whose path ends so."""
    asked: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if not path.startswith("/_emulator"):
            self.asked.append(f"{scope['method']} {path}")
        for ending, (status, body) in self.answers.items():
            if ending in path:
                await send({"type": "http.response.start", "status": status, "headers": []})
                await send({"type": "http.response.body", "body": body})
                return
        await self.app(scope, receive, send)

    @property
    def url(self) -> str:
        return str(self.http.base_url).rstrip("/")

    @property
    def cycles(self) -> int:
        """How often a pod has begun to ask for a bundle."""
        return sum(line.endswith("/provision") for line in self.asked)

    def know_project(self, slug: str = SLUG, **fields: Any) -> None:
        """Make the project, or change it."""
        body = {"id": slug, "displayName": slug, **fields}
        if self.http.post("/projects", json=body).status_code == 409:
            self.http.put(f"/projects/{slug}", json=fields).raise_for_status()

    def push(self, access: str, slug: str = SLUG, **fields: Any) -> None:
        """Push tokens, as the reconciler does after a login."""
        self.know_project(slug)
        body = {"accessToken": access, "refreshToken": f"{access}-refresh", "expiresAt": LATER, **fields}
        self.http.post(f"/projects/{slug}/credentials", json=body).raise_for_status()

    def token(self, **claims: Any) -> str:
        """Return a pod's token; by default the right one."""
        return self.http.post("/_emulator/pod-tokens", json={"project": SLUG, **claims}).text


@contextmanager
def auth_service_for_pods(port: int = 0) -> Iterator[Service]:
    """Serve an auth-service whose gateway checks pods' tokens; it knows nothing yet."""
    service = Service(create_app(Store(), token="secret"))
    with serve(service, port=port) as url, service.http:
        service.http.base_url = httpx.URL(url)
        yield service
