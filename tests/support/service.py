"""The service in this process, on a sandbox, with its real schedule; and callers with tokens of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from reconciler.engine.cycle import Cycle
from reconciler.engine.kind import Kinds
from reconciler.faces.access import fingerprint, new_token
from reconciler.faces.cli.options import made_outside
from reconciler.faces.http.app import Service, application
from reconciler.faces.http.run import service_of
from reconciler.kinds import KINDS
from reconciler.model.yaml_read import load_yaml
from reconciler.sandbox.supervisor import Sandbox
from reconciler.settings.giving import Sections
from reconciler.settings.program import ServeSettings
from tests.support.serve import serve

SCOPES = {"reader": ["read"], "writer": ["read", "write"], "courier": ["submit-tokens"]}
REQUEST = {"repoOwner": "acme", "repoName": "gears"}
TOKENS = {"accessToken": "access-1", "refreshToken": "refresh-1", "expiresAt": 4_102_444_800_000}


@dataclass(frozen=True)
class Running:
    """A service that listens. `tokens` by the names of `SCOPES`, and `late`, which is past its day."""

    url: str
    service: Service
    tokens: Mapping[str, str]

    def call(self, method: str, path: str, *, by: str = "writer", **options: Any) -> httpx.Response:
        """Send a request as one of them; "" sends no token."""
        headers = {"Authorization": f"Bearer {self.tokens[by]}"} if by else {}
        headers |= options.pop("headers", {})
        return httpx.request(method, f"{self.url}{path}", headers=headers, timeout=30, **options)

    def run(self, slug: str) -> dict[str, Any]:
        """Return a run as the API tells it."""
        answer = self.call("GET", f"/onboard/{slug}", by="reader")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def wait(self, slug: str, status: str) -> dict[str, Any]:
        """Return a run once it has that status."""
        path = f"/onboard/{slug}"
        until(lambda: self.call("GET", path, by="reader").json().get("status") == status)
        return self.run(slug)


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something that will come; a busy machine may take its time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def service(
    sandbox: Sandbox,
    environ: Mapping[str, str] = {},
    *,
    kinds: Kinds = KINDS,
    repositories: bool = True,
    **serving: Any,
) -> Iterator[Running]:
    """Serve on a sandbox; `environ` replaces variables, `serving` keys of section `serve`.

    Without `repositories`, GitHub has none of those that are asked for. The schedule's interval is an hour:
    only what asks for a pass gets one after the first.
    """
    tokens = {name: new_token() for name in (*SCOPES, "late")}
    entries = [
        {"name": name, "scopes": SCOPES.get(name, ["read"]), "sha256": fingerprint(token)}
        for name, token in tokens.items()
    ]
    entries[-1]["expires"] = "2026-01-01"
    file = sandbox.configuration_file()
    values: dict[str, Any] = dict(load_yaml(str(file), file.read_bytes()).values)
    values["serve"] = {**values["serve"], "tokens": entries, **serving}
    values["schedule"] = {"interval": "1h", "jitter": "1s", "leastPause": "0.5s"}
    sections = Sections(values, {**sandbox.environment(), **environ})

    def before() -> None:
        if repositories:
            # Stands in for the people who have the repository that they ask to be onboarded.
            made_outside(sandbox, kinds)

    cycle = Cycle(sections, kinds, before=before)
    made = service_of(cycle, sections.get(ServeSettings))
    revealed = {name: token.get_secret_value() for name, token in tokens.items()}
    with serve(application(made), lifespan=True) as url:
        until(lambda: made.schedule.last_ended is not None)
        yield Running(url, made, revealed)
