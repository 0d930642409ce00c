"""What a lamp has: two files in git, and a bulb in Vault that a person hands over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

import yaml
from pydantic import SecretStr

from reconciler.clients.vault import Vault, VaultSettings, VaultWriter
from reconciler.crypto.sealing import Opened, Refusal, SealingSettings, unseal
from reconciler.engine.contract import Resource, SealedForm, Target
from reconciler.engine.one_by_one import read_each
from reconciler.git.edits import File, Gone
from reconciler.git.locations import ManifestRepositorySettings
from reconciler.git.manifest_tree import ManifestEdits, ManifestTree
from reconciler.git.tree import object_id_of
from reconciler.model.decision import (
    Action,
    Applied,
    Change,
    Decision,
    Failed,
    Needed,
    Settled,
    Waiting,
    WaitingReason,
)
from reconciler.model.errors import Collision
from reconciler.model.json import Object, json_object
from reconciler.model.observation import Absent, Known, Observation, Seen, State
from reconciler.model.removal import OnRemove
from reconciler.settings.giving import Reading, Settings, Writing
from tests.kinds.lamp.spec import LampSpec

BULB = WaitingReason("waiting_bulb", "somebody has to bring a bulb", person=True)
DAWN = WaitingReason("waiting_dawn", "it is not light yet", person=False)

FOLDER = "mesh-six/lamps"
MARK = "# of the lamp "


class FileState(State):
    """The file: the id of its blob, and whose mark is in it."""

    blob: str
    lamp: str = ""


class LampFile(Resource[LampSpec, FileState]):
    """One file in the manifest repository. Never touches one without its mark, unless told to adopt it.

    Where it is not `adoptable`, not even then.
    """

    phase: ClassVar[str] = "wiring"
    system: ClassVar[str] = "git"
    state: ClassVar[type[State]] = FileState
    provides: ClassVar[tuple[str, ...]] = ("blob",)
    deferred: ClassVar[bool] = True
    settings: ClassVar[tuple[type[Settings], ...]] = (ManifestRepositorySettings,)
    on_remove: ClassVar[tuple[OnRemove, ...]] = (OnRemove.DELETE, OnRemove.KEEP)
    kept: ClassVar[str] = "its file"
    ending: ClassVar[str]
    adoptable: ClassVar[bool] = True

    def observe(
        self, targets: Sequence[Target[LampSpec]], read: Reading
    ) -> Mapping[str, Observation[FileState]]:
        tree = read.get(ManifestTree)
        names = tree.blobs("lamps") or {}
        return {
            target.slug: _file_state(tree, names.get(f"{target.slug}{self.ending}")) for target in targets
        }

    def plan(
        self, target: Target[LampSpec], seen: Seen[FileState], outputs: Mapping[str, Object]
    ) -> Decision:
        wanted = self._content(target)
        blob = object_id_of("blob", wanted)
        if not isinstance(seen, Absent):
            if seen.state.blob == blob:
                return Settled({"blob": blob})
            if seen.state.lamp != target.slug and not (target.spec.adopt and self.adoptable):
                remedy = "write adopt: true, or move it away" if self.adoptable else "move it away"
                return Failed(f"{self._path(target)} is not ours", remedy, conflict=True)
        change = Change(
            target.id, self.name, Action.CREATE, f"write {self._path(target)}", after={"blob": blob}
        )
        return Needed(change, {"blob": blob})

    def apply(self, target: Target[LampSpec], change: Change, write: Writing) -> Applied:
        edit = File(item=target.id, path=self._path(target), content=self._content(target))
        write.get(ManifestEdits).record(target.id, self.name, [edit])
        return Settled({"blob": change.after["blob"]})

    def plan_removal(self, target: Target[LampSpec], seen: Seen[FileState], wish: OnRemove) -> Decision:
        if isinstance(seen, Absent) or seen.state.lamp != target.slug or wish is OnRemove.DISABLE:
            return Settled(target.remembered)
        return Needed(Change(target.id, self.name, Action.DELETE, f"delete {self._path(target)}"))

    def apply_removal(self, target: Target[LampSpec], change: Change, write: Writing) -> Applied:
        edit = Gone(item=target.id, path=self._path(target))
        write.get(ManifestEdits).record(target.id, self.name, [edit])
        return Settled()

    def _path(self, target: Target[LampSpec]) -> str:
        return f"lamps/{target.slug}{self.ending}"

    def _content(self, target: Target[LampSpec]) -> bytes:
        # One line in quotes, whatever the colour is called: nothing of it can be read as YAML.
        shade = yaml.safe_dump({"shade": target.spec.shade.colour}, default_style='"', width=10**9)
        return f"{MARK}{target.slug}\n{shade}".encode()


class LampManifests(LampFile):
    """The file of a lamp; called like a resource of a project, with which it has nothing to do."""

    name: ClassVar[str] = "manifests"
    ending: ClassVar[str] = ".yaml"


class LampNotice(LampFile):
    """A second file of the same lamp; what somebody else has put up there is never replaced."""

    name: ClassVar[str] = "notice"
    ending: ClassVar[str] = ".txt"
    adoptable: ClassVar[bool] = False


class BulbState(State):
    """`held`: Vault has a bulb; `ours`: with our mark; `entry`: why what was sealed is refused, or "good"."""

    held: bool = False
    ours: bool = True
    entry: str = ""


def read_bulb(content: bytes, now: datetime) -> Mapping[str, str | int | SecretStr] | str:
    document = json_object(content)
    if document is None or "watts" not in document:
        return "a bulb is JSON with watts"
    watts = document["watts"]
    return {"watts": watts} if isinstance(watts, int) else "watts must be a whole number"


class Bulb(Resource[LampSpec, BulbState]):
    """Takes a sealed bulb into Vault. Never changes a secret there that is not marked as this lamp's."""

    name: ClassVar[str] = "bulb"
    phase: ClassVar[str] = "light"
    system: ClassVar[str] = "Vault"
    state: ClassVar[type[State]] = BulbState
    uses: ClassVar[tuple[str, ...]] = ("manifests",)
    section: ClassVar[str] = "bulb"
    human_keys: ClassVar[tuple[str, ...]] = ("sealed",)
    sealed: ClassVar[SealedForm | None] = SealedForm(
        key="sealed",
        read=read_bulb,
        what="JSON with the number of watts",
        made_up='{"watts": 7}',
        handed_over="Nothing to do: the bulb is there, and the next pass screws it in.",
    )
    settings: ClassVar[tuple[type[Settings], ...]] = (SealingSettings, VaultSettings)
    on_remove: ClassVar[tuple[OnRemove, ...]] = (OnRemove.KEEP, OnRemove.DELETE)
    kept: ClassVar[str] = "the bulb"

    def observe(
        self, targets: Sequence[Target[LampSpec]], read: Reading
    ) -> Mapping[str, Observation[BulbState]]:
        vault = read.get(Vault)
        names = vault.names(FOLDER)

        def look(target: Target[LampSpec]) -> Known[BulbState]:
            secret = vault.read(f"{FOLDER}/{target.slug}") if target.slug in names else None
            entry = self._open(target)
            return Known(
                BulbState(
                    held=secret is not None,
                    ours=secret is None or target.mark.whose(secret.metadata).ours,
                    entry="good" if isinstance(entry, Opened) else str(entry or ""),
                )
            )

        return read_each(targets, read, look)

    def plan(
        self, target: Target[LampSpec], seen: Seen[BulbState], outputs: Mapping[str, Object]
    ) -> Decision:
        assert isinstance(seen, Known)
        if seen.state.held and not seen.state.ours:
            if target.spec.adopt:
                return self._change(target, "adopt", "take over the bulb that is there")
            return Failed("there is a bulb of somebody else's", "write adopt: true", conflict=True)
        if seen.state.entry == "good":
            return self._change(target, "take", "screw in the bulb")
        if seen.state.held:
            return Settled({"held": True}, section={"state": "stored"})
        request = {"requestId": "bulb-1", "recipient": self.sections.get(SealingSettings).recipient}
        state = (
            {"state": "rejected", "reason": seen.state.entry} if seen.state.entry else {"state": "pending"}
        )
        todo = f"Bring a bulb with `reconcile seal lamp/{target.slug}`."
        return Waiting("there is no bulb", BULB, todo=todo, section={**state, **request})

    def apply(self, target: Target[LampSpec], change: Change, write: Writing) -> Applied:
        vault, path = write.get(VaultWriter), f"{FOLDER}/{target.slug}"
        found = vault.read(path)
        if change.after["step"] == "adopt":
            vault.annotate(path, target.mark.words())
            return Settled({"held": True}, section={"state": "stored"})
        if found is not None and not target.mark.whose(found.metadata).ours:
            raise Collision("Vault", f"{path} has a secret that is not ours")
        opened = self._open(target)
        if not isinstance(opened, Opened):
            return Failed("the sealed bulb changed meanwhile", "the next pass looks again")
        watts = {"watts": SecretStr(str(opened.fields["watts"]))}
        if found is None or found.data != watts:
            vault.write(path, watts, cas=found.version if found else 0, metadata=target.mark.words())
        used = {"sealed": str(target.section["sealed"])}
        return Settled({"held": True}, section={"state": "stored"}, consumed=used)

    def plan_removal(self, target: Target[LampSpec], seen: Seen[BulbState], wish: OnRemove) -> Decision:
        assert isinstance(seen, Known)
        if not (seen.state.held and seen.state.ours) or wish is OnRemove.DISABLE:
            return Settled(target.remembered)
        return Needed(Change(target.id, self.name, Action.DELETE, "throw the bulb away"))

    def apply_removal(self, target: Target[LampSpec], change: Change, write: Writing) -> Applied:
        vault, path = write.get(VaultWriter), f"{FOLDER}/{target.slug}"
        found = vault.metadata(path)
        if found is not None and target.mark.whose(found.metadata).ours:
            vault.delete(path)
        return Settled()

    def _change(self, target: Target[LampSpec], step: str, summary: str) -> Needed:
        action = Action.ADOPT if step == "adopt" else Action.UPDATE
        return Needed(Change(target.id, self.name, action, summary, after={"step": step}))

    def _open(self, target: Target[LampSpec]) -> Opened | Refusal | None:
        text = target.section.get("sealed")
        if not isinstance(text, str):
            return None
        opened = unseal(text, self.sections.get(SealingSettings).keys, target.id)
        wrong = isinstance(opened, Opened) and opened.request_id != "bulb-1"
        return Refusal.OTHER_REQUEST if wrong else opened


