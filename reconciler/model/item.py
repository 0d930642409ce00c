"""One validated file of `projects/`: which item it asks for, and the item's desired state."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Generic, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

LONGEST_SLUG = 48
SLUG_PATTERN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")


def slug_of(text: str) -> str:
    """Return the text in lower case, every run of other characters as one hyphen."""
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
    """What every kind of file may say. A kind narrows `kind` to its own name, and adds its own fields."""

    kind: str
    """What the file asks for."""
    slug: Slug | None = None
    """Its name everywhere: paths, marks, tables. No two files of a kind may have the same one. By default it
    follows from the other fields; it is fixed once the first pass has seen it."""
    suspend: bool = False
    """Leave everything as it is: look at nothing, change nothing."""
    adopt: bool = False
    """Take over things of the right name that somebody else made, instead of reporting a conflict."""
    on_remove: Mapping[str, Literal["keep", "disable", "delete"]] | None = None
    """What becomes of its things when the file is removed, by resource, where that is to be something else
    than usual (docs/removal.md)."""

    @abstractmethod
    def default_slug(self) -> str:
        """Return the slug that the file gets when it names none; it may turn out too long or taken."""

    @abstractmethod
    def claim(self) -> str:
        """Return what no two files of the kind may name, compared as it is: `repository acme/widgets`."""

    @property
    def title(self) -> str:
        """How people call it, in the subject of a commit or pull request that asks for it."""
        return self.slug or self.default_slug()

    def asks_the_same(self, other: Self) -> bool:
        """Tell whether two files ask for the same thing in the same way; their slugs apart."""
        return self.model_copy(update={"slug": None}) == other.model_copy(update={"slug": None})

    def contradictions(self) -> Sequence[tuple[tuple[str, ...], str]]:
        """Return (key path, sentence) for fields that are right alone and wrong together."""
        return ()


SpecT = TypeVar("SpecT", bound=Spec)


@dataclass(frozen=True)
class Source:
    """Where an item came from: its path in the config repository and the git id of that blob."""

    path: str
    blob: str


@dataclass(frozen=True, order=True)
class ItemId:
    """What tells one item from all others: slugs are one namespace for each kind."""

    kind: str
    slug: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.slug}"


@dataclass(frozen=True)
class Identity:
    """What an item is, as its status file keeps it beside its name.

    `claim`: what its file named. `proof`: what an external system said of the thing that was named so, like
    the number of a repository, which outlives renames; "" while nothing has proven it, or nothing can.
    """

    claim: str
    proof: str = ""


@dataclass(frozen=True)
class Item(Generic[SpecT]):
    """One thing that a file asks for."""

    slug: str
    kind: str
    spec: SpecT
    source: Source

    @cached_property
    def id(self) -> ItemId:
        """Its kind and slug."""
        return ItemId(self.kind, self.slug)
