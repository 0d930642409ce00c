"""LiteLLM's client against the emulator, and against answers that are none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from reconciler.clients.litellm import LiteLLMWriter
from reconciler.model.errors import Collision, ConfigurationError, Denied, Missing, Rejected, Unavailable
from tests.integration.conftest import VaultCorner
from tests.kinds.project.support.litellm import ALIAS, EVERYTHING, FIRST, World, emulated, settled, token
from tests.kinds.project.support.passes import target
from tests.support.serve import serve


@pytest.fixture
def world(vault: VaultCorner) -> Iterator[World]:
    with emulated(vault) as made:
        yield made


def test_two_hundred_and_fifty_of_each(world: World) -> None:
    world.passes().run(target())
    team, key = world.team(), world.key()
    world.store.put_many(
        "teams", {f"t{n}": {**team, "team_id": f"t{n}", "metadata": None} for n in range(249)}
    )
    keys = {str(n): {**key, "token": str(n), "key_alias": f"other/{n}", "metadata": {}} for n in range(249)}
    world.store.put_many("keys", keys)
    client = world.client()
    assert (len(client.teams), len(client.keys)) == (250, 250)
    client.close()
    assert settled(world.passes())


@pytest.mark.parametrize("key", ["sk-wrong-0123456789abc", "no-prefix", "weak"])
def test_a_wrong_admin_key(world: World, key: str) -> None:
    if key == "weak":
        key = world.by_hand("/key/generate", key_alias="weak")["key"]
    client = LiteLLMWriter.connect(world.sections(adminKey=key))
    for call in (lambda: client.teams, lambda: client.keys, lambda: client.create_team({"team_id": "x"})):
        with pytest.raises(Denied) as refused:
            call()
        assert key not in str(refused.value)
    client.close()


def test_no_admin_key(world: World) -> None:
    with pytest.raises(ConfigurationError):
        world.sections(adminKey=None).get(LiteLLMWriter.settings).check()


@pytest.mark.parametrize(
    ("status", "text", "fault"),
    [
        (200, "<html>", Rejected),
        (200, "[]", Rejected),
        (200, "{}", Rejected),
        (200, '{"teams": [{"team_id": 5}], "keys": [{}], "total_pages": "x"}', Rejected),
        (404, "{}", Missing),
        (400, '{"error": {"message": "{\'error\': \'Team id = x already exists.\'}"}}', Collision),
        (400, "already exists", Rejected),
        (422, '{"detail": []}', Rejected),
        (503, "", Unavailable),
    ],
)
def test_answers_that_are_no_answer(status: int, text: str, fault: type[Exception], world: World) -> None:
    async def answer(_: Request) -> Response:
        return PlainTextResponse(text, status, headers={"retry-after": "60"})

    with serve(Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])) as url:
        client = LiteLLMWriter.connect(world.sections(url=url))
        if status != 400:
            with pytest.raises(fault):
                _ = client.teams
        if text != "{}" and not text.startswith('{"teams'):
            with pytest.raises(fault):
                client.create_team({"team_id": "x"})
        client.close()


def test_nobody_answers(world: World) -> None:
    client = LiteLLMWriter.connect(world.sections(url="http://127.0.0.1:9"))
    with pytest.raises(Unavailable):
        client.register_key(SecretStr(FIRST), {})
    with pytest.raises(Unavailable):
        _ = client.teams
    client.close()


def test_what_a_writer_reads_of_one_thing(world: World) -> None:
    client = world.client()
    assert (client.team("gh-7"), client.key(SecretStr(FIRST)), client.keys_named(ALIAS)) == (None, None, [])
    world.passes().run(target(**EVERYTHING))
    team, key = client.team("gh-7"), client.key(SecretStr(FIRST))
    assert team
    assert key
    assert (team.max_budget, dict(team.model_aliases)) == (50.0, {"default": "sonnet"})
    assert (key.token, key.key_alias, key.status) == (token(FIRST), ALIAS, "active")
    assert [each.token for each in client.keys_named(ALIAS)] == [token(FIRST)]
    world.by_hand("/key/delete", keys=[FIRST])
    assert client.key(SecretStr(FIRST)) is None
    client.close()