class Glow(Resource[LampSpec, FileState]):
    """Whether the lamp's file has been there for a while; it only reads."""

    name: ClassVar[str] = "glow"
    phase: ClassVar[str] = "light"
    system: ClassVar[str] = "git"
    state: ClassVar[type[State]] = FileState
    needs: ClassVar[tuple[str, ...]] = ("manifests", "notice")
    on_remove: ClassVar[tuple[OnRemove, ...]] = (OnRemove.KEEP,)

    def observe(
        self, targets: Sequence[Target[LampSpec]], read: Reading
    ) -> Mapping[str, Observation[FileState]]:
        tree = read.get(ManifestTree)
        names = tree.blobs("lamps") or {}
        return {target.slug: _file_state(tree, names.get(f"{target.slug}.yaml")) for target in targets}

    def plan(
        self, target: Target[LampSpec], seen: Seen[FileState], outputs: Mapping[str, Object]
    ) -> Decision:
        since = target.remembered.get("since")
        if isinstance(seen, Absent):
            return Waiting("its file is not there", DAWN, again_in=timedelta(seconds=1))
        if since is None:
            now = target.now.isoformat()
            return Waiting("it warms up", DAWN, again_in=timedelta(seconds=1), outputs={"since": now})
        return Settled({"since": since})

    def apply(self, target: Target[LampSpec], change: Change, write: Writing) -> Applied:
        raise NotImplementedError(f"{self.name} only reads")


def _file_state(tree: ManifestTree, blob: str | None) -> Known[FileState] | Absent:
    if blob is None:
        return Absent()
    first = tree.content(blob).decode("utf-8", "replace").partition("\n")[0]
    return Known(FileState(blob=blob, lamp=first.removeprefix(MARK) if first.startswith(MARK) else ""))
