"""What generated secrets have in common: made once in Vault, marked, and then left alone.

A quiet pass lists a folder; a secret itself is read when it is new and when its audit is due.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import SecretStr

from reconciler.clients.vault import Vault, VaultSecret, VaultSettings, VaultWriter
from reconciler.engine.contract import Resource, Target
from reconciler.engine.one_by_one import read_each
from reconciler.model.decision import Action, Change, Decision, Failed, Needed, Settled
from reconciler.model.errors import Collision
from reconciler.model.item import SpecT
from reconciler.model.json import Object
from reconciler.model.mark import Whose
from reconciler.model.observation import Absent, Known, Observation, Remembered, Seen, State
from reconciler.settings.giving import Reading, Settings, Writing


class VaultSecretState(State):
    """`version` changes whenever the value may have; `complete`: the expected key is in it."""

    version: str
    whose: Whose = Whose.OURS
    complete: bool = True


class VaultSecretResource(Resource[SpecT, VaultSecretState]):
    """One secret at `folder/<name>` with one value under `key`."""

    system: ClassVar[str] = "Vault"
    state: ClassVar[type[State]] = VaultSecretState
    provides: ClassVar[tuple[str, ...]] = ("version",)
    audited: ClassVar[bool] = True
    folder: ClassVar[str]
    key: ClassVar[str]
    settings: ClassVar[tuple[type[Settings], ...]] = (VaultSettings,)

    @abstractmethod
    def secret_name(self, slug: str) -> str:
        """Return the name under `folder`."""

    @abstractmethod
    def generate(self) -> SecretStr:
        """Return a new random value."""

    def observe(
        self, targets: Sequence[Target[SpecT]], read: Reading
    ) -> Mapping[str, Observation[VaultSecretState]]:
        """List the folder; read one by one what must be verified."""
        vault = read.get(Vault)
        names = vault.names(self.folder)
        found: dict[str, Observation[VaultSecretState]] = {}
        due: list[Target[SpecT]] = []
        for target in targets:
            version = target.remembered.get("version")
            if self.secret_name(target.slug) not in names:
                found[target.slug] = Absent()
            elif isinstance(version, str) and not target.verify:
                found[target.slug] = Remembered(VaultSecretState(version=version), target.verified_at)
            else:
                due.append(target)
        return found | read_each(due, read, lambda target: self._seen(vault.read(self._path(target)), target))

    def plan(
        self, target: Target[SpecT], seen: Seen[VaultSecretState], outputs: Mapping[str, Object]
    ) -> Decision:
        """Want a marked secret there, whatever its value."""
        path = self._path(target)
        if isinstance(seen, Absent):
            summary = f"generate a secret at {path}"
            return Needed(Change(target.id, self.name, Action.CREATE, summary, after={"path": path}))
        state = seen.state
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
            return Needed(change, outputs=known)
        return Settled({"version": state.version})

    def apply(self, target: Target[SpecT], change: Change, write: Writing) -> Settled:
        """Write a new value where nothing readable is, or mark the one that is there."""
        vault, path = write.get(VaultWriter), self._path(target)
        if change.action is Action.CREATE:
            self._create(vault, path, target)
        else:
            self._mark(vault, path, target)
        seen = self._seen(vault.read(path), target)
        if isinstance(seen, Absent) or seen.state.whose is not Whose.OURS or not seen.state.complete:
            raise Collision(self.system, f"{path} changed while we wrote it")
        return Settled({"version": seen.state.version})

    def _create(self, vault: VaultWriter, path: str, target: Target[SpecT]) -> None:
        try:
            vault.write(path, {self.key: self.generate()}, cas=0, metadata=target.mark.words())
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

    def _path(self, target: Target[SpecT]) -> str:
        return f"{self.folder}/{self.secret_name(target.slug)}"

    def _seen(self, secret: VaultSecret | None, target: Target[SpecT]) -> Known[VaultSecretState] | Absent:
        if secret is None:
            return Absent()
        # The time too: a secret that was deleted with all its versions and made again counts from 1 again.
        version = f"{secret.version} of {secret.created.strftime('%Y-%m-%dT%H:%M:%SZ')}"
        value = secret.data.get(self.key)
        return Known(
            VaultSecretState(
                version=version,
                whose=target.mark.whose(secret.metadata),
                complete=value is not None and value.get_secret_value().strip() != "",
            )
        )
