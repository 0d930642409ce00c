"""Talking to a git server: its heads, a fetch, a push. The only place that meets libgit2's network errors.

`Remote.push` of libgit2 returns normally when the server refuses, asks for credentials for ever when they are
wrong, and overwrites a branch of a local path that moved meanwhile; all three are mended here.
docs/systems/git.md says how.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urlsplit

import pygit2
from pygit2.enums import CredentialType

from reconciler.git.clone import FETCHED, Damaged
from reconciler.git.copying import copy_objects
from reconciler.git.locations import Location
from reconciler.model.errors import Collision, Denied, Missing, SystemFault, Unavailable
from reconciler.settings.request_count import count

CONNECT_TIMEOUT = 10_000
TIMEOUT = 60_000
"""Milliseconds without a byte; a server's hooks may take their time."""
LOCK_ATTEMPTS = 10
LOCK_PAUSE = 0.02
"""Seconds."""
MOST_CREDENTIALS = 2
LONGEST_MESSAGE = 400

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_INVISIBLE = re.compile(r"[^\x20-\x7e\u00a0-\uffef]+")
_USER = re.compile(r"(?<=://)[^/@\s]+@")
_LOCKED = re.compile(
    r"\block(?:ed|s)? (?:ref|file)\b|\.lock\b|\b(?:failed to lock|is locked)\b", re.IGNORECASE
)
_UNLOCK = (
    "if this lasts, a process was ended in the middle of writing there: once none is at work, "
    "remove the file that is named, which ends in .lock"
)
_HALF_WRITTEN = (
    "the next pass tries again; if this lasts, a process was ended in the middle of writing there: "
    "look at it with `git -C {path} fsck`, and restore what is named"
)
_BRANCH_RULE = re.compile(
    r"protected branch|through a pull request|not allowed to push|read.only|archived|permission",
    re.IGNORECASE,
)
_ALLOW = "the reconciler's identity needs to be allowed to push to this branch"
_PROGRESS = re.compile(r"^(?:Resolving|Counting|Compressing|Receiving|Unpacking|Enumerating|Checking) ")


class Declined(Denied):
    """The server has looked at a commit and does not take it: for its branch, or for its content."""

    @property
    def by_rule_of_branch(self) -> bool:
        """Whether its words say that it would not take any other commit of ours on that branch, either."""
        return _BRANCH_RULE.search(self.message) is not None


@dataclass(frozen=True)
class Heads:
    """What a server has: commit by branch, and the branch that its HEAD names, if it says so."""

    branches: dict[str, str] = field(default_factory=dict)
    default: str | None = None


