"""The sandbox's repositories as a person works with them, and over HTTP as a hosting service offers them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.sandbox.supervisor import Sandbox
from tests.support.git_server import GitServer, git
from tests.support.serve import serve

PASSWORD = "password-of-the-tests"
REFUSAL = "#!/bin/sh\necho 'GH006: Protected branch update failed' >&2\nexit 1\n"


class Person:
    """Somebody with a clone of a repository, who pulls, edits and pushes."""

    def __init__(self, repository: str, folder: Path) -> None:
        self.folder = folder
        subprocess.run(["git", "clone", "-q", repository, str(folder)], check=True)

    def read(self, path: str) -> str:
        """Return a file as it is in the repository now."""
        git(self.folder, "pull", "-q", "--rebase")
        return (self.folder / path).read_text(encoding="utf-8")

    def write(self, files: dict[str, str | None]) -> None:
        """Push a commit with these files; None deletes one."""
        git(self.folder, "pull", "-q", "--rebase")
        for name, text in files.items():
            path = self.folder / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        git(self.folder, "add", "-A")
        git(self.folder, "commit", "-qm", "A person's edit")
        git(self.folder, "push", "-q")


def person(sandbox: Sandbox, folder: Path, repository: str = "CONFIG_REPOSITORY") -> Person:
    """Return somebody with a clone of one of the sandbox's repositories."""
    return Person(sandbox.environment()[repository], folder)


@contextmanager
def over_http(sandbox: Sandbox, server: GitServer | None = None) -> Iterator[dict[str, str]]:
    """Serve both repositories with a password; yields the variables that name them so.

    `server`: another one of their folder, with the same password.
    """
    folder = Path(sandbox.environment()["CONFIG_REPOSITORY"]).parent
    for name in ("config", "manifests"):
        git(folder / f"{name}.git", "config", "http.receivepack", "true")
    with serve(server or GitServer(folder, password=PASSWORD)) as url:
        yield {
            "CONFIG_REPOSITORY": f"{url}/config.git",
            "CONFIG_REPOSITORY_TOKEN": PASSWORD,
            "MANIFESTS_REPOSITORY": f"{url}/manifests.git",
            "MANIFESTS_REPOSITORY_TOKEN": PASSWORD,
        }


@contextmanager
def protected(sandbox: Sandbox, repository: str) -> Iterator[None]:
    """Let the server refuse every push to a repository, as a protected branch does."""
    hook = Path(sandbox.environment()[repository]) / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(REFUSAL, encoding="utf-8")
    hook.chmod(0o755)
    try:
        yield
    finally:
        hook.unlink()
