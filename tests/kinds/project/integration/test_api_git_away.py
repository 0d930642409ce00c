"""The service while the config repository's server is away, or hangs: reads go on, writes do not."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from reconciler.sandbox.supervisor import Sandbox
from tests.support.git_server import GitServer
from tests.support.reconciling import git, merge
from tests.support.serve import serve
from tests.support.service import REQUEST, TOKENS, service, until

THREADS = 40
"""As many as the framework has for requests that may wait."""


@pytest.fixture
def git_server(clean_sandbox: Sandbox, tmp_path: Path) -> GitServer:
    merge(clean_sandbox, tmp_path / "projects", ready="repoOwner: acme\nrepoName: ready\n")
    repository = Path(clean_sandbox.environment()["CONFIG_REPOSITORY"])
    return GitServer(repository.parent)


def test_reads_go_on_and_writes_are_refused_while_git_is_away(
    clean_sandbox: Sandbox, git_server: GitServer
) -> None:
    with ExitStack() as server, ExitStack() as whole:
        address = server.enter_context(serve(git_server))
        config = {"CONFIG_REPOSITORY": f"{address}/config.git"}
        running = whole.enter_context(service(clean_sandbox, config))
        before = running.wait("acme-ready", "waiting_auth")
        server.close()
        for path in ("/onboard", "/onboard/acme-ready", "/healthz", "/readyz", "/metrics"):
            assert running.call("GET", path).status_code == 200
        assert running.run("acme-ready") == before
        # What was read a moment ago is believed to be all that there is.
        until(lambda: running.call("GET", "/onboard/acme-nobody").status_code == 503)
        refused = [
            running.call("GET", "/onboard/acme-nobody"),
            running.call("POST", "/onboard", json=REQUEST),
            running.call("POST", "/onboard/acme-ready/auth-callback", by="courier", json=TOKENS),
        ]
    for answer in refused:
        assert answer.status_code == 503, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"]
        assert "access-1" not in answer.text


def test_a_server_that_hangs_holds_up_nothing_else(clean_sandbox: Sandbox, git_server: GitServer) -> None:
    answered = threading.Event()
    with (
        serve(git_server) as address,
        service(clean_sandbox, {"CONFIG_REPOSITORY": f"{address}/config.git"}) as running,
        ThreadPoolExecutor(THREADS) as callers,
    ):
        running.wait("acme-ready", "waiting_auth")
        git_server.before_any = lambda: answered.wait(60)
        sent = [callers.submit(running.call, "POST", "/onboard", json=REQUEST) for _ in range(THREADS)]
        for path in ("/onboard", "/onboard/acme-ready", "/healthz", "/metrics"):
            assert running.call("GET", path).status_code == 200
        answered.set()
        statuses = [each.result().status_code for each in sent]
        running.wait("acme-gears", "waiting_auth")
    # 503: a busy machine may keep some waiting for longer than they are let.
    assert statuses.count(202) == 1
    assert set(statuses) <= {200, 202, 503}
    log = git(clean_sandbox.environment()["CONFIG_REPOSITORY"], "log", "--format=%s", "main")
    assert log.count("Onboard acme/gears") == 1
