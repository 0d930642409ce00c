"""The contract of a resource (design §4): three methods, and nothing else that the engine knows of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic

from reconciler.model.decision import Applied, Change, Decision, Failed, Skipped
from reconciler.model.json import Object
from reconciler.model.observation import Observation, Seen, State, StateT
from reconciler.model.outcome import ProjectReport
from reconciler.model.project import Project, Spec, SpecT
from reconciler.model.run import RunRow
from reconciler.systems import Reading, Sections, Settings, Writing


@dataclass(frozen=True)
class Target(Generic[SpecT]):
    """One project as one resource is asked about it.

    `remembered`: the outputs kept in the status file; empty when there are none.
    `section`: the resource's own part of the status file, with what a person wrote there.
    `verify`: True when it must be read one by one in this pass (new, hinted, or its audit is due).
    `verified_at`: when it was last read one by one.
    `siblings`: the same section of every other status file, by slug.
    """

    project: Project[SpecT]
    now: datetime
    remembered: Object = field(default_factory=dict)
    section: Object = field(default_factory=dict)
    verify: bool = True
    verified_at: datetime | None = None
    siblings: Mapping[str, Object] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        """The project's slug."""
        return self.project.slug

    @property
    def spec(self) -> SpecT:
        """The project's desired state."""
        return self.project.spec


class Resource(ABC, Generic[SpecT, StateT]):
    """One thing that one project has in one external system.

    A subclass's docstring says what it will never delete or change, and a case proves it.
    """

    name: ClassVar[str]
    phase: ClassVar[str]
    system: ClassVar[str]
    state: ClassVar[type[State]]
    """The type of what observe finds."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Resources whose outputs this one cannot do without; it is blocked, or skipped, with them."""
    uses: ClassVar[tuple[str, ...]] = ()
    """Resources whose outputs it takes when they are not skipped; it waits for them otherwise."""
    provides: ClassVar[tuple[str, ...]] = ()
    """Names of outputs that others may read."""
    section: ClassVar[str] = ""
    """Its own top-level key of the status file, if any."""
    human_keys: ClassVar[tuple[str, ...]] = ()
    """Keys of that section which people write and the reconciler only removes when consumed."""
    audited: ClassVar[bool] = False
    """True when it is read one by one, so only on a hint or when its audit is due."""
    deferred: ClassVar[bool] = False
    """True when what apply did takes effect only once the pass has published its commit."""
    settings: ClassVar[tuple[type[Settings], ...]] = ()
    """Sections of the configuration that it reads beside its clients'."""

    def __init__(self, sections: Sections) -> None:
        self.sections = sections

    def unwanted(self, target: Target[SpecT]) -> Skipped | Failed | None:
        """Return why this project is to have none, by file and settings alone; then it is not even read."""
        return None

    @abstractmethod
    def observe(self, targets: Sequence[Target[SpecT]], read: Reading) -> Mapping[str, Observation[StateT]]:
        """Read all targets at once; by slug, one observation for every target. Never writes.

        Raises SystemFault or NotConfigured when that concerns all of them.
        """

    @abstractmethod
    def plan(self, target: Target[SpecT], seen: Seen[StateT], outputs: Mapping[str, Object]) -> Decision:
        """Compare desired and seen; pure. `outputs` by resource name, for those that are needed or used."""

    @abstractmethod
    def apply(self, target: Target[SpecT], change: Change, write: Writing) -> Applied:
        """Make one change, safe to repeat. `change.after` has no `Later` left. Raises SystemFault."""


@dataclass(frozen=True)
class Kind:
    """What one kind of file means: its fields, and its resources in the order in which they are applied."""

    name: str
    spec: type[Spec]
    resources: tuple[type[Resource[Any, Any]], ...]
    run: Callable[[Any, ProjectReport, Object], RunRow] | None = None
    """How a report becomes a row of the run history, for the kinds that keep one. Given too: the project's
    spec, None when its file is gone, and its status file, empty when there is none."""

    def __post_init__(self) -> None:
        known: set[str] = set()
        for resource in self.resources:
            early = {*resource.needs, *resource.uses} - known
            if early:
                raise ValueError(f"{resource.name} stands before {', '.join(sorted(early))}, which it needs")
            known.add(resource.name)
