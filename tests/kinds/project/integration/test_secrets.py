"""No secret that the system can hold appears where people read.

The program runs as people run it, in processes of its own with `-v`; every system's answers repeat what they
were sent. Then all that was printed, committed, logged or stored is searched for every secret there was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from reconciler.sandbox.supervisor import Sandbox
from tests.kinds.project.prove import PROVE
from tests.support.declared import VARIABLES
from tests.support.echo import create_app
from tests.support.forked import run_program
from tests.support.reconciling import merge, settle_at_once, status
from tests.support.serve import serve
from tests.support.systems import Systems
from tests.support.watch import Watch, password_in

ADDRESSES = {name for name, each in VARIABLES.items() if each.is_address}
HEADERS = sorted(name for name, each in VARIABLES.items() if each.is_header)
TOKENS = {
    "accessToken": "canary-access-5fK2",
    "refreshToken": "canary-refresh-9Qx7",
    "expiresAt": 1_900_000_000_000,
}


class Run(Watch):
    """Runs the program as people do."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox, self._held)
        self.secrets |= {name: str(value) for name, value in TOKENS.items() if name != "expiresAt"}

    def run(self, *words: str, text: str = "", **environment: str) -> int:
        """Run `reconcile`, with variables of the sandbox replaced; returns its exit code."""
        for name, value in environment.items():
            if "canary" in value:
                self.secrets[f"wrong {name}"] = password_in(value)
        arguments = ("--config", str(self.sandbox.configuration_file()))
        environ = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **self.environment, **environment}
        code, said = run_program([*words, *arguments], environ, text)
        self.said[f"{len(self.said)}: {' '.join(words)} {sorted(environment)}"] = said
        self.learn()
        return code

    def _held(self) -> Mapping[str, str]:
        with closing(Systems(self.sandbox)) as systems:
            codes = {
                f"device code {code[:4]}": code
                for code, _ in systems.store("oauth-issuer").items("oauth_codes")
            }
            return {**PROVE.secrets(systems), **codes}


@pytest.fixture
def watch(clean_sandbox: Sandbox, tmp_path: Path) -> Run:
    merge(clean_sandbox, tmp_path / "projects", gears="repoOwner: acme\nrepoName: gears\n")
    return Run(clean_sandbox)


def proven(watch: Run, least: int) -> None:
    """No leak; and enough secrets were looked for, so that this means something."""
    assert len(watch.secrets) >= least, sorted(watch.secrets)
    assert watch.leaks() == []


def test_the_search_finds_what_is_there(watch: Run) -> None:
    watch.run("--once", "-v")
    for name in (
        "GITHUB_TOKEN",
        "mesh-six/webhooks/acme-gears secret",
        "mesh-six/envs/acme-gears.git-access privateKey",
    ):
        watch.said["planted"] = f"oh: {max(watch.secrets[name].splitlines(), key=len)}"
        assert watch.leaks() == [f"{name} in planted"]


def test_a_project_on_its_whole_way(watch: Run) -> None:
    for form in ("text", "json", "markdown"):
        assert watch.run("plan", "--format", form) == 0
    assert watch.run("--once", "-v", "--wait", "60s") == 0
    assert watch.run("seal", "acme-gears", text=json.dumps(TOKENS)) == 0
    assert watch.run("plan", "--format", "json") == 0
    assert watch.run("--once", "-v", "--format", "json", "--wait", "60s") == 0
    for form in ("text", "json"):
        assert watch.run("status", "acme-gears", "--format", form) == 0
    assert status(watch.sandbox, "acme-gears")["status"] == "completed"
    proven(watch, 16)


def test_a_login_by_device_flow(watch: Run) -> None:
    flow = {"OAUTH_FLOW": "device"}
    assert settle_at_once(watch.sandbox).exit_code == 0
    assert watch.run("--once", "-v", **flow) == 0
    code = status(watch.sandbox, "acme-gears")["oauth"]["userCode"]
    watch.sandbox.emulator("oauth-issuer", "POST", f"/_emulator/requests/{code}/approve")
    assert watch.run("plan", "--format", "json", **flow) == 0
    for _ in range(3):
        watch.run("--once", "-v", **flow)
    proven(watch, 16)
    assert any(name.startswith("device code") for name in watch.secrets)


@pytest.mark.parametrize("answer", [200, 400, 401, 409, 500])
def test_systems_that_repeat_what_they_were_sent(watch: Run, answer: int) -> None:
    with ExitStack() as stack:
        writes = {
            name: stack.enter_context(serve(create_app(answer, watch.environment[name])))
            # A client of S3 signs the address that it asks.
            for name in ADDRESSES - {"MINIO_ENDPOINT"}
        }
        without_vault = {name: url for name, url in writes.items() if name != "VAULT_ADDR"}
        assert watch.run("--once", "-v", **without_vault) == 1
        assert watch.run("--once", "-v", **writes) == 1
        # Reads that fail with 500 are tried again and again, which takes long and says no more.
        if answer != 500:
            everything = stack.enter_context(serve(create_app(answer)))
            addresses = dict.fromkeys(ADDRESSES, everything)
            assert watch.run("--once", "-v", **addresses) == 1
    proven(watch, 12)


def test_credentials_that_are_wrong(watch: Run) -> None:
    assert settle_at_once(watch.sandbox).exit_code == 0
    watch.learn()
    database = watch.environment["DATABASE_URL"].split("@")[1]
    names = sorted({*watch.secrets} & {*watch.environment} - {"RECONCILER_AGE_IDENTITY"})
    wrong = {name: f"canary-wrong-{number}-{name.lower()}" for number, name in enumerate(names)}
    wrong["DATABASE_URL"] = f"postgresql://mesh_six:canary-password@{database}"
    assert watch.run("--once", "-v", **wrong) == 1
    proven(watch, 20)


HERE = "http://canary-user:canary-password@127.0.0.1:9"


@pytest.mark.parametrize(
    "settings",
    [
        {"RECONCILER_AGE_IDENTITY": "AGE-SECRET-KEY-1CANARY8Q5"},
        {"DATABASE_URL": "postgresql://me:canary-password@[half"},
        {"DATABASE_URL": "canary-password"},
        {"CONFIG_REPOSITORY": f"{HERE}/config.git"},
        {"MANIFESTS_REPOSITORY": f"{HERE}/manifests.git"},
        dict.fromkeys(sorted(ADDRESSES), HERE),
        dict.fromkeys(HEADERS, "canary-password with\nlines"),
        dict.fromkeys(HEADERS, "canary-password-ünïcode"),
    ],
    ids=lambda settings: "-".join([*settings][:1]),
)
def test_settings_that_make_no_sense(watch: Run, settings: dict[str, str]) -> None:
    assert watch.run("--once", "-v", **settings) in {1, 2}
    said = "".join(watch.said.values())
    assert not any(part in said for part in ("canary-password", "CANARY8Q5", "unexpected", "Traceback"))


def test_tokens_that_make_no_sense(watch: Run) -> None:
    watch.run("--once", "-v")
    access = TOKENS["accessToken"]
    for wrong in (access, {"accessToken": access}, {**TOKENS, "expiresAt": access}):
        assert watch.run("seal", "acme-gears", text=json.dumps(wrong)) == 2
    assert watch.run("seal", "acme-gears", text=json.dumps(TOKENS)[:-1]) == 2
    proven(watch, 12)
