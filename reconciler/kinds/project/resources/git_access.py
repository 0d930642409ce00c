"""The environment's access to its repository: a deploy key, whose private half is in Vault only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import SecretStr

from reconciler.clients.github import DeployKey, GitHub, GitHubRepository, GitHubWriter
from reconciler.clients.vault import Vault, VaultSecret, VaultWriter
from reconciler.crypto import ssh_keys
from reconciler.engine.contract import Orphan, Owners, Resource, Target
from reconciler.engine.one_by_one import read_each
from reconciler.kinds.parts.vault_secret import marked_secrets
from reconciler.kinds.project import vault_paths
from reconciler.kinds.project.resources.repository_reads import (
    own_repository,
    read_repositories,
    repository_of,
)
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.model.decision import Action, Applied, Change, Decision, Failed, Needed, Settled
from reconciler.model.errors import Rejected
from reconciler.model.json import Object
from reconciler.model.mark import Whose
from reconciler.model.observation import Absent, Known, Observation, Remembered, Seen, State, Unknown
from reconciler.model.removal import OnRemove
from reconciler.settings.giving import Reading, Writing

PRIVATE_KEY = "privateKey"
PUBLIC_KEY = "public-key"


class GitAccessState(State):
    """What is in Vault, and whether GitHub knows its public half.

    `public_key` None: what is in Vault is no private key. `others`: further deploy keys of our title. `lost`:
    the one that we made before is among them, and its private half is not in Vault any more.
    """

    public_key: str | None
    whose: Whose = Whose.OURS
    registered: Literal["no", "read-only", "read-write"] = "no"
    others: int = 0
    lost: bool = False


class GitAccess(Resource[ProjectSpec, GitAccessState]):
    """A deploy key titled `mesh-six env <slug>` that may push, its private half first in Vault.

    Never changes or deletes a deploy key of another title, nor one of our title that our status file does
    not remember; never overwrites a private key. One key it does delete: the remembered one of a private half
    that is lost, once its successor is in Vault and on GitHub. Nobody has a right use for that key any more,
    and it may push.
    """

    name: ClassVar[str] = "git-access"
    phase: ClassVar[str] = "initialization"
    system: ClassVar[str] = "GitHub"
    state: ClassVar[type[State]] = GitAccessState
    needs: ClassVar[tuple[str, ...]] = ("validate-repo",)
    provides: ClassVar[tuple[str, ...]] = ("publicKey",)
    audited: ClassVar[bool] = True
    on_remove: ClassVar[tuple[OnRemove, ...]] = (OnRemove.DELETE,)

    def observe(
        self, targets: Sequence[Target[ProjectSpec]], read: Reading
    ) -> Mapping[str, Observation[GitAccessState]]:
        """Compare the list of Vault's names with GitHub's keys; read a secret only when these do not fit."""
        stored = read.get(Vault).names(vault_paths.ENVIRONMENTS)
        there, missing = read_repositories(targets, read)
        seen: dict[str, Observation[GitAccessState]] = {**missing}
        due: list[Target[ProjectSpec]] = []
        for target in targets:
            present = secret_name(target.slug) in stored
            if target.leaving and target.slug in missing and present:
                # The private half is there still, though the repository is not.
                if isinstance(missing[target.slug], Absent):
                    seen[target.slug] = Known(GitAccessState(public_key=None))
                continue
            if target.slug not in there:
                continue
            if known := _told(target, there[target.slug], present=present):
                seen[target.slug] = known
            else:
                due.append(target)
        return seen | read_each(due, read, lambda target: _look(target, there[target.slug], read))

    def plan(
        self, target: Target[ProjectSpec], seen: Seen[GitAccessState], outputs: Mapping[str, Object]
    ) -> Decision:
        """Return the public key, or the change that makes or registers it."""
        after: Object = {"deployKey": title(target.slug), "vault": path(target.slug)}
        if isinstance(seen, Absent):
            summary = "make a deploy key: private half in Vault, public half on GitHub"
            return Needed(Change(target.id, self.name, Action.CREATE, summary, after=after))
        state = seen.state
        if wrong := _wrong(target, state):
            return wrong
        if state.whose is not Whose.OURS:
            # One that was marked before marks had a proof is ours already, and only gets its mark anew.
            action, summary = (
                (Action.UPDATE, "renew the mark of the private key in Vault")
                if state.whose.ours
                else (Action.ADOPT, "adopt the private key in Vault and register its public half")
            )
            change = Change(target.id, self.name, action, summary, after=after)
            return Needed(change, {"publicKey": state.public_key})
        if state.registered == "no":
            summary = "register the public half of the key in Vault on GitHub"
            before: Object = {"vault": path(target.slug)}
            change = Change(target.id, self.name, Action.UPDATE, summary, before, after)
            return Needed(change, {"publicKey": state.public_key})
        if state.lost:
            summary = "remove the deploy key from GitHub whose private half is lost"
            change = Change(target.id, self.name, Action.UPDATE, summary, after=after)
            return Needed(change, {"publicKey": state.public_key})
        note = ""
        if state.others:
            note = (
                f"{state.others} more deploy key(s) are titled {title(target.slug)}: remove what nobody uses"
            )
        return Settled({"publicKey": state.public_key}, note=note)

    def apply(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Vault first, then GitHub; each step looks before it writes."""
        vault, github = write.get(VaultWriter), write.get(GitHubWriter)
        full_name = repository_of(target, github).full_name
        registered = github.deploy_keys(full_name)
        secret = vault.read(path(target.slug))
        if secret is None:
            public = _make(target, vault)
        else:
            public = ssh_keys.public_half(_private(secret))
            whose = target.mark.whose(secret.metadata)
            if whose is not Whose.OURS:
                if not whose.ours and not target.spec.adopt:
                    return _conflict(target, whose)
                vault.annotate(path(target.slug), {**target.mark.words(), PUBLIC_KEY: public})
        if not any(_same(key, public) for key in registered):
            github.create_deploy_key(full_name, title=title(target.slug), key=public)
        for key in registered:
            if key.number is not None and _is_lost(target, key, public):
                github.delete_deploy_key(full_name, key.number)
        return Settled({"publicKey": public})

    def plan_removal(
        self, target: Target[ProjectSpec], seen: Seen[GitAccessState], wish: OnRemove
    ) -> Decision:
        """Take the deploy key from GitHub at once, and in the end the private half from Vault.

        Until then it can be registered again, and whoever has the private half can do nothing with it.
        """
        if isinstance(seen, Absent):
            return Settled()
        state = seen.state
        if not state.whose.ours:
            return Settled(note=f"the key at {path(target.slug)} is not ours, and stays")
        if state.registered != "no" or state.lost:
            before: Object = {"deployKey": title(target.slug)}
            action = Action.DISABLE if wish is OnRemove.DISABLE else Action.DELETE
            summary = "remove the deploy key from GitHub"
            return Needed(Change(target.id, self.name, action, summary, before))
        if wish is OnRemove.DISABLE:
            return Settled({"publicKey": state.public_key} if state.public_key else target.remembered)
        summary = f"delete the private key at {path(target.slug)} with all its versions"
        change = Change(
            target.id, self.name, Action.DELETE, summary, {"vault": path(target.slug)}, {"vault": None}
        )
        return Needed(change)

    def apply_removal(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Take the key from GitHub first; only then is the private half deleted, if it is to be."""
        vault, github = write.get(VaultWriter), write.get(GitHubWriter)
        secret = vault.read(path(target.slug))
        if secret is not None and not target.mark.whose(secret.metadata).ours:
            return Settled(note=f"the key at {path(target.slug)} is not ours, and stays")
        public = secret.metadata.get(PUBLIC_KEY, "") if secret else ""
        if repository := own_repository(target, github):
            for key in github.deploy_keys(repository.full_name):
                ours = _same(key, public)
                if key.number is not None and (ours or _is_lost(target, key, public)):
                    github.delete_deploy_key(repository.full_name, key.number)
        if change.action is Action.DISABLE:
            return Settled({"publicKey": public})
        known = vault.metadata(path(target.slug))
        if known is not None and target.mark.whose(known.metadata).ours:
            vault.delete(path(target.slug))
        return Settled()

    def orphans(self, owners: Owners, read: Reading) -> Sequence[Orphan]:
        """Look at the private keys that are named after no item; GitHub lists no keys by their titles."""
        vault = read.get(Vault)
        ours = [name for name in vault.names(vault_paths.ENVIRONMENTS) if name.endswith(".git-access")]
        suspects = [name for name in ours if name.removesuffix(".git-access") not in owners.proofs]
        return marked_secrets(self.name, owners, vault, vault_paths.ENVIRONMENTS, suspects)


def title(slug: str) -> str:
    """Return the deploy key's title."""
    return f"mesh-six env {slug}"


def secret_name(slug: str) -> str:
    """Return the secret's name among those of the environments."""
    return f"{slug}.git-access"


def path(slug: str) -> str:
    """Return the private key's path in Vault."""
    return f"{vault_paths.ENVIRONMENTS}/{secret_name(slug)}"


def _told(
    target: Target[ProjectSpec], repository: GitHubRepository, *, present: bool
) -> Observation[GitAccessState] | None:
    """Return what the reads of all say; None when something has to be read for this one alone."""
    if "deployKeys" in repository.unread:
        return Unknown("GitHub did not tell the deploy keys", "the token or App needs administration: read")
    if not present:
        state = _state(target, repository.deploy_keys, "", Whose.OURS) if target.leaving else None
        return Known(state) if state and state.lost else Absent()
    return None if repository.more_deploy_keys else _remembered(target, repository.deploy_keys)


def _look(
    target: Target[ProjectSpec], repository: GitHubRepository, read: Reading
) -> Observation[GitAccessState]:
    keys = repository.deploy_keys
    if repository.more_deploy_keys:
        keys = read.get(GitHub).deploy_keys(repository.full_name)
        if known := _remembered(target, keys):
            return known
    secret = read.get(Vault).read(path(target.slug))
    if secret is None:
        return Absent()
    try:
        public: str | None = ssh_keys.public_half(_private(secret))
    except Rejected:
        public = None
    return Known(_state(target, keys, public, target.mark.whose(secret.metadata)))


def _remembered(target: Target[ProjectSpec], keys: Sequence[DeployKey]) -> Remembered[GitAccessState] | None:
    public = target.remembered.get("publicKey")
    if target.verify or not isinstance(public, str):
        return None
    state = _state(target, keys, public, Whose.OURS)
    wanted = "no" if target.leaving else "read-write"
    return Remembered(state, target.verified_at) if state.registered == wanted else None


def _state(
    target: Target[ProjectSpec], keys: Sequence[DeployKey], public: str | None, whose: Whose
) -> GitAccessState:
    ours = [key for key in keys if public is not None and _same(key, public)]
    others = [key for key in keys if key.title == title(target.slug) and key not in ours]
    registered: Literal["no", "read-only", "read-write"] = "no"
    if ours:
        registered = "read-only" if all(key.read_only for key in ours) else "read-write"
    return GitAccessState(
        public_key=public,
        whose=whose,
        registered=registered,
        others=len(others),
        lost=public is not None and any(_is_lost(target, key, public) for key in others),
    )


def _wrong(target: Target[ProjectSpec], state: GitAccessState) -> Failed | None:
    if not state.whose.ours and not target.spec.adopt:
        return _conflict(target, state.whose)
    if state.public_key is None:
        return Failed(
            f"Vault's {path(target.slug)} holds no private key in OpenSSH's format under {PRIVATE_KEY}",
            remedy="put the key back, or delete the secret to have a new key made",
        )
    if state.registered == "read-only":
        return Failed(
            "GitHub has our deploy key without the right to push",
            remedy=f"remove the deploy key titled {title(target.slug)}; the next pass registers it anew",
        )
    return None


def _conflict(target: Target[ProjectSpec], whose: Whose) -> Failed:
    return Failed(
        f"Vault has a key at {path(target.slug)} that {whose.history}",
        remedy="write adopt: true to use that key, or delete the secret to have one made",
        conflict=True,
    )


def _is_lost(target: Target[ProjectSpec], key: DeployKey, public: str) -> bool:
    """Tell whether it is the key that we made before this one; it has our title, in the item's repository."""
    made_before = key.key == target.remembered.get("publicKey") and not _same(key, public)
    return made_before and key.title == title(target.slug)


def _make(target: Target[ProjectSpec], vault: VaultWriter) -> str:
    pair = ssh_keys.generate()
    marks = {**target.mark.words(), PUBLIC_KEY: pair.public}
    vault.write(path(target.slug), {PRIVATE_KEY: pair.private}, cas=0, metadata=marks)
    return pair.public


def _private(secret: VaultSecret) -> SecretStr:
    return secret.data.get(PRIVATE_KEY, SecretStr(""))


def _same(key: DeployKey, public: str) -> bool:
    return bool(public) and key.key.split()[:2] == public.split()[:2]
