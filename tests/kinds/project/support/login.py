"""Everything that a login touches, for tests: a real Vault, both emulators, and the engine's own stages.

A pass here is a pass of the program without git: status files are kept as the documents that would be
committed, and a pass that is killed commits nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconciler.clients.auth_service import AuthServiceWriter
from reconciler.clients.http import trusted
from reconciler.clients.oauth_issuer import OAuthIssuerWriter
from reconciler.clients.pass_store import Verification
from reconciler.clients.vault import VaultSecret, VaultWriter
from reconciler.crypto.sealing import generate_identity, seal
from reconciler.engine import viewing
from reconciler.engine.stages import apply, observe, report
from reconciler.engine.stages import plan as planning
from reconciler.git.status_text import merge
from reconciler.kinds import KINDS
from reconciler.kinds.project.resources.app_settings import AppSettings
from reconciler.kinds.project.resources.credentials import Credentials
from reconciler.kinds.project.resources.oauth import OAuth
from reconciler.kinds.project.resources.tokens import Tokens, sealed_fields
from reconciler.kinds.project.spec import KIND, ProjectSpec
from reconciler.model.decision import Settled
from reconciler.model.item import Item, ItemId, Source
from reconciler.model.loaded import Loaded
from reconciler.model.observation import Known
from reconciler.model.outcome import ItemReport
from reconciler.sandbox.emulators.auth_service import app as auth_service
from reconciler.sandbox.emulators.oauth_issuer import app as oauth_issuer
from reconciler.sandbox.emulators.store import Store
from reconciler.settings.giving import Reader, Reading, Sections, Writing
from tests.integration.conftest import VaultCorner
from tests.support.serve import serve

START = datetime(2026, 1, 1, tzinfo=UTC)
TOKEN = "auth-service-token"
REPOSITORY = 4242


class Killed(BaseException):
    """The process was killed here; no part of the program may catch it."""


class Given:
    """Stands for a resource of another system: it is there, with these outputs."""

    phase, system, section, audited, deferred = "initialization", "given", "", False, False
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    trusts: tuple[str, ...] = ()
    settings: tuple[type[Any], ...] = ()

    def __init__(self, name: str, outputs: Mapping[str, Any]) -> None:
        self.name = name
        self.provides = tuple(outputs)
        self._outputs = outputs

    def unwanted(self, target: Any) -> None:
        return None

    def observe(self, targets: Sequence[Any], read: Reading) -> Mapping[str, Any]:
        return {target.slug: Known(None) for target in targets}

    def plan(self, target: Any, seen: Any, outputs: Any) -> Settled:
        return Settled(self._outputs)


class Fuse:
    """Counts writes, and kills the process before or after one of them."""

    def __init__(self) -> None:
        self.burnt = 0
        self.kill_at: tuple[int, str] | None = None

    def guard(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            # A write may be made of others, which count for themselves.
            self.burnt += 1
            number = self.burnt
            if self.kill_at == (number, "before"):
                raise Killed
            answer = write(*args, **kwargs)
            if self.kill_at == (number, "after"):
                raise Killed
            return answer

        return guarded


WRITES: dict[type[Reader], tuple[str, ...]] = {
    VaultWriter: ("write", "annotate", "delete"),
    AuthServiceWriter: ("create_project", "update_project", "push_credentials"),
    OAuthIssuerWriter: ("start", "poll"),
}


class CountWrites:
    """An app that counts the requests whose handlers say that they wrote."""

    def __init__(self, app: ASGIApp, *, down: bool = False) -> None:
        self.app = app
        self.wrote = 0
        self.requests = 0
        self.down = down

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})
        if not scope["path"].startswith("/_emulator"):
            self.requests += 1
            if self.down:
                await send({"type": "http.response.start", "status": 503, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return

        async def sending(message: Message) -> None:
            # Before the caller can go on: it may look at once whether this wrote.
            if message["type"] == "http.response.start":
                self.wrote += bool(scope["state"].get("wrote"))
            await send(message)

        await self.app(scope, receive, sending)


@dataclass
class LoginWorld:
    vault: VaultCorner
    service_url: str
    issuer_url: str
    service: CountWrites
    issuer: CountWrites
    specs: dict[str, dict[str, Any]] = field(default_factory=lambda: {"acme-widgets": {}})
    statuses: dict[str, dict[str, Any]] = field(default_factory=dict)
    verifications: dict[tuple[ItemId, str], Verification] | None = field(default_factory=dict)
    now: datetime = START
    flow: str = "manual"
    identity: str = field(default_factory=lambda: generate_identity().get_secret_value())
    overrides: dict[str, dict[str, Any]] = field(default_factory=dict)

    def sections(self) -> Sections:
        values: dict[str, dict[str, Any]] = {
            "vault": dict(self.vault.sections()._values["vault"]),  # noqa: SLF001 - the fixture's own values
            "authService": {"url": self.service_url, "token": TOKEN},
            "oauth": {"flow": self.flow, "issuer": self.issuer_url, "clientId": "mesh-six-sandbox"},
            "sealing": {"identities": self.identity} if self.identity else {},
        }
        return Sections({**values, **self.overrides}, {})

    def run(self, fuse: Fuse | None = None, *, later: timedelta = timedelta(0)) -> dict[str, ItemReport]:
        """Do one pass; Killed when the fuse says so, and then nothing is committed."""
        self.now += later
        sections = self.sections()
        resources = self._resources(sections)
        known = {ItemId(KIND, slug): document for slug, document in self.statuses.items()}
        loaded = Loaded("0" * 40, tuple(self._projects()), known)
        read = Reading(sections)
        write = _writing(sections, fuse)
        try:
            view = viewing.view(
                KINDS[KIND],
                resources,
                loaded.items,
                loaded,
                read,
                self.verifications,
                now=self.now,
                verify_within=timedelta(days=1),
            )
            plan = planning.plan(view, [item.slug for item in loaded.items])
            reports = {}
            for item, each in zip(loaded.items, plan, strict=True):
                outcomes = apply.apply(
                    each,
                    view,
                    write,
                    stopping=lambda: False,
                    announce=lambda change: None,
                    look_again=lambda resource, target: observe.observe(resource, [target], read)[
                        target.slug
                    ],
                )
                reports[item.slug] = report.report(item, view.kind, outcomes, loaded)
        finally:
            read.close()
            write.close()
        self._commit(reports, loaded)
        if self.verifications is not None:
            self.verifications |= observe.verified(view, self.now)
        return reports

    def quiet(self) -> None:
        """Do a pass that must change nothing anywhere."""
        before = (self.statuses_copy(), self.service.wrote, self.issuer.wrote, self.vault_state())
        self.run()
        assert (self.statuses_copy(), self.service.wrote, self.issuer.wrote, self.vault_state()) == before

    def drop(self, text: Any, slug: str = "acme-widgets") -> None:
        """Put an entry into a status file, as a person does."""
        self.statuses[slug]["oauth"]["sealed"] = text

    def seal(self, slug: str = "acme-widgets", *, access: str = "canary-access", **other: Any) -> str:
        """Seal tokens for what the status file asks for."""
        asked = self.statuses[slug]["oauth"]
        tokens = Tokens(_secret(access), _secret("canary-refresh"), self.now + timedelta(hours=8))
        return seal(
            asked["recipient"],
            sealed_fields(tokens),
            item=ItemId(KIND, other.get("to", slug)),
            request_id=other.get("request", asked["requestId"]),
        )

    def oauth(self, slug: str = "acme-widgets") -> dict[str, Any]:
        return dict(self.statuses[slug]["oauth"])

    def state(self, resource: str, slug: str = "acme-widgets") -> str:
        return str(self.statuses[slug]["resources"][resource]["state"])

    def pushed(self, slug: str = "acme-widgets") -> list[str]:
        """Return the access tokens that the auth-service holds and has not set aside."""
        answer = httpx.get(
            f"{self.service_url}/_emulator/projects/{slug}/credentials", verify=trusted()
        ).json()
        return [each["accessToken"] for each in answer["credentials"] if "invalidatedAt" not in each]

    def in_vault(self, slug: str = "acme-widgets") -> VaultSecret | None:
        client = VaultWriter.connect(self.sections())
        try:
            return client.read(f"mesh-six/oauth/{slug}")
        finally:
            client.close()

    def vault_state(self) -> dict[str, Any]:
        client = VaultWriter.connect(self.sections())
        try:
            names = client.names("mesh-six/oauth")
            return {name: client.metadata(f"mesh-six/oauth/{name}") for name in names}
        finally:
            client.close()

    def held(self) -> list[str]:
        """Return the projects of which Vault has a code or tokens; of others it may know what was served."""
        return [name for name, about in self.vault_state().items() if about.version]

    def decide(self, decision: str, slug: str = "acme-widgets") -> None:
        """Approve, deny or expire the login that the status file shows."""
        code = self.oauth(slug)["userCode"]
        url = f"{self.issuer_url}/_emulator/requests/{code}/{decision}"
        assert httpx.post(url, verify=trusted()).status_code == 204

    def issuer_settings(self, **settings: Any) -> None:
        url = f"{self.issuer_url}/_emulator/settings"
        assert httpx.post(url, json=settings, verify=trusted()).status_code == 204

    def requests(self) -> dict[str, Any]:
        return dict(httpx.get(f"{self.issuer_url}/_emulator/requests", verify=trusted()).json())

    def statuses_copy(self) -> dict[str, Any]:
        return deepcopy(self.statuses)

    def _projects(self) -> Iterator[Item[ProjectSpec]]:
        for slug, fields in self.specs.items():
            owner, _, name = slug.partition("-")
            spec = ProjectSpec.model_validate({"repoOwner": owner, "repoName": name, **fields})
            yield Item(slug, KIND, spec, Source(f"projects/{slug}.yaml", "0" * 40))

    def _resources(self, sections: Sections) -> list[Any]:
        given = [
            Given("validate-repo", {"id": REPOSITORY, "fullName": "acme/widgets"}),
            Given("registry", {}),
        ]
        return [*given, *(make(sections) for make in (AppSettings, OAuth, Credentials))]

    def _commit(self, reports: Mapping[str, ItemReport], loaded: Loaded) -> None:
        for change in report.status_changes(reports.values(), loaded, KINDS, now=self.now):
            human = KINDS[change.id.kind].human_keys
            self.statuses[change.id.slug] = merge(
                loaded.status(change.id), change.document, human, change.consumed
            )


def _writing(sections: Sections, fuse: Fuse | None) -> Writing:
    if fuse is None:
        return Writing(sections)
    return Writing(
        sections, given={kind: partial(_fused, kind, names, sections, fuse) for kind, names in WRITES.items()}
    )


def _fused(kind: type[Reader], names: Sequence[str], sections: Sections, fuse: Fuse) -> Reader:
    client = kind.connect(sections)
    for name in names:
        setattr(client, name, fuse.guard(getattr(client, name)))
    return client


def _secret(text: str) -> SecretStr:
    return SecretStr(text)


@contextmanager
def login_world(vault: VaultCorner) -> Iterator[LoginWorld]:
    """Yield a world with one project, `acme-widgets`, that nobody has logged in."""
    made: list[LoginWorld] = []

    def now() -> datetime:
        return made[0].now if made else START

    with ExitStack() as stack:
        service = CountWrites(auth_service.create_app(Store(), token=TOKEN, clock=now))
        service_url = stack.enter_context(serve(service))
        issuer = CountWrites(Starlette())
        issuer_url = stack.enter_context(serve(issuer))
        issuer.app = oauth_issuer.create_app(Store(), base_url=issuer_url, clock=lambda: now().timestamp())
        made.append(LoginWorld(vault, service_url, issuer_url, service, issuer))
        yield made[0]
