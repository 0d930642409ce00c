"""What a project may wait for, the reason that counts first in front."""

from __future__ import annotations

from reconciler.model.decision import WaitingReason

MERGE = WaitingReason("waiting_merge", "a pull request in the project's repository waits", person=True)
SYNC = WaitingReason("waiting_sync", "Argo CD or the pod's build is not done", person=False)
AUTH = WaitingReason(
    "waiting_auth", "somebody has to log in ([docs/sealing.md](docs/sealing.md))", person=True
)

ARCHIVED = WaitingReason(
    "suspended",
    "`suspend: true` in its file, or its repository is archived: nothing is looked at, or changed",
    person=True,
)

WAITS = (ARCHIVED, MERGE, SYNC, AUTH)
