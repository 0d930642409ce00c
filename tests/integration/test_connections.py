"""Clients that are slow on purpose do not keep their connections; a slow answer is no fault of theirs."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from reconciler.faces.http.connections import ImpatientProtocol


class Hasty(ImpatientProtocol):
    read_within = 0.3


class Crowded(ImpatientProtocol):
    most_awaited = 20


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    if request.url.path == "/slow":
        await asyncio.sleep(Hasty.read_within * 3)
    elif request.url.path == "/body":
        await request.body()
    await Response("done")(scope, receive, send)


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with serving(Hasty) as made:
        yield made


@contextmanager
def serving(protocol: type[ImpatientProtocol], **options: Any) -> Iterator[tuple[str, int]]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(app, http=protocol, lifespan="off", ws="none", log_level="critical", **options)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        yield listener.getsockname()
        server.should_exit = True
        thread.join()


def until_closed(address: tuple[str, int], *pieces: str) -> bytes:
    with socket.create_connection(address, timeout=30) as connection:
        for piece in pieces:
            connection.sendall(piece.encode())
        return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.mark.parametrize(
    "begun",
    [
        "",
        "GET /",
        "GET / HTTP/1.1\r\nHost: x\r\n",
        "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
        "POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
    ],
    ids=["nothing", "line", "head", "body", "chunks"],
)
def test_a_request_that_does_not_end_is_given_up(address: tuple[str, int], begun: str) -> None:
    assert until_closed(address, begun) == b""


@pytest.mark.parametrize(
    "first", ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"]
)
def test_the_one_after_an_answer_is_given_up_too(address: tuple[str, int], first: str) -> None:
    answers = until_closed(address, first, "GET / HTTP/1.1\r\nHo")
    assert answers.count(b"200 OK") == 1


def test_what_was_answered_before_it_was_whole_is_given_up(address: tuple[str, int]) -> None:
    answers = until_closed(address, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
    assert answers.count(b"200 OK") == 1


def test_an_answer_may_take_its_time(address: tuple[str, int]) -> None:
    asked = "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert until_closed(address, asked).endswith(b"done")
    pipelined = "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + asked
    assert until_closed(address, pipelined).count(b"200 OK") == 2


@pytest.mark.parametrize(
    "begun", ["", "GET / HT", "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"]
)
def test_a_crowd_that_says_nothing_keeps_nobody_out(begun: str) -> None:
    with serving(Crowded, limit_concurrency=40) as place, ExitStack() as crowd:
        for _ in range(100):
            stranger = crowd.enter_context(socket.create_connection(place, timeout=30))
            stranger.sendall(begun.encode())
        asked = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        for _ in range(5):
            assert until_closed(place, asked).startswith(b"HTTP/1.1 200 ")
