"""No secret that the system can hold appears where people read.

The program runs as people run it, in processes of its own with `-v`; every system's answers repeat what they
were sent. Then all that was printed, committed, logged or stored is searched for every secret there was.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import hvac
import psycopg
import pytest

from reconciler.sandbox.emulators.store import Store
from reconciler.sandbox.layout import Layout
from reconciler.sandbox.supervisor import Sandbox
from tests.support.declared import SYSTEMS, VARIABLES
from tests.support.echo import create_app
from tests.support.forked import run_program
from tests.support.reconciling import merge, settle_at_once, status
from tests.support.serve import serve

PUBLIC = {name for name, each in VARIABLES.items() if not each.is_secret} | {"RECONCILER_URL"}
ADDRESSES = {name for name, each in VARIABLES.items() if each.is_address}
HEADERS = sorted(name for name, each in VARIABLES.items() if each.is_header)
SENT_SECRETS = {
    "github": "the secrets of webhooks",
    "auth-service": "the tokens of logins, which it hands to pods",
    "oauth-issuer": "the codes that it gave out",
}
"""By emulator: the secrets that it keeps because it is what they are for."""
TOKENS = {
    "accessToken": "canary-access-5fK2",
    "refreshToken": "canary-refresh-9Qx7",
    "expiresAt": 1_900_000_000_000,
}


class Watch:
    """Runs the program, keeps all that it says, and knows all the secrets that there ever were."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.environment = sandbox.environment()
        self.said: dict[str, str] = {}
        self.secrets = {name: value for name, value in self.environment.items() if name not in PUBLIC}
        self.secrets["database password"] = password_in(self.environment["DATABASE_URL"])
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

    def learn(self) -> None:
        """Take note of every secret that is in Vault, at the issuer and at the auth-service now."""
        vault = hvac.Client(url=self.environment["VAULT_ADDR"], token=self.environment["VAULT_TOKEN"])
        with closing(vault.adapter):
            for folder in ("webhooks", "envs", "oauth"):
                for name in _names(vault, folder):
                    path = f"mesh-six/{folder}/{name}"
                    if not vault.secrets.kv.v2.read_secret_metadata(path)["data"]["versions"]:
                        continue  # a login that was handed over
                    read = vault.secrets.kv.v2.read_secret_version(path, raise_on_deleted_version=True)
                    self.secrets |= {f"{path} {key}": value for key, value in read["data"]["data"].items()}
        for code, _ in self._stored("oauth-issuer", "oauth_codes"):
            self.secrets[f"device code {code[:4]}"] = code
        for slug, kept in self._stored("auth-service", "auth_credentials"):
            for each in kept["all"]:
                self.secrets |= {f"{slug} {key}": each[key] for key in ("accessToken", "refreshToken")}

    def places(self) -> Iterator[tuple[str, bytes]]:
        """Yield everything that people may read, by name."""
        for name, text in self.said.items():
            yield name, text.encode()
        for name in ("CONFIG_REPOSITORY", "MANIFESTS_REPOSITORY"):
            yield name, _content(self.environment[name])
        layout = Layout(self.sandbox.directory)
        for repository in (layout["git"] / "github").glob("*.git"):
            yield f"GitHub's {repository.name}", _content(str(repository))
        yield "the request log", layout.requests.read_bytes()
        for log in layout["logs"].iterdir():
            # The S3 server's own log names whom it refused, by the access key that is their user's name.
            if log.name != "s3.log":
                yield log.name, log.read_bytes()
        with psycopg.connect(self.environment["DATABASE_URL"]) as database:
            for (table,) in database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
                yield table, repr(database.execute(b"TABLE " + table.encode()).fetchall()).encode()
        for name, system in SYSTEMS.items():
            if system.app and name not in SENT_SECRETS:
                for file in layout.store(name).parent.glob(f"{name}.db*"):
                    yield file.name, file.read_bytes()

    def leaks(self) -> list[str]:
        """Return where which secret was found, in any of its forms."""
        forms = {name: _forms(value) for name, value in self.secrets.items() if len(value) > 7}
        return [
            f"{name} in {place}"
            for place, content in self.places()
            for name, several in forms.items()
            if any(form in content for form in several)
        ]

    def _stored(self, system: str, collection: str) -> list[tuple[str, dict[str, Any]]]:
        with closing(Store(Layout(self.sandbox.directory).store(system))) as store:
            return list(store.items(collection))


def password_in(text: str) -> str:
    """Return the password of a URL that has one, else all of it."""
    return text.split("@", maxsplit=1)[0].rsplit(":", maxsplit=1)[-1]


def _forms(value: str) -> list[bytes]:
    """Return a secret as it is, encoded, and as the longest line of it."""
    line = max(value.splitlines(), key=len)
    encoded = base64.b64encode(value.encode()).rstrip(b"=")[:-1]
    return [
        value.encode(),
        line.encode(),
        quote(value, safe="").encode(),
        encoded,
        json.dumps(value)[1:-1].encode(),
    ]


def _names(vault: hvac.Client, folder: str) -> list[str]:
    try:
        listed: list[str] = vault.secrets.kv.v2.list_secrets(f"mesh-six/{folder}")["data"]["keys"]
    except hvac.exceptions.InvalidPath:
        return []
    return listed


def _content(repository: str) -> bytes:
    """Return every object of a repository, also those that no branch has any more."""
    command = ["git", "-C", repository, "cat-file", "--batch", "--batch-all-objects"]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.fixture
def watch(clean_sandbox: Sandbox, tmp_path: Path) -> Watch:
    merge(clean_sandbox, tmp_path / "projects", gears="repoOwner: acme\nrepoName: gears\n")
    return Watch(clean_sandbox)


def proven(watch: Watch, least: int) -> None:
    """No leak; and enough secrets were looked for, so that this means something."""
    assert len(watch.secrets) >= least, sorted(watch.secrets)
    assert watch.leaks() == []


def test_the_search_finds_what_is_there(watch: Watch) -> None:
    watch.run("--once", "-v")
    for name in (
        "GITHUB_TOKEN",
        "mesh-six/webhooks/acme-gears secret",
        "mesh-six/envs/acme-gears.git-access privateKey",
    ):
        watch.said["planted"] = f"oh: {max(watch.secrets[name].splitlines(), key=len)}"
        assert watch.leaks() == [f"{name} in planted"]


def test_a_project_on_its_whole_way(watch: Watch) -> None:
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


def test_a_login_by_device_flow(watch: Watch) -> None:
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
def test_systems_that_repeat_what_they_were_sent(watch: Watch, answer: int) -> None:
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


def test_credentials_that_are_wrong(watch: Watch) -> None:
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
def test_settings_that_make_no_sense(watch: Watch, settings: dict[str, str]) -> None:
    assert watch.run("--once", "-v", **settings) in {1, 2}
    said = "".join(watch.said.values())
    assert not any(part in said for part in ("canary-password", "CANARY8Q5", "unexpected", "Traceback"))


def test_tokens_that_make_no_sense(watch: Watch) -> None:
    watch.run("--once", "-v")
    access = TOKENS["accessToken"]
    for wrong in (access, {"accessToken": access}, {**TOKENS, "expiresAt": access}):
        assert watch.run("seal", "acme-gears", text=json.dumps(wrong)) == 2
    assert watch.run("seal", "acme-gears", text=json.dumps(TOKENS)[:-1]) == 2
    proven(watch, 12)
