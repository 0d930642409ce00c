"""What the kind `project` shows of its resources, by the systems that they are in."""

from __future__ import annotations

import json

from reconciler.engine.cycle import Cycle
from reconciler.faces.sealed_entry import seal_for
from tests.kinds.project.evidence import (
    access,
    auth_service,
    board,
    deployed,
    gateway,
    recordings,
    registry,
    repository,
    vault,
)
from tests.kinds.project.evidence.item import owner_of, slug_of
from tests.support.evidence import Evidence
from tests.support.systems import Systems

SAMPLE = """\
repoOwner: %s
repoName: %s
displayName: Gears & %s
resourceLimits: {memoryLimit: 12Gi}
litellm: {maxBudget: 12, defaultModel: claude}
settings: {cloudflareDomain: dev.example.org, terminalStreamingRate: 100}
"""
TOKENS = json.dumps({"accessToken": "a", "refreshToken": "b", "expiresAt": 1_900_000_000_000}).encode()


def _log_in(systems: Systems, cycle: Cycle, name: str) -> None:
    seal_for(cycle, f"project/{slug_of(name)}", TOKENS, only_print=False)


def _pause_argocd(systems: Systems) -> None:
    # Otherwise its poll may be faster than we are to ask it to look.
    systems.sandbox.emulator("argocd", "POST", "/_emulator/set", {"paused": True})


def _skip(systems: Systems) -> None:
    systems.sandbox.emulator("argocd", "POST", "/_emulator/skip", {"seconds": 3})


EVIDENCE = Evidence(
    sample=lambda name: SAMPLE % (owner_of(name), name, name),
    slug=slug_of,
    resources={
        **repository.SHOWN,
        **board.SHOWN,
        **access.SHOWN,
        **vault.SHOWN,
        **registry.SHOWN,
        **recordings.SHOWN,
        **deployed.SHOWN,
        **gateway.SHOWN,
        **auth_service.SHOWN,
    },
    people=_log_in,
    prepare=_pause_argocd,
    time_passes=_skip,
)
