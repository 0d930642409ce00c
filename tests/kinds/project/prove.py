"""How the kind `project` is proven."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.kinds.project.evidence.access import copy_receivers_secret
from tests.kinds.project.evidence.item import neutral, owner_of, slug_of
from tests.prove.declared import Provable, Scenario, leaving
from tests.prove.world import World
from tests.support.systems import Systems

CHANGED = """\
repoOwner: %s
repoName: %s
displayName: Another name
resourceLimits: {memoryLimit: 16Gi}
litellm: {maxBudget: 24, defaultModel: claude}
settings: {cloudflareDomain: dev.example.net, terminalStreamingRate: 50}
"""


def _protect(world: World, names: Sequence[str]) -> None:
    world.write(names)
    for name in names:
        path = f"/_emulator/repositories/{owner_of(name)}/{name}"
        world.sandbox.emulator("github", "PATCH", path, {"protection": "ruleset"})


def _run(systems: Systems, name: str) -> Any:
    rows = systems.rows(
        "SELECT * FROM onboarding_runs WHERE id = %s OR repo_name = %s",
        slug_of(name),
        f"{owner_of(name)}/{name}",
    )
    kept = [
        {key: value for key, value in row.items() if not key.endswith("_at") and key != "id"} for row in rows
    ]
    return neutral(systems, name, kept)


def _totals(systems: Systems) -> Mapping[str, int]:
    (runs,) = systems.rows("SELECT count(*) FROM onboarding_runs")
    return {"runs": runs["count"]}


def _secrets(systems: Systems) -> Mapping[str, str]:
    return dict([*_in_vault(systems), *_at_the_auth_service(systems)])


def _in_vault(systems: Systems) -> Iterator[tuple[str, str]]:
    for folder in ("webhooks", "envs", "oauth"):
        for name in systems.secret_names(f"mesh-six/{folder}"):
            found = systems.secret(f"mesh-six/{folder}/{name}")
            for key, value in (found[0] if found else {}).items():
                yield f"mesh-six/{folder}/{name} {key}", value


def _at_the_auth_service(systems: Systems) -> Iterator[tuple[str, str]]:
    for slug, kept in systems.store("auth-service").items("auth_credentials"):
        for each in kept["all"]:
            for key in ("accessToken", "refreshToken"):
                yield f"{slug} {key}", each[key]


PROVE = Provable(
    scenarios=(
        Scenario("onboarding", "waiting_auth", lambda world, names: world.write(names)),
        Scenario("protected branch", "waiting_merge", _protect),
        Scenario("login", "completed", lambda world, names: world.help(names), after="onboarding"),
        Scenario("change", "completed", lambda world, names: world.change(names), after="login"),
        *leaving(after="change", back="completed"),
    ),
    changed=lambda name: CHANGED % (owner_of(name), name),
    prepare=copy_receivers_secret,
    more=_run,
    totals=_totals,
    # Tokens that were handed over when a pass was killed are handed over again, and the first are kept.
    uncounted=frozenset({"credentials"}),
    secrets=_secrets,
    words=lambda name: (f"{owner_of(name)}/{name}", slug_of(name), owner_of(name), name),
)
