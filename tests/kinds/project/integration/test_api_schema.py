"""Schemathesis asks the running service whatever its OpenAPI description allows, and much that it forbids.

The seed is fixed: a test that fails does so because of the commit that it is run on, and fails again when it
is run again. `make fuzz-api` runs the same with a new seed each time, and for longer.

GitHub has none of the repositories that are asked for. Each request is as valid as any, is committed, and
comes out as a failed run of the next pass; but nothing is made for it in the systems behind.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from reconciler.faces.access import fingerprint, new_token
from reconciler.faces.http.pushes import Pushes
from reconciler.sandbox.supervisor import Sandbox
from tests.support.reconciling import git, merge
from tests.support.service import service

ROOT = Path(__file__).parents[4]
RULES = Path(__file__).with_name("schemathesis.toml")
OPTIONS = os.environ.get("SCHEMATHESIS_OPTIONS", "").split()


def test_the_service_answers_as_it_says(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    merge(clean_sandbox, tmp_path / "projects", widgets="repoOwner: acme\nrepoName: widgets\n")
    token = new_token()
    caller = {"name": "anybody", "scopes": ["read", "write", "submit-tokens"], "sha256": fingerprint(token)}
    with service(clean_sandbox, repositories=False, tokens=[caller]) as running:
        assert isinstance(running.service.pushes, Pushes)
        secret = clean_sandbox.environment()["RECONCILER_WEBHOOK_SECRET"]
        environment = {"API_TOKEN": token.get_secret_value(), "WEBHOOK_SECRET": secret}
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(RULES), "run", "--no-color"]
        done = subprocess.run(
            [*command, *OPTIONS, f"{running.url}/openapi.json"],
            env={**os.environ, **environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, done.stderr
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert re.search(rf"✅  {phase} \(", done.stdout)
    repository = clean_sandbox.environment()["CONFIG_REPOSITORY"]
    commits = git(repository, "log", "--format=%s", "main").splitlines()
    files = git(repository, "ls-tree", "--name-only", "main", "projects/").splitlines()
    asked_for = [path for path in files if "Asked for through" in git(repository, "show", f"main:{path}")]
    assert asked_for
    assert len(asked_for) == sum(subject.startswith("Onboard ") for subject in commits)