class Remote:
    """One repository's server."""

    def __init__(self, location: Location) -> None:
        self.location = location
        pygit2.settings.server_connect_timeout = CONNECT_TIMEOUT
        pygit2.settings.server_timeout = TIMEOUT

    def heads(self, clone: pygit2.Repository) -> Heads:
        """Ask for the branches: one round trip, no objects."""
        with self._errors("list", clone) as callbacks:
            found = self._remote(clone).list_heads(callbacks=callbacks, proxy=self._proxy)
        branches: dict[str, str] = {}
        default = None
        for head in found:
            if head.name is not None and head.name.startswith("refs/heads/"):
                branches[head.name.removeprefix("refs/heads/")] = str(head.oid)
            elif head.name == "HEAD" and head.symref_target:
                default = head.symref_target.removeprefix("refs/heads/")
        return Heads(branches, default)

    def fetch(self, clone: pygit2.Repository, branch: str) -> str:
        """Fetch a branch with its history, wherever it was before, and return its commit."""
        with self._errors("fetch", clone) as callbacks:
            refspec = f"+refs/heads/{branch}:{FETCHED}"
            self._remote(clone).fetch([refspec], callbacks=callbacks, proxy=self._proxy)
        found = clone.references.get(FETCHED)
        if found is None:
            raise Missing("git", f"branch {branch} is gone", remedy=f"check {self.location.section}.branch")
        return str(found.target)

    def push(self, clone: pygit2.Repository, commit: str, branch: str, parent: str) -> None:
        """Push a commit that follows `parent` (empty for a new branch), never by force.

        Collision when the branch moved on or is locked; Denied, with the server's words, when it refuses;
        Unavailable when there is no answer: then it may have arrived.
        """
        if path := self._local_path():
            self._push_local(clone, commit, branch, parent, path)
            return
        with self._errors("push", clone) as callbacks:
            refspec = f"{commit}:refs/heads/{branch}"
            self._remote(clone).push([refspec], callbacks=callbacks, proxy=self._proxy)
        if callbacks.refused is not None:
            said = self._clean(f"{callbacks.refused}\n{callbacks.said}")
            if _LOCKED.search(said) or "fetch first" in callbacks.refused:
                raise Collision("git", f"{branch} is being written by another: {said}", remedy=_UNLOCK)
            declined = Declined("git", f"the server refuses the push to {branch}: {said}", remedy=_ALLOW)
            if not declined.by_rule_of_branch:
                declined.remedy = f"{_ALLOW}, or what it refuses has to be mended"
            raise declined
        if not callbacks.accepted:
            raise Unavailable("git", "the server gave no answer to a push")

    def _push_local(self, clone: pygit2.Repository, commit: str, branch: str, parent: str, path: str) -> None:
        """Copy the objects, then move the branch under git's own lock, if it still is where it was."""
        name = f"refs/heads/{branch}"
        with self._errors("push", clone):
            target = pygit2.Repository(path)
            into = target.odb
            if parent and pygit2.Oid(hex=parent) not in into:
                raise Collision("git", f"{branch} was rewritten")
            copy_objects(clone, pygit2.Oid(hex=commit), target)
            with target.transaction() as transaction:
                _lock(transaction, name)
                present = target.references.get(name)
                if (str(present.target) if present else "") != parent:
                    raise Collision("git", f"{branch} moved on")
                transaction.set_target(name, commit, message="push")

    def _remote(self, clone: pygit2.Repository) -> pygit2.Remote:
        return clone.remotes.create_anonymous(self.location.address)

    @property
    def _proxy(self) -> Literal[True] | None:
        """Web addresses go through the proxy that the environment names, like every other client's."""
        return True if self.location.address.startswith("http") else None

    def _local_path(self) -> str | None:
        address = self.location.address
        if address.startswith("file://"):
            return unquote(urlsplit(address).path)
        return address if address.startswith("/") else None

    @contextmanager
    def _errors(self, doing: str, clone: pygit2.Repository) -> Iterator[_Callbacks]:
        callbacks = _Callbacks(self.location)
        count("git", f"{doing} {_USER.sub('', self.location.address)}")
        try:
            yield callbacks
        except KeyError as error:
            # libgit2 believes that a clone has all that its objects refer to, and fails where one is gone.
            raise Damaged("git", f"cannot {doing}: the local clone lacks an object") from error
        except (pygit2.GitError, ValueError, OSError) as error:
            raise self._fault(doing, str(error), clone.path) from error

    def _fault(self, doing: str, text: str, clone: str) -> SystemFault:
        said = f"cannot {doing}: {self._clean(text)}"
        section = self.location.section
        if os.strerror(errno.EMFILE) in text or clone.rstrip("/") in text:
            # Too many open files, and most are the clone's packs: thrown away as damaged, it frees them. And
            # what names a file of the clone is no word of the server's, whatever it reads like.
            return Damaged("git", said)
        if re.search(r"not present locally|non-?fast", text, re.IGNORECASE):
            return Collision("git", said)
        if _LOCKED.search(text):
            return Collision("git", said, remedy=_UNLOCK)
        if re.search(r"status code: 40[13]|authenticat|credential|permission denied", text, re.IGNORECASE):
            remedy = _ALLOW if doing == "push" else f"check {section}.token or .sshKey"
            return Denied("git", said, remedy=remedy)
        if re.search(
            r"status code: 404|no such file|resolve path|could not find|unsupported url", text, re.IGNORECASE
        ):
            if (path := self._local_path()) and "unsupported" in text:
                # libgit2 takes a path for an address when there is no repository at it.
                said = f"cannot {doing}: there is no repository at {path}"
            remedy = f"check {section}.repository, and that its identity may see it"
            return Missing("git", said, remedy=remedy)
        path = self._local_path()
        return Unavailable("git", said, remedy=_HALF_WRITTEN.format(path=path) if path else "")

    def _clean(self, text: str) -> str:
        """Return a server's words without escapes, progress, user names in URLs and our own credentials."""
        text = _USER.sub("", _ESCAPES.sub("", text))
        for secret in (self.location.token, self.location.ssh_key):
            if secret is not None and secret.get_secret_value():
                text = text.replace(secret.get_secret_value(), "…")
        lines = [_INVISIBLE.sub(" ", line).strip() for line in re.split(r"[\r\n]+", text)]
        return " ".join(line for line in lines if line and not _PROGRESS.match(line))[:LONGEST_MESSAGE]


def _lock(transaction: pygit2.transaction.ReferenceTransaction, name: str) -> None:
    """Lock a ref, as patiently as git itself: whoever writes has it for a moment only."""
    for _ in range(LOCK_ATTEMPTS):
        with suppress(pygit2.GitError):
            transaction.lock_ref(name)
            return
        time.sleep(LOCK_PAUSE)
    transaction.lock_ref(name)


class _Callbacks(pygit2.RemoteCallbacks):
    """What libgit2 asks and tells during one call."""

    def __init__(self, location: Location) -> None:
        super().__init__()
        self._location = location
        self._asked = 0
        self.accepted = False
        self.refused: str | None = None
        self.said = ""

    def credentials(
        self, url: str, username_from_url: str | None, allowed_types: CredentialType
    ) -> pygit2.UserPass | pygit2.KeypairFromMemory | pygit2.Username:
        """Answer from the settings; Denied when there are none, or when they were refused."""
        self._asked += 1
        location = self._location
        if self._asked > MOST_CREDENTIALS:
            remedy = f"check {location.section}.token or .sshKey"
            raise Denied("git", "the server refuses these credentials", remedy=remedy)
        if location.ssh_key is not None and allowed_types & CredentialType.SSH_MEMORY:
            user = username_from_url or "git"
            return pygit2.KeypairFromMemory(user, "", location.ssh_key.get_secret_value(), "")
        if location.ssh_key is not None and allowed_types & CredentialType.USERNAME:
            return pygit2.Username(username_from_url or "git")
        if location.token is not None and allowed_types & CredentialType.USERPASS_PLAINTEXT:
            return pygit2.UserPass(location.username, location.token.get_secret_value())
        remedy = f"set {location.section}.token, or .sshKey for an address with ssh"
        raise Denied("git", "the server asks for credentials, and none fit", remedy=remedy)

    def push_update_reference(self, refname: str, message: str | None) -> None:
        """Take the server's answer for the branch."""
        self.accepted = message is None
        self.refused = message

    def sideband_progress(self, string: str) -> None:
        """Keep what hooks say."""
        self.said = (self.said + string)[-4000:]
