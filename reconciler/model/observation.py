"""What a resource looked like when a pass looked.

Unknown is never absent: for what could not be read nothing is planned, or an outage would create all twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar, Union

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class State(BaseModel):
    """What a resource's observe found. Holds no secret; a fingerprint or a version at most."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


StateT = TypeVar("StateT", bound=State)


@dataclass(frozen=True)
class Known(Generic[StateT]):
    """Read in this pass."""

    state: StateT


@dataclass(frozen=True)
class Remembered(Generic[StateT]):
    """Not read in this pass: as it was when last verified."""

    state: StateT
    verified_at: datetime | None


@dataclass(frozen=True)
class Absent:
    """Read in this pass, and not there."""


@dataclass(frozen=True)
class Unknown:
    """Could not be read; `retry_after` in seconds when the system named a time."""

    reason: str
    remedy: str = ""
    retry_after: float | None = None


Seen: TypeAlias = Union[Known[StateT], Remembered[StateT], Absent]
"""What `plan` is given; the engine answers `Unknown` itself."""

Observation: TypeAlias = Union[Seen[StateT], Unknown]


@dataclass(frozen=True)
class Unconfigured:
    """The resource's system is not set up, or (`half`) set up without all it needs."""

    reason: str
    remedy: str
    half: bool = False


Finding: TypeAlias = Union[Observation[StateT], Unconfigured]
