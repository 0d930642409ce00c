"""The contract of a resource: observe, plan, apply, take away. The engine knows no more of it.

Four promises hold it together, and the contract suite tests each of them for every resource:

- `observe` asks for all items at once and never writes; what it could not read is `Unknown`, never `Absent`.
- `plan` is pure: the same target and observation give the same decision, and none is left after `apply`.
- `apply` makes one change, may be repeated, and leaves alone what carries no mark of ours.
- `plan_removal` and `apply_removal` are the same for taking away, and take away nothing but what is ours.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic

from pydantic import SecretStr

from reconciler.model.decision import Applied, Change, Decision, Failed, Skipped
from reconciler.model.item import Identity, Item, ItemId, SpecT
from reconciler.model.json import Object
from reconciler.model.mark import Mark, marked
from reconciler.model.observation import Observation, Seen, State, StateT
from reconciler.model.removal import OnRemove
from reconciler.settings.giving import Reading, Sections, Settings, Writing


@dataclass(frozen=True)
class Target(Generic[SpecT]):
    """One item as one resource is asked about it.

    `remembered`: the outputs kept in the status file; empty when there are none.
    `section`: the resource's own part of the status file, with what a person wrote there.
    `identity`: what the status file says that the item is; None before the first pass.
    `proof`: what the item was proven to be in this pass, or "" while that is not known, and for kinds that
    prove nothing.
    `verify`: True when it must be read one by one in this pass (new, hinted, or its audit is due).
    `verified_at`: when it was last read one by one.
    `siblings`: the same section of the other status files of the kind, by slug.
    `leaving`: its file is gone, and it is on its way out; `item` is as the file last was.
    """

    item: Item[SpecT]
    now: datetime
    remembered: Object = field(default_factory=dict)
    section: Object = field(default_factory=dict)
    identity: Identity | None = None
    proof: str = ""
    verify: bool = True
    verified_at: datetime | None = None
    siblings: Mapping[str, Object] = field(default_factory=dict)
    leaving: bool = False

    @property
    def id(self) -> ItemId:
        """The item's kind and slug."""
        return self.item.id

    @property
    def slug(self) -> str:
        """The item's slug."""
        return self.item.slug

    @property
    def mark(self) -> Mark:
        """What is written at everything that is made for the item."""
        remembered = self.identity is not None and self.identity.proof == self.proof
        return Mark(self.item.kind, self.slug, self.proof, remembered)

    @property
    def spec(self) -> SpecT:
        """The item's desired state."""
        return self.item.spec


@dataclass(frozen=True)
class SealedForm:
    """What a person seals for a resource: the reconciler asks for it in the resource's section.

    That section then has `recipient` and `requestId`, and, once somebody did it, the sealed text under `key`;
    `state: rejected` in it says that the text there was of no use.

    `read` takes what was handed in and the time: it returns the fields to seal, or the sentence why not.
    `what`: what is handed in, as "… is <what>"; `made_up`: one that will do in the sandbox. `handed_over`:
    what there is to do once it is there.
    """

    key: str
    read: Callable[[bytes, datetime], Mapping[str, str | int | SecretStr] | str]
    what: str
    made_up: str
    handed_over: str


@dataclass(frozen=True, order=True)
class Orphan:
    """A thing with our mark that belongs to no item: where it is, and whom its mark names."""

    kind: str
    resource: str
    where: str
    slug: str
    identity: str


@dataclass(frozen=True)
class Owners:
    """The items of one kind, by slug, with what each is proven to be; None while that is not known.

    `remembered`: by resource, the outputs in their status files.
    """

    kind: str
    proofs: Mapping[str, str | None]
    remembered: Mapping[str, Sequence[Object]] = field(default_factory=dict)

    def orphan(self, resource: str, where: str, found: Mapping[str, object], manager: str) -> list[Orphan]:
        """Return the thing that carries this mark if nobody owns it; `manager`: as in `Mark.words`."""
        whose = marked(found, self.kind, manager)
        if whose is None:
            return []
        slug, proof = whose
        known = slug in self.proofs and self.proofs[slug] in {None, proof, ""}
        return [] if known else [Orphan(self.kind, resource, where, slug, proof)]


class Resource(ABC, Generic[SpecT, StateT]):
    """One thing that one item has in one external system.

    A subclass's docstring says what it will never delete or change while the item has a file, and a case
    proves it.
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
    trusts: ClassVar[tuple[str, ...]] = ()
    """Resources whose things must be proven to be the item's own before this one goes on; whatever else
    becomes of them."""
    provides: ClassVar[tuple[str, ...]] = ()
    """Names of outputs that others may read."""
    section: ClassVar[str] = ""
    """Its own top-level key of the status file, if any."""
    human_keys: ClassVar[tuple[str, ...]] = ()
    """Keys of that section which people write and the reconciler only removes when consumed."""
    sealed: ClassVar[SealedForm | None] = None
    """What people seal for it, if it asks for anything."""
    audited: ClassVar[bool] = False
    """True when it is read one by one, so only on a hint or when its audit is due."""
    deferred: ClassVar[bool] = False
    """True when what apply did takes effect only once the pass has published its commit."""
    settings: ClassVar[tuple[type[Settings], ...]] = ()
    """Sections of the configuration that it reads beside its clients'."""
    on_remove: ClassVar[tuple[OnRemove, ...]]
    """What may become of its thing when the item is removed: the first does, unless the file says another.
    Every resource says it; `keep` comes first for what holds people's work."""
    kept: ClassVar[str] = ""
    """What stays of it where it is kept, as "… stays" is said of it; "" where there is nothing to stay."""

    def __init__(self, sections: Sections) -> None:
        self.sections = sections

    def unwanted(self, target: Target[SpecT]) -> Skipped | Failed | None:
        """Return why this item is to have none, by file and settings alone; then it is not even read."""
        return None

    @abstractmethod
    def observe(self, targets: Sequence[Target[SpecT]], read: Reading) -> Mapping[str, Observation[StateT]]:
        """Read all targets, which are of one kind, at once; by slug, one observation for every target.

        Raises SystemFault or NotConfigured when that concerns all of them.
        """

    @abstractmethod
    def plan(self, target: Target[SpecT], seen: Seen[StateT], outputs: Mapping[str, Object]) -> Decision:
        """Compare desired and seen. `outputs` by resource name, for those that are needed or used."""

    @abstractmethod
    def apply(self, target: Target[SpecT], change: Change, write: Writing) -> Applied:
        """Make one change. `change.after` has no `Later` left. Raises SystemFault."""

    def plan_removal(self, target: Target[SpecT], seen: Seen[StateT], wish: OnRemove) -> Decision:
        """Compare what is there with what is to be left of it: `DISABLE` or `DELETE`, never `KEEP`.

        Pure, as `plan` is. What is not ours is left alone, and is nothing to wait for. Not asked where
        nothing is there.
        """
        raise NotImplementedError(f"{self.name} says what is to become of its thing, and not how")

    def orphans(self, owners: Owners, read: Reading) -> Sequence[Orphan] | None:
        """Return what carries our mark and is nobody's, told by what the system lists in bulk.

        None where it lists nothing, or marks nothing. Raises SystemFault or NotConfigured.
        """
        return None

    def apply_removal(self, target: Target[SpecT], change: Change, write: Writing) -> Applied:
        """Make one change that `plan_removal` wanted, after another look. Raises SystemFault."""
        raise NotImplementedError(f"{self.name} says what is to become of its thing, and not how")


AnyResource = Resource[Any, Any]
