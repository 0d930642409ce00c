"""What generated secrets have in common: made once in Vault, marked, and then left alone.

A quiet pass lists a folder; a secret itself is read when it is new and when its audit is due.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import ClassVar

from pydantic import SecretStr

from reconciler.clients.vault import Vault, VaultSecret, VaultSettings, VaultWriter
from reconciler.engine.contract import Orphan, Owners, Resource, Target
from reconciler.engine.one_by_one import read_each
from reconciler.model.decision import Action, Change, Decision, Failed, Needed, Settled
from reconciler.model.errors import Collision
from reconciler.model.item import SpecT
from reconciler.model.json import Object
from reconciler.model.mark import Whose
from reconciler.model.observation import Absent, Known, Observation, Remembered, Seen, State, Unknown
from reconciler.model.removal import OnRemove
from reconciler.settings.giving import Reading, Settings, Writing


class VaultSecretState(State):
    """`version` changes whenever the value may have; `complete`: the expected key is in it.

    `moved_from`: where it is still; "" when it is where it should be.
    """

    version: str
    whose: Whose = Whose.OURS
    complete: bool = True
    moved_from: str = ""


def marked_secrets(
    resource: str, owners: Owners, vault: Vault, folder: str, names: Iterable[str]
) -> list[Orphan]:
    """Return those of these secrets whose mark names nobody. One request for each, so only for suspects."""
    found: list[Orphan] = []
    for name in sorted(names):
        known = vault.metadata(f"{folder}/{name}")
        if known is not None:
            found += owners.orphan(resource, f"{folder}/{name}", known.metadata, "managed-by")
    return found


class VaultSecretResource(Resource[SpecT, VaultSecretState]):
    """One secret at `folder/<name>` with one value under `key`.

    Where the name has changed, the value that carries our mark is copied from where it was, and stays there.
    """

    system: ClassVar[str] = "Vault"
    state: ClassVar[type[State]] = VaultSecretState
    provides: ClassVar[tuple[str, ...]] = ("version",)
    audited: ClassVar[bool] = True
    on_remove: ClassVar[tuple[OnRemove, ...]] = (OnRemove.DELETE, OnRemove.KEEP)
    folder: ClassVar[str]
    key: ClassVar[str]
    settings: ClassVar[tuple[type[Settings], ...]] = (VaultSettings,)

    @abstractmethod
    def secret_names(
        self, targets: Sequence[Target[SpecT]], read: Reading
    ) -> tuple[Mapping[str, str], Mapping[str, Absent | Unknown]]:
        """Return the names under `folder`, by slug, and why those of others are not known."""

    @abstractmethod
    def secret_name(self, target: Target[SpecT], outputs: Mapping[str, Object]) -> str:
        """Return the name under `folder`, of what the needed resources gave."""

    @abstractmethod
    def generate(self) -> SecretStr:
        """Return a new random value."""

    def observe(
        self, targets: Sequence[Target[SpecT]], read: Reading
    ) -> Mapping[str, Observation[VaultSecretState]]:
        """List the folder; read one by one what must be verified."""
        vault = read.get(Vault)
        names, unknown = self.secret_names(targets, read)
        # What is on its way out is looked for where it was: what it was named after may be gone by now.
        names = {**names, **{target.slug: name for target in targets if (name := self._left_at(target))}}
        there = vault.names(self.folder)
        found: dict[str, Observation[VaultSecretState]] = {
            slug: each for slug, each in unknown.items() if slug not in names
        }
        due: list[Target[SpecT]] = []
        for target in (target for target in targets if target.slug in names):
            version = target.remembered.get("version")
            same = target.remembered.get("path") == self._path(names[target.slug])
            if names[target.slug] not in there and not self._former(target, there):
                found[target.slug] = Absent()
            elif isinstance(version, str) and same and names[target.slug] in there and not target.verify:
                found[target.slug] = Remembered(VaultSecretState(version=version), target.verified_at)
            else:
                due.append(target)
        return found | read_each(
            due, read, lambda target: self._look(target, names[target.slug], there, vault)
        )

    def plan(
        self, target: Target[SpecT], seen: Seen[VaultSecretState], outputs: Mapping[str, Object]
    ) -> Decision:
        """Want a marked secret there, whatever its value."""
        path = self._path(self.secret_name(target, outputs))
        if isinstance(seen, Absent):
            summary = f"generate a secret at {path}"
            return Needed(Change(target.id, self.name, Action.CREATE, summary, after={"path": path}))
        state = seen.state
        if state.moved_from:
            summary = f"copy the secret from {state.moved_from} to {path}"
            before, after = {"path": state.moved_from}, {"path": path}
            return Needed(Change(target.id, self.name, Action.UPDATE, summary, before, after))
        if not state.whose.ours and not target.spec.adopt:
            return Failed(
                f"there is a secret at {path} that {state.whose.history}",
                remedy="to use its value as it is, add `adopt: true` to the project file; "
                "to get a new one, move that secret elsewhere",
                conflict=True,
            )
        if not state.complete:
            return Failed(
                f"the secret at {path} has no value `{self.key}`",
                remedy=f"write one into it, or delete {path} with all its versions to get a new one",
            )
        if state.whose is not Whose.OURS:
            # One that was marked before marks had a proof is ours already, and only gets its mark anew.
            action, summary = (
                (Action.UPDATE, f"renew the mark of the secret at {path}")
                if state.whose.ours
                else (Action.ADOPT, f"adopt the secret at {path} with the value that it has")
            )
            known: Object = {"version": state.version}
            change = Change(target.id, self.name, action, summary, known, {"path": path, **known})
            return Needed(change, outputs={**known, "path": path})
        return Settled({"version": state.version, "path": path})

    def apply(self, target: Target[SpecT], change: Change, write: Writing) -> Settled:
        """Write a new value where nothing readable is, or mark the one that is there."""
        vault, path = write.get(VaultWriter), str(change.after["path"])
        if change.action is Action.CREATE:
            self._create(vault, path, self.generate(), target)
        elif former := change.before.get("path"):
            self._copy(vault, str(former), path, target)
        else:
            self._mark(vault, path, target)
        seen = self._seen(vault.read(path), target)
        if isinstance(seen, Absent) or seen.state.whose is not Whose.OURS or not seen.state.complete:
            raise Collision(self.system, f"{path} changed while we wrote it")
        return Settled({"version": seen.state.version, "path": path})

    def plan_removal(self, target: Target[SpecT], seen: Seen[VaultSecretState], wish: OnRemove) -> Decision:
        """Leave it until the very end, when nothing that uses it is there any more."""
        path = self._path(self._left_at(target))
        if isinstance(seen, Absent) or (isinstance(seen, Known) and not seen.state.whose.ours):
            return Settled(note="" if isinstance(seen, Absent) else f"{path} is not ours, and stays")
        if wish is OnRemove.DISABLE:
            return Settled(target.remembered)
        summary = f"delete the secret at {path} with all its versions"
        return Needed(Change(target.id, self.name, Action.DELETE, summary, before={"path": path}))

    def apply_removal(self, target: Target[SpecT], change: Change, write: Writing) -> Settled:
        """Delete what carries our mark, also where it was before it was moved."""
        vault = write.get(VaultWriter)
        for name in dict.fromkeys([self._left_at(target), *self.former_names(target)]):
            known = vault.metadata(self._path(name)) if name else None
            if known is not None and target.mark.whose(known.metadata).ours:
                vault.delete(self._path(name))
        return Settled()

    def orphans(self, owners: Owners, read: Reading) -> Sequence[Orphan]:
        """Look at the marks of what is listed and is not named after an item."""
        vault = read.get(Vault)
        known = {each.get("path") for each in owners.remembered.get(self.name, ())}
        suspects = [
            name
            for name in vault.names(self.folder)
            if self._path(name) not in known and self.is_suspect(name, owners)
        ]
        return marked_secrets(self.name, owners, vault, self.folder, suspects)

    def is_suspect(self, name: str, owners: Owners) -> bool:
        """Tell whether a secret of that name may be one of these, and nobody's."""
        return True

    def name_by_slug(self, target: Target[SpecT]) -> str:
        """Return the name under `folder` if the slug alone gives it, else ""."""
        return ""

    def _left_at(self, target: Target[SpecT]) -> str:
        """Return the name under which the secret of an item on its way out was kept; "" for any other."""
        if not target.leaving:
            return ""
        path = target.remembered.get("path")
        name = path.removeprefix(f"{self.folder}/") if isinstance(path, str) else self.name_by_slug(target)
        return name if name != path and "/" not in name else ""

    def former_names(self, target: Target[SpecT]) -> Sequence[str]:
        """Return names under `folder` that it may have had before."""
        return ()

    def _former(self, target: Target[SpecT], there: Container[str]) -> list[str]:
        return [name for name in self.former_names(target) if name in there]

    def _look(
        self, target: Target[SpecT], name: str, there: Container[str], vault: Vault
    ) -> Known[VaultSecretState] | Absent:
        if name in there:
            return self._seen(vault.read(self._path(name)), target)
        for former in self._former(target, there):
            seen = self._seen(vault.read(self._path(former)), target)
            if isinstance(seen, Known) and seen.state.whose.ours and seen.state.complete:
                return Known(seen.state.model_copy(update={"moved_from": self._path(former)}))
        return Absent()

    def _copy(self, vault: VaultWriter, former: str, path: str, target: Target[SpecT]) -> None:
        found = vault.read(former)
        if found is None or not target.mark.whose(found.metadata).ours or self.key not in found.data:
            raise Collision(self.system, f"{former} changed since it was read")
        self._create(vault, path, found.data[self.key], target)

    def _create(self, vault: VaultWriter, path: str, value: SecretStr, target: Target[SpecT]) -> None:
        try:
            vault.write(path, {self.key: value}, cas=0, metadata=target.mark.words())
        except Collision:
            # Perhaps a pass that was killed made it, or a second one is at work: then it is ours to use.
            found = vault.read(path)
            if found is None or target.mark.whose(found.metadata) is not Whose.OURS:
                raise

    def _mark(self, vault: VaultWriter, path: str, target: Target[SpecT]) -> None:
        found = vault.read(path)
        if found is None or not (target.spec.adopt or target.mark.whose(found.metadata).ours):
            raise Collision(self.system, f"{path} changed since it was read")
        vault.annotate(path, target.mark.words())

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name}"

    def _seen(self, secret: VaultSecret | None, target: Target[SpecT]) -> Known[VaultSecretState] | Absent:
        if secret is None:
            return Absent()
        value = secret.data.get(self.key)
        return Known(
            VaultSecretState(
                version=secret.value_id,
                whose=target.mark.whose(secret.metadata),
                complete=value is not None and value.get_secret_value().strip() != "",
            )
        )
