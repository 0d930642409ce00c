"""Writes down what a pass sends, and sends it again with nothing around it: the floor below every pass.

`python -m bench.recording FILE` replays a recording, one request after the other, and prints the seconds.
The recording holds credentials of a sandbox that is gone soon; it is written for its owner only.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg
import requests
import urllib3


class Recorder:
    """Listens where each library sends."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def install(self) -> None:
        """Wrap the libraries of this process."""
        self._wrap_httpx()
        self._wrap_requests()
        self._wrap_urllib3()
        self._wrap_psycopg()

    def save(self, path: Path) -> None:
        """Write the recording."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(self.sent), encoding="utf-8")

    def _http(self, method: str, url: str, headers: Any, body: bytes) -> None:  # noqa: ANN401 - any mapping
        kept = {
            str(name): str(value) for name, value in headers.items() if str(name).lower() != "content-length"
        }
        text = base64.b64encode(body).decode()
        self.sent.append({"method": method, "url": url, "headers": kept, "body": text})

    def _wrap_httpx(self) -> None:
        original = httpx.HTTPTransport.handle_request

        def handle_request(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
            self._http(request.method, str(request.url), request.headers, request.read())
            return original(transport, request)

        httpx.HTTPTransport.handle_request = handle_request  # type: ignore[method-assign,assignment]

    def _wrap_requests(self) -> None:
        original = requests.Session.send

        def send(
            session: requests.Session,
            request: requests.PreparedRequest,
            **options: Any,  # noqa: ANN401
        ) -> requests.Response:
            body: Any = request.body or b""
            raw = body if isinstance(body, bytes) else body.encode()
            self._http(str(request.method), str(request.url), request.headers, raw)
            return original(session, request, **options)

        requests.Session.send = send  # type: ignore[method-assign,assignment]

    def _wrap_urllib3(self) -> None:
        original: Any = urllib3.PoolManager.urlopen

        def urlopen(pool: urllib3.PoolManager, method: str, url: str, **options: Any) -> Any:  # noqa: ANN401
            self._http(method, url, options.get("headers") or {}, options.get("body") or b"")
            return original(pool, method, url, **options)

        urllib3.PoolManager.urlopen = urlopen  # type: ignore[method-assign,assignment]

    def _wrap_psycopg(self) -> None:
        original: Any = psycopg.Cursor.execute

        def execute(cursor: psycopg.Cursor[Any], query: Any, params: Any = None, **options: Any) -> Any:  # noqa: ANN401
            self.sent.append({"sql": str(query), "values": params})
            return original(cursor, query, params, **options)

        psycopg.Cursor.execute = execute  # type: ignore[method-assign,assignment]


def replay(sent: list[dict[str, Any]], database: str) -> float:
    """Send it all again over kept connections and read the answers; returns the seconds."""
    prepared = [
        (each, base64.b64decode(each["body"]) if "body" in each else b"", each.get("headers"))
        for each in sent
    ]
    begun = time.perf_counter()
    with httpx.Client(trust_env=False) as client, psycopg.connect(database, autocommit=True) as connection:
        for each, body, headers in prepared:
            if "sql" in each:
                connection.execute(each["sql"].encode(), each["values"]).fetchall()
                continue
            answer = client.request(each["method"], each["url"], headers=headers, content=body)
            answer.raise_for_status()
    return time.perf_counter() - begun


def main() -> None:
    recording, database = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), sys.argv[2]
    print(replay(recording, database))


if __name__ == "__main__":
    main()
