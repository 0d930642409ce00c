"""One MCP tool: what it is called, who may use it, what it takes, and what it does. Knows no transport."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from reconciler.model.item import Strict
from reconciler.settings.program import Scope


@dataclass(frozen=True)
class Tool:
    """`call` gets the validated arguments and returns an `answer`."""

    name: str
    description: str
    scope: Scope
    arguments: type[Strict]
    answer: type[BaseModel]
    call: Callable[[Any], BaseModel]
    writes: bool = True
