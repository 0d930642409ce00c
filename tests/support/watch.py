"""Keeps all that the program says and writes, and searches it for every secret that there ever was."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg

from reconciler.sandbox.layout import Layout
from reconciler.sandbox.supervisor import Sandbox
from tests.support.declared import SYSTEMS, VARIABLES

PUBLIC = {name for name, each in VARIABLES.items() if not each.is_secret} | {"RECONCILER_URL"}
SENT_SECRETS = {
    "github": "the secrets of webhooks",
    "auth-service": "the tokens of logins, which it hands to pods",
    "oauth-issuer": "the codes that it gave out",
}
"""By emulator: the secrets that it keeps because it is what they are for."""


class Watch:
    """`said`: what was printed, by name; `secrets`: all there ever were, by name.

    `learned` returns those that the systems hold now.
    """

    def __init__(self, sandbox: Sandbox, learned: Callable[[], Mapping[str, str]]) -> None:
        self.sandbox = sandbox
        self.environment = sandbox.environment()
        self.said: dict[str, str] = {}
        self.secrets = {name: value for name, value in self.environment.items() if name not in PUBLIC}
        self.secrets["database password"] = password_in(self.environment["DATABASE_URL"])
        self._learned = learned

    def learn(self) -> None:
        """Take note of every secret that the systems hold now."""
        self.secrets |= self._learned()

    def places(self) -> Iterator[tuple[str, bytes]]:
        """Yield everything that people may read, by name."""
        for name, text in self.said.items():
            yield name, text.encode()
        yield from self._repositories()
        layout = Layout(self.sandbox.directory)
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

    def _repositories(self) -> Iterator[tuple[str, bytes]]:
        layout = Layout(self.sandbox.directory)
        found = {name: self.environment[name] for name in ("CONFIG_REPOSITORY", "MANIFESTS_REPOSITORY")}
        for repository in (layout["git"] / "github").glob("*.git"):
            found[f"GitHub's {repository.name}"] = str(repository)
        for clone in layout.work.rglob("*.git"):
            found[f"the clone {clone.name}"] = str(clone)
        for name, path in found.items():
            yield name, objects_of(path)

    def leaks(self) -> list[str]:
        """Return where which secret was found, in any of its forms."""
        forms = {name: _forms(value) for name, value in self.secrets.items() if len(value) > 7}
        return [
            f"{name} in {place}"
            for place, content in self.places()
            for name, several in forms.items()
            if any(form in content for form in several)
        ]


def password_in(text: str) -> str:
    """Return the password of a URL that has one, else all of it."""
    return text.split("@", maxsplit=1)[0].rsplit(":", maxsplit=1)[-1]


def objects_of(repository: str) -> bytes:
    """Return every object of a repository, also those that no branch has any more."""
    command = ["git", "-C", repository, "cat-file", "--batch", "--batch-all-objects"]
    return subprocess.run(command, check=False, capture_output=True).stdout


def children_of(process: int) -> dict[str, str]:
    """Return the command lines of a process and all that it started, and the environments of these."""
    found: dict[str, str] = {}
    for number in [process, *_below(process)]:
        names = ("cmdline",) if number == process else ("cmdline", "environ")
        for name in names:
            try:
                shown = Path(f"/proc/{number}/{name}").read_bytes()
            except OSError:
                continue
            found[f"{name} of {number}"] = shown.decode("utf-8", "replace")
    return found


def _below(process: int) -> list[int]:
    try:
        words = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()
    except OSError:
        return []
    return [each for word in words for each in (int(word), *_below(int(word)))]


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
