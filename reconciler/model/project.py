"""One validated file of `projects/`: the desired state of one project."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from reconciler.model.json import Object

LONGEST_SLUG = 48
SLUG_PATTERN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")


def slug_of(text: str) -> str:
    """Return the text in lower case, every run of other characters as one hyphen (design §5)."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _slug(value: str) -> str:
    if len(value) > LONGEST_SLUG:
        raise ValueError(f"has {len(value)} characters; write at most {LONGEST_SLUG}")
    if not SLUG_PATTERN.fullmatch(value):
        raise ValueError("is not usable in names; write lower-case letters, digits and inner hyphens")
    return value


Slug = Annotated[
    str,
    AfterValidator(_slug),
    Field(json_schema_extra={"pattern": f"^{SLUG_PATTERN.pattern}$", "maxLength": LONGEST_SLUG}),
]


class Strict(BaseModel):
    """A frozen model of a person's file: camelCase keys, no unknown fields, no silent conversion.

    A validator's ValueError says what is wrong and, after a semicolon, what to write.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


class Spec(Strict):
    """What every kind of file may say. A kind adds its own fields."""

    kind: str = "project"
    """What the file asks for."""
    slug: Slug | None = None
    """The name of the project everywhere: paths, Kubernetes names, Vault. By default owner-repo in lower
    case, other characters as hyphens. Fixed once the project exists."""
    suspend: bool = False
    """Leave everything as it is: look at nothing, change nothing."""
    adopt: bool = False
    """Take over things of the right name that somebody else made, instead of reporting a conflict."""

    @abstractmethod
    def default_slug(self) -> str:
        """Return the slug that the file gets when it names none; it may turn out too long or taken."""

    @abstractmethod
    def identity(self) -> str:
        """Return what no two files may share, compared as it is: `repository acme/widgets`, in lower case."""

    @abstractmethod
    def same_thing(self, status: Object) -> bool:
        """Tell whether a status file was written for what this file names."""

    def contradictions(self) -> Sequence[tuple[tuple[str, ...], str]]:
        """Return (key path, sentence) for fields that are right alone and wrong together."""
        return ()


SpecT = TypeVar("SpecT", bound=Spec)


@dataclass(frozen=True)
class Source:
    """Where a project came from: its path in the config repository and the git id of that blob."""

    path: str
    blob: str


@dataclass(frozen=True)
class Project(Generic[SpecT]):
    """One project: its slug is its identity everywhere (design §5)."""

    slug: str
    kind: str
    spec: SpecT
    source: Source
