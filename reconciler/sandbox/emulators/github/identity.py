"""Who a token stands for and what it may do; knows no route.

Three kinds, because they are refused differently: a `classic` token gets 404 for what its user
may not do, `app` (installation) and `fine-grained` tokens get 403 with the permission that was needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reconciler.sandbox.emulators.github.errors import inaccessible, not_found
from reconciler.sandbox.emulators.store import Store

LEVELS = ("none", "read", "triage", "write", "maintain", "admin")
TOKENS = "github.tokens"
ALL_SCOPES = ("repo", "admin:repo_hook", "admin:org_hook", "project", "read:org", "workflow", "gist")


@dataclass(frozen=True)
class Need:
    """What a call asks for: the user's level on the repository, classic scopes (any of), App permission."""

    level: str
    scopes: tuple[str, ...]
    permission: str
    access: str

    @property
    def writes(self) -> bool:
        """Whether an archived repository refuses it."""
        return self.access == "write"


METADATA = Need("read", (), "metadata", "read")
READ_CONTENTS = Need("read", (), "contents", "read")
WRITE_CONTENTS = Need("write", ("repo",), "contents", "write")
READ_PULLS = Need("read", (), "pull_requests", "read")
WRITE_PULLS = Need("read", ("repo",), "pull_requests", "write")
MERGE = Need("write", ("repo",), "contents", "write")
READ_HOOKS = Need("admin", ("repo", "admin:repo_hook", "write:repo_hook"), "repository_hooks", "read")
WRITE_HOOKS = Need("admin", ("repo", "admin:repo_hook", "write:repo_hook"), "repository_hooks", "write")
READ_ADMINISTRATION = Need("admin", ("repo",), "administration", "read")
WRITE_ADMINISTRATION = Need("admin", ("repo",), "administration", "write")


@dataclass(frozen=True)
class Identity:
    """`repositories` maps `owner/name` in lower case to a level; every other repository has `default`.

    `expires` is in epoch seconds.
    """

    token: str
    login: str
    kind: str = "classic"
    scopes: tuple[str, ...] = ALL_SCOPES
    permissions: Mapping[str, str] = field(default_factory=dict)
    repositories: Mapping[str, str] = field(default_factory=dict)
    default: str = "admin"
    expires: float = float("inf")

    @property
    def anonymous(self) -> bool:
        """Whether no token was sent."""
        return self.kind == "anonymous"

    @property
    def is_user(self) -> bool:
        """Whether a user's full rights stand behind the token (a classic or OAuth token)."""
        return self.kind == "classic"

    def level(self, repository: Mapping[str, Any]) -> str:
        """Return the level on that repository, as GraphQL's viewerPermission would say it in lower case."""
        name = f"{repository['owner']}/{repository['name']}".lower()
        level = self.repositories.get(name, self.default)
        if self.kind == "app" and level != "none":
            return "write" if self.permissions.get("contents") == "write" else "read"
        hidden = repository["private"] and not (self.kind != "classic" or "repo" in self.scopes)
        if level == "none" or hidden:
            return "none" if repository["private"] or hidden else "read"
        return level

    def reaches(self, repository: Mapping[str, Any], level: str) -> bool:
        """Whether the level on that repository is at least the given one."""
        return LEVELS.index(self.level(repository)) >= LEVELS.index(level)

    def check(self, repository: Mapping[str, Any], need: Need) -> None:
        """Raise the Refusal that this kind of token gets when it may not do that; nothing otherwise."""
        if not self.reaches(repository, "read"):
            raise not_found()
        if self.kind in {"app", "fine-grained"}:
            granted = self.permissions.get(need.permission, "none")
            if need.permission != "metadata" and granted not in {need.access, "write", "admin"}:
                raise inaccessible(self.kind, f"{need.permission}={need.access}")
            return
        scoped = not need.scopes or set(need.scopes) & set(self.scopes)
        if not scoped or not self.reaches(repository, need.level):
            raise not_found()

    def manages_hooks(self, organization: Mapping[str, Any], access: str) -> bool:
        """Whether it may read or write that organization's webhooks: an owner of it, or an App that may."""
        if organization["type"] != "Organization":
            return False
        if self.is_user:
            return "admin:org_hook" in self.scopes and self.default == "admin"
        return self.permissions.get("organization_hooks", "none") in {access, "write", "admin"}

    def manages_boards(self, owner: Mapping[str, Any], access: str) -> bool:
        """Whether it may read or write that owner's boards; a user's only by a classic token."""
        if self.is_user:
            return self.default != "none" if access == "read" else self.default in LEVELS[3:]
        granted = self.permissions.get("organization_projects", "none")
        return owner["type"] == "Organization" and granted in {access, "write", "admin"}


ANONYMOUS = Identity(token="", login="", kind="anonymous", scopes=(), default="none")


class Identities:
    """The tokens that exist: the sandbox's own, which may do all, and those that tests add."""

    def __init__(self, store: Store, token: str, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._own = Identity(token=token, login="mesh-six")

    def find(self, token: str) -> Identity | None:
        """Return whom the token stands for, or None when GitHub would say Bad credentials."""
        if token == self._own.token:
            return self._own
        document = self._store.get(TOKENS, token)
        identity = None if document is None else Identity(**document)
        return identity if identity and self._clock().timestamp() < identity.expires else None

    def add(self, document: Mapping[str, Any]) -> Identity:
        """Keep a token; fields are those of Identity."""
        names = {name.lower(): level for name, level in document.get("repositories", {}).items()}
        kept = {"login": "mesh-six", **document, "repositories": names}
        identity = Identity(**kept)
        self._store.put(TOKENS, identity.token, kept)
        return identity
