"""The sandbox as a whole: starts what is down, stops what it started, and says how to reach it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from reconciler.sandbox.faults import Fault
from reconciler.sandbox.traffic import LoggedRequest

Report = Callable[[str], None]


class Sandbox:
    """Real servers and emulators under one directory, usually `.sandbox`; two directories share nothing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()

    def up(self, report: Report = lambda line: None) -> None:
        """Start what is down; quick when nothing is. `report` gets a line for people about each start."""
        raise NotImplementedError

    def down(self) -> None:
        """Stop exactly the processes that this sandbox started; everything it keeps stays."""
        raise NotImplementedError

    def reset(self, report: Report = lambda line: None) -> None:
        """Stop it and delete everything it keeps; UnsafeError when the directory is not a sandbox."""
        raise NotImplementedError

    def clear(self) -> None:
        """Empty every system while the servers stay up, as if freshly made; drops all faults too."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """Return the variables that point any program at this sandbox (design §7)."""
        raise NotImplementedError

    def configuration_file(self) -> Path:
        """Return the path of the sandbox's own reconciler.yaml: public settings only."""
        raise NotImplementedError

    def mark(self) -> int:
        """Return the number of the last request so far, to be given to `requests`."""
        raise NotImplementedError

    def requests(self, since: int = 0) -> list[LoggedRequest]:
        """Return the requests after that mark, oldest first."""
        raise NotImplementedError

    def inject(self, fault: Fault) -> None:
        """Make matching requests fail from now on."""
        raise NotImplementedError

    def clear_faults(self) -> None:
        """Make everything work again."""
        raise NotImplementedError

    def emulator(self, system: str, method: str, path: str, body: Any = None) -> Any:  # noqa: ANN401 - JSON
        """Call an emulator directly, past log and faults; returns the decoded answer."""
        raise NotImplementedError

    def merge_projects(self, directory: Path) -> str | None:
        """Commit added or changed files of that `projects` folder to the config repository, as if merged.

        Deletes nothing there. Returns the commit, or None when nothing changed.
        """
        raise NotImplementedError

    def github_repositories(self, directory: Path) -> list[str]:
        """Create the GitHub repository of every project file in the emulator; returns their full names."""
        raise NotImplementedError
