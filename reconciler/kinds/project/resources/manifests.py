"""The environment's manifests in git: the folder `envs/<slug>` and its line in the kustomization above.

Knows what is wanted and what is there. How a file is written is `manifests/render.py`'s, how an edit reaches
the repository the publish stage's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import InvalidOperation
from functools import partial
from typing import ClassVar

from pydantic import Field

from reconciler.clients.litellm import LiteLLMSettings
from reconciler.clients.vault import VaultSettings
from reconciler.engine.contract import Orphan, Owners, Resource, Target
from reconciler.git.edits import Edit, Excluded, Folder, Gone, Included
from reconciler.git.inclusion import Naming
from reconciler.git.locations import ManifestRepositorySettings
from reconciler.git.manifest_tree import NEW_KUSTOMIZATION, ManifestEdits, ManifestTree
from reconciler.git.tree import folder_id_of, object_id_of
from reconciler.kinds.project.manifests.claims import claims_in, compared, have_older_names
from reconciler.kinds.project.manifests.pods import PodsSettings
from reconciler.kinds.project.manifests.render import (
    CLAIMS,
    KUSTOMIZATION,
    Inputs,
    all_files,
    mark_in,
    render_environment,
)
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.model.decision import Action, Applied, Change, Decision, Failed, Needed, Settled, Skipped
from reconciler.model.errors import ConfigurationError, InvalidFile
from reconciler.model.json import Json, Later, Object
from reconciler.model.latest import Latest
from reconciler.model.mark import Whose
from reconciler.model.observation import Absent, Known, Observation, Seen, State
from reconciler.model.removal import OnRemove
from reconciler.settings.giving import Reading, Sections, Settings, Writing

_SECRETS = {
    "gitAccess": ("git-access", "publicKey"),
    "llmKey": ("llm-key", "version"),
}
"""By field of `Inputs`: the resource, and its output that changes with the secret."""


class ManifestsState(State):
    """The folder in git. `files`: blob ids by name. `claims`: text of pvc.yaml.

    `line`: the build of the tree includes it, wherever it is listed; with `prefix` and `suffix` around names.
    `plain`: it holds nothing but ordinary files. `link`: where it leads, if it is a link.
    """

    files: dict[str, str] = Field(default_factory=dict)
    whose: Whose = Whose.OURS
    claims: str = ""
    line: bool = False
    prefix: str = ""
    suffix: str = ""
    plain: bool = True
    link: str = ""


class Manifests(Resource[ProjectSpec, ManifestsState]):
    """Writes `envs/<slug>`, which is wholly ours, and one line of a file that people also edit.

    That line may be anywhere: an environment counts as listed when the build of the tree includes it. A new
    one goes where most others are listed.

    Never takes over a folder without our marker unless told to (`adopt: true`), never removes a file that it
    did not write, never asks for less storage or another storage class than a claim has, and never deletes an
    environment.

    With no Vault configured it writes an environment without secrets, which can clone public repositories
    only; once there is one, the next pass adds what was missing.
    """

    name: ClassVar[str] = "manifests"
    phase: ClassVar[str] = "dev_env"
    system: ClassVar[str] = "git"
    state: ClassVar[type[State]] = ManifestsState
    needs: ClassVar[tuple[str, ...]] = ("validate-repo", "devcontainer")
    uses: ClassVar[tuple[str, ...]] = ("git-access", "llm-key")
    trusts: ClassVar[tuple[str, ...]] = ("registry", "litellm", "settings")
    provides: ClassVar[tuple[str, ...]] = ("tree",)
    deferred: ClassVar[bool] = True
    # Vault's and LiteLLM's it reads only where a project has something of them: else these need not be right.
    settings: ClassVar[tuple[type[Settings], ...]] = (PodsSettings, ManifestRepositorySettings)

    on_remove: ClassVar[tuple[OnRemove, ...]] = (OnRemove.DELETE, OnRemove.DISABLE)

    def __init__(self, sections: Sections) -> None:
        super().__init__(sections)
        # In a loop nearly every pass wants the same of every project, so the last answer for each is kept.
        self._wanted = Latest[tuple[ProjectSpec, str, PodsSettings, Inputs], Mapping[str, str]]()
        self._claims = Latest[str, Mapping[str, tuple[str, str | None]]]()

    def unwanted(self, target: Target[ProjectSpec]) -> Skipped | Failed | None:
        """Ask for the gateway's address where a pod would otherwise have neither login nor key."""
        spec, pods = target.spec, self.sections.get(PodsSettings)
        uses_gateway = spec.skip_auth and not spec.skip_lite_llm
        if uses_gateway and pods.gateway_url is None and not self.sections.get(LiteLLMSettings).missing():
            return Failed(
                "pods.gatewayUrl is not set, and without it the pod would have neither a login nor a key",
                remedy="set pods.gatewayUrl to where pods reach the LLM gateway, or skipLiteLLM: true in the "
                "project file for a pod that shall have neither",
            )
        return None

    def observe(
        self, targets: Sequence[Target[ProjectSpec]], read: Reading
    ) -> Mapping[str, Observation[ManifestsState]]:
        """Read the folders from the fetched tree, which costs no request."""
        tree = read.get(ManifestTree)
        for kept in (self._wanted, self._claims):
            kept.keep_only({target.slug for target in targets})
        return {target.slug: _state(tree, self._base, target) for target in targets}

    def plan(
        self, target: Target[ProjectSpec], seen: Seen[ManifestsState], outputs: Mapping[str, Object]
    ) -> Decision:
        """Compare the rendered files with those in git. A claim that would shrink fails before any commit."""
        state = ManifestsState() if isinstance(seen, Absent) else seen.state
        if conflict := _conflict(target, state):
            return conflict
        path = f"{_folder(target.slug)}/{CLAIMS}"
        try:
            claims = self._claims.get(target.slug, state.claims, partial(claims_in, path, state.claims))
            shrunk, grown = compared(target.spec, target.slug, target.proof, claims)
        except (InvalidFile, InvalidOperation) as error:
            return Failed(
                f"{path} cannot be compared with the storage asked for: {error}",
                remedy="restore the file from its last commit",
            )
        if shrunk:
            return Failed("; ".join(shrunk), remedy="a volume cannot shrink: ask for at least what it has")
        inputs = self._inputs(target, claims, outputs) | {"prefix": state.prefix, "suffix": state.suffix}
        if any(isinstance(value, Later) for value in inputs.values()):
            return Needed(_change(target, state, inputs, None, grown))
        pods, given = self.sections.get(PodsSettings), Inputs.model_validate(dict(inputs))
        asked = (target.spec, target.slug, pods, given)
        wanted = self._wanted.get(target.slug, asked, partial(_wanted, *asked))
        tree: Object = {"tree": folder_id_of(wanted)}
        if wanted == state.files and state.line:
            return Settled(tree)
        return Needed(_change(target, state, inputs, wanted, grown), outputs=tree)

    def apply(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Record the edits; the publish stage commits and pushes them with those of all other projects."""
        inputs = change.after["inputs"]
        assert isinstance(inputs, Mapping)  # noqa: S101 - plan put it there
        files = self._render(target, inputs)
        path = f"{self._base}/{_folder(target.slug)}"
        write.get(ManifestEdits).record(
            target.id,
            self.name,
            (
                Folder(item=target.id, path=path, files=files),
                Included(item=target.id, root=self._base, path=path, new_file=NEW_KUSTOMIZATION),
            ),
        )
        return Settled({"tree": ManifestTree.id_of(files)})

    def plan_removal(
        self, target: Target[ProjectSpec], seen: Seen[ManifestsState], wish: OnRemove
    ) -> Decision:
        """Take the environment out of what is built at once, and its folder out of the tree in the end.

        What is in the folder says how its volumes are called, which outlive it.
        """
        state, folder = ManifestsState() if isinstance(seen, Absent) else seen.state, _folder(target.slug)
        if state.files and not state.whose.ours:
            return Settled(note=f"{folder} is not ours, by its marker, and stays")
        if wish is OnRemove.DISABLE:
            if not state.line:
                return Settled(target.remembered)
            summary = f"take {folder} out of the kustomization: its pod stops, its volumes stay"
            change = Change(
                target.id, self.name, Action.DISABLE, summary, {"listed": True}, {"listed": False}
            )
            return Needed(change, target.remembered)
        if not (state.files or state.line) or state.link:
            return Settled(note=f"{folder} is a link to {state.link}, which stays" if state.link else "")
        before: Object = {"files": sorted(state.files), "listed": state.line}
        change = Change(target.id, self.name, Action.DELETE, f"delete {folder}", before)
        return _conflict(target, state) or Needed(change)

    def apply_removal(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Record the edits, as `apply` does."""
        path = f"{self._base}/{_folder(target.slug)}"
        edits: list[Edit] = [Excluded(item=target.id, root=self._base, path=path)]
        if change.action is Action.DELETE:
            edits.append(Gone(item=target.id, path=path))
        write.get(ManifestEdits).record(target.id, self.name, edits)
        return Settled(target.remembered if change.action is Action.DISABLE else {})

    def orphans(self, owners: Owners, read: Reading) -> Sequence[Orphan]:
        """Look at the markers of folders that are named after no item."""
        tree = read.get(ManifestTree)
        found: list[Orphan] = []
        for slug in sorted(tree.names(f"{self._base}/envs") - owners.proofs.keys()):
            files = tree.blobs(f"{self._base}/{_folder(slug)}") or {}
            mark = mark_in(tree.content(files[KUSTOMIZATION])) if KUSTOMIZATION in files else {}
            found += owners.orphan(self.name, f"{self._base}/{_folder(slug)}", mark, "managed-by")
        return found

    @property
    def _base(self) -> str:
        return self.sections.get(ManifestRepositorySettings).path

    def _inputs(
        self,
        target: Target[ProjectSpec],
        claims: Mapping[str, tuple[str, str | None]],
        outputs: Mapping[str, Object],
    ) -> dict[str, Json]:
        """Return the fields of `Inputs`; some may not be known before an earlier change is applied."""
        # A claim's class cannot change, whatever the setting says now.
        classes = [storage_class for _, storage_class in claims.values()]
        return {
            "branch": outputs["validate-repo"]["defaultBranch"],
            "repository": outputs["validate-repo"]["fullName"],
            "devcontainer": outputs["devcontainer"].get("path"),
            **{
                field: outputs[name][output] if name in outputs else None
                for field, (name, output) in _SECRETS.items()
            },
            "storageClass": classes[0] if classes else self.sections.get(PodsSettings).storage_class,
            "vaultMount": self._vault_mount(),
            "identity": target.proof,
            "olderClaims": have_older_names(target.slug, claims),
        }

    def _vault_mount(self) -> str:
        try:
            return self.sections.get(VaultSettings).mount
        except ConfigurationError:
            # Nothing is changed then: what reads Vault is in error, and this one waits for that.
            return str(Inputs.model_fields["vault_mount"].default)

    def _render(self, target: Target[ProjectSpec], inputs: Mapping[str, Json]) -> dict[str, bytes]:
        pods = self.sections.get(PodsSettings)
        return render_environment(target.spec, target.slug, pods, Inputs.model_validate(dict(inputs)))


def _wanted(spec: ProjectSpec, slug: str, pods: PodsSettings, inputs: Inputs) -> Mapping[str, str]:
    """Return the blob ids of the files that the project should have, by name."""
    files = render_environment(spec, slug, pods, inputs)
    return {name: object_id_of("blob", content) for name, content in files.items()}


def _folder(slug: str) -> str:
    return f"envs/{slug}"


def _state(tree: ManifestTree, base: str, target: Target[ProjectSpec]) -> Observation[ManifestsState]:
    path = f"{base}/{_folder(target.slug)}"
    files = tree.blobs(path)
    try:
        line = tree.naming(base, path)
        naming = line or tree.naming_to_be(base, path)
    except InvalidFile:
        # Somebody broke a kustomization. Projects that are settled stay so, and one that has something to
        # push is told by the build gate.
        line = naming = Naming()
    if files is None:
        if line is None and naming == Naming():
            return Absent()
        return Known(ManifestsState(line=line is not None, prefix=naming.prefix, suffix=naming.suffix))
    # Of the others the ids say enough, and a thousand environments are eight thousand files.
    kustomization, claims = (
        tree.content(files[name]) if name in files else b"" for name in (KUSTOMIZATION, CLAIMS)
    )
    return Known(
        ManifestsState(
            files=files,
            whose=target.mark.whose(mark_in(kustomization)),
            claims=claims.decode("utf-8", "replace"),
            line=line is not None,
            prefix=naming.prefix,
            suffix=naming.suffix,
            plain=tree.holds_only(path, files),
            link=tree.behind_link(path),
        )
    )


def _conflict(target: Target[ProjectSpec], state: ManifestsState) -> Failed | None:
    folder = _folder(target.slug)
    if not state.plain:
        return Failed(
            f"{folder} holds a folder, a link or an executable file, which we did not write",
            remedy="put ordinary files in place of what its kustomization lists, and move all else "
            "out of the folder; it is wholly the reconciler's",
            conflict=True,
        )
    if foreign := sorted(state.files.keys() - all_files()):
        return Failed(
            f"{folder} holds {', '.join(foreign)}, which we did not write and would have to remove",
            remedy="move it out of the folder; the folder is wholly the reconciler's",
            conflict=True,
        )
    if state.files and not state.whose.ours and state.link:
        return Failed(
            f"{folder} is a link to {state.link}, which {state.whose.history}, by its marker",
            remedy="put an ordinary folder in the link's place, or choose another slug",
            conflict=True,
        )
    if state.files and not state.whose.ours and not target.spec.adopt:
        return Failed(
            f"git has a folder {folder} that {state.whose.history}, by the marker in {KUSTOMIZATION}",
            remedy="set adopt: true in the project file to have it overwritten, or choose another slug",
            conflict=True,
        )
    return None


def _change(
    target: Target[ProjectSpec],
    state: ManifestsState,
    inputs: Mapping[str, Json],
    wanted: Mapping[str, str] | None,
    grown: Sequence[str],
) -> Change:
    """Return the change; `wanted` None when the files cannot be rendered before an earlier change is made."""
    names = sorted({*state.files, *(wanted or {})})
    changed = [name for name in names if wanted is not None and state.files.get(name) != wanted.get(name)]
    action = Action.CREATE if not state.files else Action.UPDATE if state.whose.ours else Action.ADOPT
    what = f"{'take over' if action is Action.ADOPT else 'write'} {_folder(target.slug)}"
    parts = [f"{what} ({', '.join(changed)})" if state.files and changed else what]
    if not state.line:
        parts.append("list it in the kustomization above")
    if action is Action.ADOPT:
        parts.append("a StatefulSet already there must be deleted once, with --cascade=orphan")
    after: dict[str, Json] = {"inputs": inputs, "listed": True}
    if wanted is not None:
        after["files"] = {name: _short(wanted.get(name)) for name in changed}
    return Change(
        item=target.id,
        resource=Manifests.name,
        action=action,
        summary="; ".join([*parts, *grown]),
        before={"files": {name: _short(state.files.get(name)) for name in changed}, "listed": state.line},
        after=after,
    )


def _short(blob: str | None) -> str | None:
    return blob and blob[:12]
