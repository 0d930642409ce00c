"""A GitHub for one test: the emulator behind a wire that counts requests and can be cut at any write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconciler.clients.http import trusted
from reconciler.engine.contract import Resource, Target
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.model.decision import Applied, Decision, Needed
from reconciler.model.errors import SystemFault
from reconciler.model.item import Item, Source
from reconciler.model.observation import Observation, Unknown
from reconciler.sandbox.emulators.github.app import create_app
from reconciler.sandbox.emulators.store import Store
from reconciler.settings.giving import Reading, Sections, Writing
from tests.support.serve import serve

TOKEN = "ghp_token-of-the-tests"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Wire:
    """Passes requests on. `cut_at` n: the n-th write is lost on its way, or (`after`) only its answer is."""

    app: ASGIApp
    requests: list[str] = field(default_factory=list)
    writes: int = 0
    cut_at: int = 0
    after: bool = False
    refusals: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """By `METHOD path`: the status and body that are answered instead."""
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    """Answers to give to the next requests instead of the emulator's: status, headers, body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_emulator"):
            await self.app(scope, receive, send)
            return
        body = await _body(receive)
        self.requests.append(f"{scope['method']} {scope['path']}")
        if self.answers:
            await _answer(send, *self.answers.pop(0))
            return
        writes = scope["method"] != "GET" and (
            not scope["path"].endswith("graphql") or b'"mutation' in body.replace(b" ", b"")
        )
        self.writes += writes
        if refusal := self.refusals.get(self.requests[-1]):
            await _answer(send, refusal[0], {}, refusal[1])
            return
        cut = writes and self.writes == self.cut_at
        if cut and not self.after:
            await _answer(send, 503, {}, b"")
            return

        async def replay() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def swallow(_: Message) -> None:
            return None

        await self.app(scope, replay, swallow if cut else send)
        if cut:
            await _answer(send, 502, {}, b"<html>bad gateway</html>")


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def _answer(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    raw = [(key.encode(), value.encode()) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


@dataclass
class Stage:
    """The emulator, what people do in it, and passes of single resources over it."""

    url: str
    wire: Wire
    people: httpx.Client
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)

    def sections(self, **github: Any) -> Sections:
        own = {"apiUrl": self.url, "token": TOKEN, "writePause": 0, **github}
        return Sections({"github": own, "projects": {"repositories": ["*/*"]}, **self.settings}, {})

    def does(self, method: str, path: str, body: object = None) -> Any:
        """Do something as a person or as GitHub would."""
        answer = self.people.request(method, f"/_emulator/{path}", json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def repository(self, name: str = "widgets", **wish: Any) -> Any:
        return self.does("POST", "repositories", {"owner": "acme", "name": name, **wish})

    def rest(self, path: str) -> Any:
        """Ask GitHub beside the clients under test, uncounted."""
        answer = self.people.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
        answer.raise_for_status()
        self.wire.requests.pop()
        return answer.json()

    def graphql(self, document: str, **variables: Any) -> Any:
        answer = self.people.post(
            "/graphql",
            json={"query": document, "variables": variables},
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        self.wire.requests.pop()
        return answer.json()["data"]

    def boards(self, owner: str = "acme") -> list[Any]:
        """Return all of an owner's boards with readme, repositories and fields."""
        document = """query($o:String!){repositoryOwner(login:$o){...on ProjectV2Owner{
          projectsV2(first:50){nodes{id title readme closed repositories(first:5){nodes{nameWithOwner}}
          fields(first:50){nodes{...on ProjectV2FieldCommon{id name dataType}
            ...on ProjectV2SingleSelectField{options{id name color description}}}}}}}}}"""
        found: list[Any] = self.graphql(document, o=owner)["repositoryOwner"]["projectsV2"]["nodes"]
        return found

    def file(self, path: str, branch: str = "main", name: str = "widgets") -> str | None:
        answer = self.people.get(
            f"/repos/acme/{name}/contents/{path}?ref={branch}",
            headers={"Authorization": f"Bearer {TOKEN}", "Accept": "application/vnd.github.raw+json"},
        )
        return answer.text if answer.status_code == 200 else None

    def observe(
        self, resource: Resource[ProjectSpec, Any], *targets: Target[ProjectSpec], **github: Any
    ) -> Mapping[str, Observation[Any]]:
        reading = Reading(self.sections(**github))
        try:
            return resource.observe(targets, reading)
        finally:
            reading.close()

    def plan(
        self,
        resource: Resource[ProjectSpec, Any],
        target: Target[ProjectSpec],
        outputs: Mapping[str, Any] | None = None,
    ) -> Decision:
        seen = self.observe(resource, target)[target.slug]
        assert not isinstance(seen, Unknown), seen
        return resource.plan(target, seen, outputs or VALID)

    def settle(
        self,
        resource: Resource[ProjectSpec, Any],
        target: Target[ProjectSpec],
        outputs: Mapping[str, Any] | None = None,
    ) -> Applied | Decision:
        """Observe, plan, and apply what is planned."""
        decision = self.plan(resource, target, outputs)
        if not isinstance(decision, Needed):
            return decision
        writing = Writing(self.sections())
        try:
            return resource.apply(target, decision.change, writing)
        finally:
            writing.close()

    def settle_though_cut(
        self,
        resource: Resource[ProjectSpec, Any],
        target: Target[ProjectSpec],
        outputs: Mapping[str, Any] | None = None,
        *,
        cut_at: int,
        after: bool,
    ) -> tuple[bool, Applied | Decision]:
        """Settle while the n-th write fails, then in a fresh pass; return (was cut, what came of it)."""
        self.wire.writes, self.wire.cut_at, self.wire.after = 0, cut_at, after
        try:
            done: Applied | Decision = self.settle(resource, target, outputs)
        except SystemFault:
            was_cut = True
        else:
            was_cut = False
        self.wire.cut_at = 0
        if was_cut:
            done = self.settle(resource, target, outputs)
        return was_cut, done


VALID: Mapping[str, Any] = {
    "validate-repo": {
        "nodeId": "R_1",
        "id": 1,
        "defaultBranch": "main",
        "ownerType": "Organization",
        "ownerId": "O_1",
        "fullName": "acme/widgets",
    }
}


def target(
    remembered: Mapping[str, Any] | None = None,
    *,
    section: Mapping[str, Any] | None = None,
    siblings: Mapping[str, Any] | None = None,
    verify: bool = True,
    **spec: Any,
) -> Target[ProjectSpec]:
    """Return acme/widgets, or what `spec` says, as a resource is asked about it."""
    made = ProjectSpec.model_validate({"repoOwner": "acme", "repoName": "widgets", **spec})
    slug = made.slug or made.default_slug()
    item = Item(slug, "project", made, Source(f"projects/{slug}.yaml", "0" * 40))
    return Target(
        item=item,
        now=NOW,
        proof="1",
        remembered=remembered or {},
        section=section or {},
        siblings=siblings or {},
        verify=verify,
    )


@contextmanager
def stage() -> Iterator[Stage]:
    """Serve an empty GitHub."""
    store = Store()
    wire = Wire(create_app(store, token=TOKEN))
    with serve(wire) as url, httpx.Client(base_url=url, timeout=10, verify=trusted()) as people:
        yield Stage(url, wire, people)
    store.close()
