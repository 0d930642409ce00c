"""Runs the real LiteLLM proxy on an empty PostgreSQL for the length of a `with`."""

from __future__ import annotations

import json
import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg

from tests.live.install import Installed, install
from tests.support.servers import free_port, postgres

STARTS_WITHIN = 180.0
"""Seconds; it takes about thirty on two cores that have nothing else to do."""


@dataclass(frozen=True)
class Proxy:
    url: str
    admin_key: str


@contextmanager
def proxy() -> Iterator[Proxy]:
    """Yield a proxy that holds no team and no key and offers two models, neither of which it can reach."""
    installed = install()
    with postgres() as url, tempfile.TemporaryDirectory(prefix="litellm-") as folder:
        for migration in installed.migrations:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(migration.read_bytes())
        with _running(installed, Path(folder), psycopg.conninfo.conninfo_to_dict(url)) as running:
            yield running


@contextmanager
def _running(installed: Installed, folder: Path, database: Mapping[str, object]) -> Iterator[Proxy]:
    admin_key = f"sk-{secrets.token_hex(32)}"
    models = [
        {"model_name": name, "litellm_params": {"model": f"openai/{name}", "api_key": "none"}}
        for name in ("sonnet", "haiku")
    ]
    config = folder / "config.yaml"
    config.write_text(json.dumps({"model_list": models, "general_settings": {"master_key": admin_key}}))
    port = free_port()
    environment = {
        **installed.environment,
        "DATABASE_URL": "postgresql://the-query-engine-knows-better@127.0.0.1/litellm",
        "PGHOST": str(database["host"]),
        "PGUSER": str(database["user"]),
        "PGDATABASE": str(database["dbname"]),
        "DISABLE_SCHEMA_UPDATE": "true",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "STORE_MODEL_IN_DB": "True",
    }
    command = [
        str(installed.programs / "litellm"), "--config", str(config), "--host", "127.0.0.1",
        "--port", str(port), "--telemetry", "False",
    ]  # fmt: skip
    log = folder / "proxy.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=output, stderr=output)
    try:
        _await(f"http://127.0.0.1:{port}/health/readiness", process, log)
        yield Proxy(f"http://127.0.0.1:{port}", admin_key)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + STARTS_WITHIN
    while True:
        ended = process.poll() is not None
        if ended or time.monotonic() > until:
            raise AssertionError(
                f"LiteLLM {'ended' if ended else 'is not ready'}:\n{log.read_text()[-4000:]}"
            )
        try:
            if httpx.get(url, timeout=5).json().get("db") == "connected":
                return
        except (httpx.HTTPError, ValueError):
            pass
        time.sleep(0.3)
