"""What the operator lets projects ask for: which repositories, and how much of everything.

A project's pod holds a key that may push to its repository. So the two repositories that the reconciler
itself obeys are never one, whatever the settings say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import Field

from reconciler.clients.github import GitHubSettings
from reconciler.clients.litellm import LiteLLMSettings
from reconciler.engine.kind import Breach
from reconciler.git.locations import ConfigRepositorySettings, ManifestRepositorySettings
from reconciler.kinds.project.spec import Cpu, Memory, ProjectSpec, amount
from reconciler.model.errors import UnusableSetting
from reconciler.settings.giving import Sections, Settings

_PATTERN = r"^[A-Za-z0-9._*-]+/[A-Za-z0-9._*-]+$"


class ProjectsSettings(Settings):
    """What files of kind `project` may ask for."""

    section: ClassVar[str] = "projects"

    repositories: tuple[Annotated[str, Field(pattern=_PATTERN)], ...] = ()
    """The repositories that may be onboarded: `acme/*`, `acme/widgets`; `*/*` for every one that the token
    can administer. Without any, none may. Those of the sections config and manifests never may."""
    max_budget: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """The most US dollars a month that a project may ask for."""
    models: tuple[str, ...] = ()
    """The models that a project may choose; by default any that the gateway has."""
    max_memory: Memory | None = None
    """The most memory that an environment may use, like "16Gi"."""
    max_cpu: Cpu | None = None
    """The most CPU that an environment may use, like "4"."""
    max_storage: Memory | None = None
    """The most storage that each of an environment's volumes may have, like "50Gi"."""


def repository_refused(sections: Sections, full_name: str) -> tuple[str, str] | None:
    """Return why a repository, as GitHub calls it, may not be onboarded, and what to do; None when it may."""
    own = _own_repositories(sections)
    if section := own.get(full_name.lower()):
        why = "who works in its environment could change every project"
        return f"{full_name} is the repository of the section {section}: {why}", "onboard another one"
    allowed = sections.get(ProjectsSettings).repositories
    if any(fnmatchcase(full_name.lower(), pattern.lower()) for pattern in allowed):
        return None
    owner = full_name.partition("/")[0]
    remedy = f"to allow it, add {full_name} or {owner}/* to projects.repositories in reconciler.yaml"
    if not allowed:
        return "no repository may be onboarded, since projects.repositories names none", remedy
    return f"{full_name} is not among the repositories that may be onboarded", remedy


def breaches(sections: Sections, spec: ProjectSpec) -> Iterator[Breach]:
    """Yield what a file asks for beyond what it may."""
    if refused := repository_refused(sections, spec.full_name):
        yield Breach(("repoName",), *refused)
    limits, settings = spec.resource_limits, sections.get(ProjectsSettings)
    for name, asked, most in (
        ("memoryLimit", limits.memory_limit, settings.max_memory),
        ("cpuLimit", limits.cpu_limit, settings.max_cpu),
        ("storageWorktrees", limits.storage_worktrees, settings.max_storage),
        ("storageClaude", limits.storage_claude, settings.max_storage),
    ):
        if most is not None and amount(asked) > amount(most):
            yield Breach(
                ("resourceLimits", name),
                f"resourceLimits.{name}: {asked} is more than projects may have, {most}",
                f"write `{name}: {most}` or less, or ask the operator",
            )
    if not spec.skip_lite_llm:
        yield from _gateway(sections, spec)


def _gateway(sections: Sections, spec: ProjectSpec) -> Iterator[Breach]:
    settings, wishes = sections.get(ProjectsSettings), spec.litellm
    budget = wishes.max_budget
    if budget is None:
        with suppress(UnusableSetting):  # which the team's resource tells
            budget = sections.get(LiteLLMSettings).max_budget
    most = settings.max_budget
    if most is not None and (budget is None or Decimal(str(budget)) > Decimal(str(most))):
        asked = "no limit" if budget is None else f"{budget:g}"
        yield Breach(
            ("litellm", "maxBudget"),
            f"litellm.maxBudget: {asked} is more than projects may have, {most:g} US dollars a month",
            f"write `maxBudget: {most:g}` or less, or ask the operator",
        )
    if settings.models and wishes.default_model and wishes.default_model not in settings.models:
        yield Breach(
            ("litellm", "defaultModel"),
            f"litellm.defaultModel: {wishes.default_model} is not among the models that projects may have",
            f"choose one of {', '.join(settings.models)}, or ask the operator",
        )


def _own_repositories(sections: Sections) -> dict[str, str]:
    """Return the section's name by owner/name in lower case, of those that are on this GitHub."""
    hosts: frozenset[str] | None = None  # any, where the setting that tells GitHub's is of no use
    with suppress(UnusableSetting):
        api = urlsplit(sections.get(GitHubSettings).api_url).hostname or ""
        web = api.removeprefix("api.")
        hosts = frozenset({api, web, f"ssh.{web}"})
    found: dict[str, str] = {}
    for settings in (sections.get(ConfigRepositorySettings), sections.get(ManifestRepositorySettings)):
        address = settings.repository or ""
        scp = re.fullmatch(r"[^/@]+@([^/:]+):(.+)", address)
        host, path = scp.groups() if scp else (urlsplit(address).hostname or "", urlsplit(address).path)
        name = path.strip("/").removesuffix(".git").lower()
        if (hosts is None or host.lower() in hosts) and name.count("/") == 1:
            found[name] = settings.section
    return found
