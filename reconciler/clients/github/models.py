"""What GitHub's answers hold that we use; everything else in them is left where it is.

Slotted, because a pass over 10,000 projects keeps one `GitHubRepository` of each in memory.
"""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


@dataclass(frozen=True, slots=True, config=_config)
class RepositoryName:
    """A repository to read; `branch` only where it is to be another than the default one."""

    owner: str
    name: str
    branch: str | None = None

    @property
    def key(self) -> str:
        """The full name as GitHub compares it: in lower case."""
        return f"{self.owner}/{self.name}".lower()


@dataclass(frozen=True, slots=True, config=_config)
class FileContent:
    """A file on a branch. `oid` is its blob's id; `text` None when it is binary, cut off or no file.

    `regular` False: git has a link, a submodule or something else than a file there.
    """

    path: str
    oid: str
    text: str | None
    regular: bool = True


@dataclass(frozen=True, slots=True, config=_config)
class BoardField:
    """A field of a board. `data_type` as GraphQL writes it; `options`: id by name, of a single select."""

    id: str
    name: str
    data_type: str
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, config=_config)
class Board:
    """A Projects V2 board."""

    id: str
    number: int
    title: str
    url: str
    closed: bool
    readme: str
    owner_id: str
    fields: tuple[BoardField, ...]

    def field(self, name: str) -> BoardField | None:
        """Return the field of that name."""
        return next((each for each in self.fields if each.name == name), None)


@dataclass(frozen=True, slots=True, config=_config)
class DeployKey:
    """A deploy key: `key` is type and base64 without a comment. `number`: REST's id, None from GraphQL."""

    title: str
    key: str
    read_only: bool
    number: int | None = None


@dataclass(frozen=True, slots=True, config=_config)
class GitHubRepository:
    """A repository as one bulk read shows it.

    `permission` None: an App asked, to which GitHub does not tell it. `branch`: the one asked for, else
    the default one; None when it does not exist (an empty repository has none). `devcontainers`: in the
    order in which tools look for them. `unread`: names of the parts below that GitHub would not tell.
    """

    id: str
    number: int
    full_name: str
    archived: bool
    disabled: bool
    permission: str | None
    owner_id: str
    owner_login: str
    owner_type: Literal["User", "Organization"]
    default_branch: str | None
    branch: str | None
    head: str | None
    devcontainers: tuple[FileContent, ...]
    boards: tuple[Board, ...]
    more_boards: bool
    deploy_keys: tuple[DeployKey, ...]
    more_deploy_keys: bool
    unread: frozenset[str]


@dataclass(frozen=True, slots=True, config=_config)
class Hook:
    """A webhook. GitHub never tells its secret, only whether it has one."""

    id: int
    url: str
    content_type: str
    insecure: bool
    has_secret: bool
    active: bool
    events: frozenset[str]


@dataclass(frozen=True, slots=True, config=_config)
class PullRequest:
    """A pull request."""

    number: int
    url: str
    state: Literal["open", "closed", "merged"]
