"""What people have made on GitHub before they write a project file, made in the sandbox instead of them.

It knows the sandbox only as `Outside`: no pass calls this.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from reconciler.engine.kind import Outside
from reconciler.model.errors import InvalidFile
from reconciler.model.yaml_read import load_yaml

_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")


def make_repositories(outside: Outside, files: Iterable[bytes]) -> list[str]:
    """Make the GitHub repository that each of these files names, and return their full names.

    Files that name none are passed over: a pass says what they lack.
    """
    made = []
    for file in files:
        try:
            values = load_yaml("", file).values
        except InvalidFile:
            continue
        # As text, whatever they are: a repository may be called 2048, and a pass asks for the quotes.
        owner, name = str(values.get("repoOwner") or ""), str(values.get("repoName") or "")
        if not (_NAME.fullmatch(owner) and _NAME.fullmatch(name)):
            continue
        body = {"owner": owner, "name": name}
        if isinstance(branch := values.get("defaultBranch"), str) and branch:
            body["defaultBranch"] = branch
        outside.emulator("github", "POST", "/_emulator/repositories", body)
        made.append(f"{owner}/{name}")
    return made
