"""The config repository as a repository on the emulated GitHub, with pull requests, and its git over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from reconciler.sandbox.supervisor import Sandbox
from tests.support.git_server import GitServer, git
from tests.support.serve import serve

NAME = "acme/mesh-six-projects"


@dataclass(frozen=True)
class Hosted:
    """`environ`: what points the reconciler there. `directory`: the bare repository itself."""

    sandbox: Sandbox
    environ: dict[str, str]
    directory: Path

    def rest(self, method: str, path: str) -> Any:
        """Ask GitHub's REST API about the repository, as a person with the token."""
        environment = self.sandbox.environment()
        headers = {"Authorization": f"Bearer {environment['GITHUB_TOKEN']}", "User-Agent": "tests"}
        answer = httpx.request(method, f"{environment['GITHUB_API_URL']}/repos/{NAME}{path}", headers=headers)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def pulls(self) -> list[tuple[int, str]]:
        """Return number and state of every pull request, oldest first."""
        return sorted((each["number"], each["state"]) for each in self.rest("GET", "/pulls?state=all"))

    def decide(self, number: int, what: str) -> None:
        """Merge or close a pull request."""
        self.sandbox.emulator("github", "POST", f"/_emulator/pulls/{NAME}/{number}/{what}")

    def show(self, path: str, branch: str = "main") -> str:
        """Return a file on a branch."""
        return git(self.directory, "show", f"{branch}:{path}")

    def subjects(self, branch: str = "main") -> list[str]:
        """Return the subjects of a branch's commits, newest first."""
        return git(self.directory, "log", "--format=%s", branch).splitlines()


@contextmanager
def hosted(sandbox: Sandbox, folder: Path) -> Iterator[Hosted]:
    """Make the repository on GitHub, with a first commit, and serve it."""
    owner, name = NAME.split("/")
    made = sandbox.emulator("github", "POST", "/_emulator/repositories", {"owner": owner, "name": name})
    directory = sandbox.directory / "git" / "github" / f"{made['id']}.git"
    (folder / owner).mkdir(parents=True)
    sandbox.emulator("github", "GET", f"/repos/{NAME}/contents/README.md")
    (folder / owner / f"{name}.git").symlink_to(directory)
    git(directory, "config", "http.receivepack", "true")
    with serve(GitServer(folder)) as url:
        yield Hosted(sandbox, {"CONFIG_REPOSITORY": f"{url}/{NAME}.git"}, directory)
