"""GitHub: repositories, boards, webhooks, deploy keys, files and pull requests.

What is known of GitHub, and of githubkit, is in docs/systems/github.md.
"""

from reconciler.clients.github.credentials import GitHubSettings
from reconciler.clients.github.faults import BranchProtected
from reconciler.clients.github.models import (
    Board,
    BoardField,
    DeployKey,
    File,
    Hook,
    PullRequest,
    Repository,
    RepositoryName,
)
from reconciler.clients.github.reader import GitHub
from reconciler.clients.github.writer import GitHubWriter

__all__ = [
    "Board",
    "BoardField",
    "BranchProtected",
    "DeployKey",
    "File",
    "GitHub",
    "GitHubSettings",
    "GitHubWriter",
    "Hook",
    "PullRequest",
    "Repository",
    "RepositoryName",
]
