"""GitHub: repositories, boards, webhooks, deploy keys, files and pull requests.

What is known of GitHub, and of githubkit, is in docs/systems/github.md.
"""

from reconciler.clients.github.account import GitHubSettings
from reconciler.clients.github.models import (
    Board,
    BoardField,
    DeployKey,
    FileContent,
    GitHubRepository,
    Hook,
    PullRequest,
    RepositoryName,
)
from reconciler.clients.github.reader import GitHub
from reconciler.clients.github.refusals import BranchProtected
from reconciler.clients.github.writer import GitHubWriter

__all__ = [
    "Board",
    "BoardField",
    "BranchProtected",
    "DeployKey",
    "FileContent",
    "GitHub",
    "GitHubRepository",
    "GitHubSettings",
    "GitHubWriter",
    "Hook",
    "PullRequest",
    "RepositoryName",
]
