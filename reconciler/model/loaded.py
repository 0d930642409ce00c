"""What a pass starts from: the projects and status files at one commit of the config repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.errors import InvalidFile
from reconciler.model.json import Object
from reconciler.model.project import Project


@dataclass(frozen=True)
class Loaded:
    """`statuses` are parsed status files by slug; `broken` are files left out, each with its reason.

    `frozen` are slugs whose own file is broken: they stay as they are. `gone` are slugs with a status
    file and no project file.
    """

    commit: str
    projects: tuple[Project[Any], ...]
    statuses: Mapping[str, Object]
    broken: tuple[InvalidFile, ...] = ()
    frozen: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    unreadable_statuses: Mapping[str, InvalidFile] = field(default_factory=dict)
