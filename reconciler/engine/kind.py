"""What a kind of item declares. Engine, faces and sandbox know kinds by this alone, and none by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString, Protocol

from reconciler.engine.contract import AnyResource
from reconciler.model.decision import WaitingReason
from reconciler.model.item import Identity, Item, Spec
from reconciler.model.json import Object
from reconciler.model.outcome import ItemReport
from reconciler.model.removal import OnRemove
from reconciler.settings.giving import Sections


@dataclass(frozen=True)
class Proof:
    """Which output of which resource proves what an item is, like the number of a repository.

    `noun`: what that is, for people. A name can be given to another thing; what is proven cannot, so an item
    whose proof changes is refused, whatever its name.
    """

    resource: str
    output: str
    noun: str


@dataclass(frozen=True)
class Breach:
    """Something that a file asks for and may not: the field's path, what is wrong, and what to do."""

    keys: tuple[str, ...]
    message: str
    remedy: str


class Database(Protocol):
    """The database session of a pass. Once its lock is lost, every statement raises Unavailable."""

    def rows(self, statement: LiteralString, values: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Send one statement that is safe to repeat, and return its rows."""


class Ledger(Protocol):
    """Rows that a kind keeps about its items for those who look things up in the database.

    Made at the beginning of a pass; never the only copy of anything. Each call is one statement at most, and
    none where nothing changed. Raises SystemFault.
    """

    def begin(self, changing: Sequence[tuple[Item[Any], ItemReport]]) -> None:
        """Write that a pass is about to change these."""

    def record(self, done: Sequence[tuple[Item[Any], ItemReport]], resting: Mapping[str, str]) -> None:
        """Write what came of these; `resting`: the status by slug of items that were not looked at."""


class Outside(Protocol):
    """The sandbox, as far as a kind may reach into it."""

    def emulator(self, system: str, method: str, path: str, body: Any = None) -> Any:  # noqa: ANN401 - JSON
        """Call an emulator directly; returns the decoded answer."""


@dataclass(frozen=True)
class Kind:
    """What one kind of file means.

    `resources`: in the order in which they are applied. `waits`: what its items may wait for, the reason that
    counts first in front. `after_commit`: which of them it is to wait for the commit of this very pass.
    """

    name: str
    spec: type[Spec]
    resources: tuple[type[AnyResource], ...]
    waits: tuple[WaitingReason, ...] = ()
    after_commit: WaitingReason | None = None
    limits: Callable[[Sections, Any], Iterable[Breach]] = lambda sections, spec: ()
    """What of a file the operator's settings do not allow."""
    proof: Proof | None = None
    """What proves an item's identity; None where its name is all there is."""
    ledger: Callable[[Database], Ledger] | None = None
    migrations: Path | None = None
    """The folder with the scripts that make its tables."""
    face: Callable[[], object] | None = None
    """Makes the `faces.kind_face.KindFace` with what it shows beside what is shown of every kind. Called when
    a service starts, since that brings a web framework along."""
    made_outside: Callable[[Outside, Sequence[bytes]], object] | None = None
    """Makes in the sandbox what people have made before they write such a file. It gets all files, of
    whatever kind, and some may be broken."""
    sandbox_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What the sandbox's reconciler.yaml says beside its servers' addresses, by section."""
    identity_before: Callable[[Object], Identity | None] | None = None
    """How an item's identity is told by a status file of the time when there was one kind. The kind that has
    this is that one: files without `kind` are its, and so is `status/<slug>.yaml`."""

    def __post_init__(self) -> None:
        known: dict[str, bool] = {}
        for resource in self.resources:
            inputs = {*resource.needs, *resource.uses, *resource.trusts}
            if early := inputs - known.keys():
                raise ValueError(f"{resource.name} stands before {', '.join(sorted(early))}, which it needs")
            if not getattr(resource, "on_remove", ()):
                raise ValueError(f"{resource.name} does not say what becomes of its thing (on_remove)")
            if resource.name in known:
                raise ValueError(f"{self.name} has two resources called {resource.name}")
            if self.after_commit is None and any(known[name] for name in inputs):
                raise ValueError(f"{resource.name} waits for a commit, and {self.name} has no after_commit")
            known[resource.name] = resource.deferred
        if self.proof and self.proof.resource != next(iter(known), ""):
            # What comes before it would be done for an item that may turn out to be another one.
            raise ValueError(
                f"{self.proof.resource} proves the identity, and is not the first of {self.name}"
            )

    def removals(self, spec: Spec) -> Iterator[Breach]:
        """Yield what a file asks for that is no way to remove things of this kind."""
        ways = {each.name: each.on_remove for each in self.resources}
        for name, wish in (spec.on_remove or {}).items():
            if name not in ways:
                yield Breach(
                    ("onRemove", name), f"{self.name} has no {name}", f"write one of {', '.join(ways)}"
                )
            elif OnRemove(wish) not in ways[name]:
                can = " or ".join(ways[name])
                yield Breach(("onRemove", name), f"{name} cannot be removed by {wish}", f"write {can}")

    @property
    def human_keys(self) -> dict[str, tuple[str, ...]]:
        """The keys of a status file that people write, by the top-level key that they stand in."""
        return {each.section: each.human_keys for each in self.resources if each.section and each.human_keys}

    @property
    def sections(self) -> dict[str, str]:
        """Each resource's own top-level key of the status file, for those that have one."""
        return {each.name: each.section for each in self.resources if each.section}

    def waiting(self, status: str) -> WaitingReason | None:
        """Return the waiting reason with that status."""
        return next((reason for reason in self.waits if reason.status == status), None)


class Kinds(Mapping[str, Kind]):
    """All kinds by name, in the order of their declaration."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self._kinds = {kind.name: kind for kind in kinds}

    def __getitem__(self, name: str) -> Kind:
        return self._kinds[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    @property
    def first(self) -> Kind | None:
        """The kind of files that name none, which there was before there were several."""
        return next((kind for kind in self.values() if kind.identity_before), None)

    @property
    def sandbox_settings(self) -> dict[str, Mapping[str, Any]]:
        """What the sandbox's reconciler.yaml is to say for these kinds, by section."""
        return {name: section for kind in self.values() for name, section in kind.sandbox_settings.items()}

    @property
    def waits(self) -> dict[str, WaitingReason]:
        """The waiting reasons of all kinds by their status."""
        return {reason.status: reason for kind in self.values() for reason in kind.waits}
