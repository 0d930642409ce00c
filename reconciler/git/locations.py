"""Where the two repositories are and who pushes to them. Knows no git."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar

from pydantic import AfterValidator, AliasChoices, Field, SecretStr

from reconciler.model.errors import ConfigurationError
from reconciler.settings.giving import Sections, Settings


def _address(value: str) -> str:
    if re.match(r"[a-z+]+://[^/]*:[^/]*@", value):
        raise ValueError("must not hold a password: set the token of this section instead")
    if "://" not in value and not re.match(r"[^/]+@[^/]+:", value) and not Path(value).is_absolute():
        raise ValueError("must be a URL, user@host:path, or an absolute path")
    return value


def _folder(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or {"..", ".git"} & set(path.parts) or not path.parts:
        raise ValueError("must be a folder inside the repository, like k8s/base")
    return str(path)


def _cache() -> Path:
    """Return the user's cache folder (the XDG base directories)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mesh-six-reconciler"


Address = Annotated[str, AfterValidator(_address)]


class WorkSettings(Settings):
    """Where the reconciler keeps what it can make again: clones of the repositories."""

    section: ClassVar[str] = "work"

    directory: Path = Field(default_factory=_cache)
    """Clones are kept below it; it may be deleted between passes. Default: the user's cache folder."""


class GitSettings(Settings):
    """What both repositories' sections share."""

    branch: str | None = None
    """The branch to read and to push to; by default what the server's HEAD names, else main."""
    username: str = "x-access-token"
    """The user name that goes with the token over HTTPS; GitHub takes the default for every kind of token."""
    author_name: str = "mesh-six reconciler"
    """Who the commits are by."""
    author_email: str = "reconciler@mesh-six.invalid"
    """The address of the commits."""


class ConfigRepositorySettings(GitSettings):
    """The repository with `projects/` and `status/`."""

    section: ClassVar[str] = "config"

    repository: Address | None = Field(None, validation_alias=AliasChoices("repository", "CONFIG_REPOSITORY"))
    """Required. A URL, `user@host:path`, or an absolute path; without a password in it."""
    token: SecretStr | None = Field(None, validation_alias=AliasChoices("token", "CONFIG_REPOSITORY_TOKEN"))
    """To fetch and push over HTTPS. Needs read and write access to the contents, also where the branch is
    protected."""
    ssh_key: SecretStr | None = Field(
        None, validation_alias=AliasChoices("sshKey", "CONFIG_REPOSITORY_SSH_KEY")
    )
    """The private key to fetch and push over SSH, as text."""

    def missing(self) -> str | None:
        """Without a repository there is nothing to do."""
        return None if self.repository else "config.repository (or CONFIG_REPOSITORY)"


class ManifestRepositorySettings(GitSettings):
    """The repository that Argo CD reads; the config repository when it names none."""

    section: ClassVar[str] = "manifests"

    repository: Address | None = Field(
        None, validation_alias=AliasChoices("repository", "MANIFESTS_REPOSITORY")
    )
    """The repository that Argo CD reads; by default the config repository."""
    token: SecretStr | None = Field(
        None, validation_alias=AliasChoices("token", "MANIFESTS_REPOSITORY_TOKEN")
    )
    """To fetch and push over HTTPS."""
    ssh_key: SecretStr | None = Field(
        None, validation_alias=AliasChoices("sshKey", "MANIFESTS_REPOSITORY_SSH_KEY")
    )
    """The private key to fetch and push over SSH, as text."""
    path: Annotated[str, AfterValidator(_folder)] = "k8s/base"
    """The folder with the base kustomization; environments go to `envs/` below it. Argo CD builds it, or an
    overlay that includes it."""
    kustomize: str | None = None
    """A kustomize or kubectl program to build with before a push, or `builtin` for our own check only; by
    default whichever is on the PATH."""


@dataclass(frozen=True)
class Location:
    """One repository: where it is, how to log in, as whom to commit, and where its clone is kept.

    `section` is the part of the configuration to name in remedies.
    """

    address: str
    clones: Path
    section: str = "config"
    branch: str | None = None
    username: str = "x-access-token"
    token: SecretStr | None = None
    ssh_key: SecretStr | None = None
    author: tuple[str, str] = ("mesh-six reconciler", "reconciler@mesh-six.invalid")

    def is_same(self, other: Location) -> bool:
        """Tell whether one commit can carry what goes to both."""
        return (self.address.removesuffix(".git"), self.branch) == (
            other.address.removesuffix(".git"),
            other.branch,
        )


def config_location(sections: Sections) -> Location:
    """Return the config repository's location; ConfigurationError without one."""
    found = _location(sections, sections.get(ConfigRepositorySettings))
    if found is None:
        raise ConfigurationError(
            "no config repository is set", remedy="set config.repository or CONFIG_REPOSITORY"
        )
    return found


def manifest_location(sections: Sections) -> Location:
    """Return the manifest repository's location; the config repository's when the section names none."""
    settings = sections.get(ManifestRepositorySettings)
    config = config_location(sections)
    found = _location(sections, settings)
    if found is None:
        return replace(config, branch=settings.branch or config.branch)
    # Both sections may name one repository, with credentials in the first alone: those serve for both.
    return config if found.is_same(config) and not (settings.token or settings.ssh_key) else found


def _location(
    sections: Sections, settings: ConfigRepositorySettings | ManifestRepositorySettings
) -> Location | None:
    if settings.repository is None:
        return None
    return Location(
        address=settings.repository,
        clones=sections.get(WorkSettings).directory / "clones",
        section=settings.section,
        branch=settings.branch,
        username=settings.username,
        token=settings.token,
        ssh_key=settings.ssh_key,
        author=(settings.author_name, settings.author_email),
    )
