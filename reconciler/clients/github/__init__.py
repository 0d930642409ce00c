"""GitHub: repositories, boards, webhooks, deploy keys, files and pull requests (facts §1, §2)."""

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
from reconciler.clients.github.settings import GitHubSettings
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
