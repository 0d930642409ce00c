"""Git: every request to a git server by HTTP fails in every way, and no commit is lost or made twice.

A pass says what is wrong and ends, or goes on with what it has; the next clean one does the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from reconciler.model.errors import ReconcilerError
from reconciler.sandbox.false_answers import FALSE, SPOILED, Answer, spoiled
from tests.prove.figures import Figures
from tests.prove.ground import Ground, provable_kinds
from tests.prove.judging import Wrong, judge
from tests.prove.world import World, said, unforeseen
from tests.support.git_server import GitServer
from tests.support.remote_git import PASSWORD, over_http

REPOSITORIES = ("config", "manifests")
REQUESTS = (
    "GET info/refs?service=git-upload-pack",
    "POST git-upload-pack",
    "GET info/refs?service=git-receive-pack",
    "POST git-receive-pack",
)
BEFORE = ("500", "403", "404-page", "302", "204", "page", "empty-object", "malformed", "deep", "429-never")
AFTER = ("502-after", "truncated", "slow")
MOST_OF_A_SHORT_RUN = 8
HOLD = 0.2
"""Seconds."""


@dataclass(frozen=True)
class Strike:
    """One request to one repository that fails in one way."""

    repository: str
    request: str
    kind: str

    def __str__(self) -> str:
        return f"{self.kind} at {self.request} of {self.repository}"


class _Struck(GitServer):
    """A server of which one request fails, whenever it comes."""

    strike: Strike | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        strike = self.strike
        if strike is None or not _is(strike, scope):
            return await super().__call__(scope, receive, send)
        if (false := FALSE.get(strike.kind)) is not None:
            return await _send(false, send)
        if strike.kind == "slow":
            await asyncio.sleep(HOLD)
            return await super().__call__(scope, receive, send)
        answer = await self._answer(Request(scope, receive))
        return await _send(_after(strike.kind, answer), send)


def jobs() -> list[str]:
    """Return the one job, with the kind that has the least to do besides."""
    return [provable_kinds()[-1].name]


def run(job: str, ground: Ground) -> Figures:
    """Strike every request."""
    figures = Figures("git", job, "pairs")
    kinds = (*BEFORE, *AFTER)
    strikes = [Strike(*each) for each in product(REPOSITORIES, REQUESTS, kinds)]
    with World(ground.sandbox, provable_kinds()[-1]) as world, _served(world) as (server, environment):
        scenario = world.provable.scenarios[0]
        undisturbed, bystander = names = world.new(2)
        world.begin(names, scenario)
        assert world.settle(names, scenario) == []
        model, status = world.inventory(undisturbed), world.status(bystander)
        points: dict[str, str] = {}
        wrong: dict[str, list[Wrong]] = {}
        theirs: dict[str, str] = {}
        for strike in ground.some(strikes, MOST_OF_A_SHORT_RUN):
            (name,) = world.new(1)
            world.begin([name], scenario)
            # So that there is something to fetch in both.
            theirs |= world.commit_elsewhere()
            points[name], wrong[name] = str(strike), []
            server.strike = strike
            wrong[name] += _struck(world, name, environment)
            server.strike = None
            if world.status(bystander) != status:
                wrong[name].append(("false", "the status of a settled item was written anew"))
                status = world.status(bystander)
        judge(world, scenario, points, model, figures, wrong)
        for path, text in theirs.items():
            for repository in (world.systems.config, world.systems.manifests):
                if repository.revparse_single(f"main:{path}").read_raw().decode() != text:
                    figures.fall_short(path, [("lost", "somebody's commit")])
    return figures


def _struck(world: World, name: str, environment: dict[str, str]) -> Iterator[Wrong]:
    try:
        result = world.run([name], **environment)
    except ReconcilerError:
        return  # the repository with the files could not be read, which is said
    except Exception as error:  # noqa: BLE001 - that a pass ends with one is what is looked for
        yield "broken", f"the pass ended with {type(error).__name__}"
        return
    for each in unforeseen(said(result)):
        yield "broken", each
    if result.alarm:
        yield "false", "an alarm"


@contextmanager
def _served(world: World) -> Iterator[tuple[_Struck, dict[str, str]]]:
    folder = Path(world.sandbox.environment()["CONFIG_REPOSITORY"]).parent
    server = _Struck(folder, password=PASSWORD)
    with over_http(world.sandbox, server) as environment:
        yield server, environment


def _is(strike: Strike, scope: Scope) -> bool:
    query = scope["query_string"].decode()
    subject = f"{scope['method']} {scope['path'].partition('.git/')[2]}{f'?{query}' if query else ''}"
    return scope["path"].startswith(f"/{strike.repository}.git/") and subject == strike.request


def _after(kind: str, response: Response) -> Answer:
    """Return what becomes of an answer once the effect is there."""
    answer = Answer(response.status_code, list(response.raw_headers), bytes(response.body))
    return spoiled(kind, answer, 0) if kind in SPOILED else FALSE[kind.removesuffix("-after")]


async def _send(answer: Answer, send: Send) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    whole = int(dict(answer.headers).get(b"content-length", b"0")) <= len(answer.body)
    # Of what is not whole the rest never comes, and the server hangs up.
    await send({"type": "http.response.body", "body": answer.body, "more_body": not whole})
