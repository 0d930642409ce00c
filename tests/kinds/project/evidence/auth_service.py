"""Evidence of the project's entry at the auth-service, and of its credentials there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.kinds.project.evidence.item import another, made, slug_of
from tests.kinds.project.evidence.vault import LOGINS, told
from tests.support.evidence import Look, Neighbour, Rival, Shown
from tests.support.systems import Door, Systems

AUTH_SERVICE = Door("AUTH_SERVICE_URL", "AUTH_SERVICE_TOKEN")


def _entries(systems: Systems, name: str) -> Any:
    return [
        {key: entry.get(key) for key in ("id", "displayName", "settingsJson")}
        for slug, entry in systems.store("auth-service").items("auth_projects")
        if slug.startswith(slug_of(name))
    ]


def _make_entry(systems: Systems, slug: str) -> None:
    body = {"id": slug, "displayName": "theirs", "settingsJson": json.dumps({"theirs": True})}
    systems.ask(AUTH_SERVICE, "POST", "/projects", body)


def _their_entry(systems: Systems, name: str) -> Look:
    _make_entry(systems, slug_of(name))
    return lambda: systems.store("auth-service").get("auth_projects", slug_of(name))


def _credentials(systems: Systems, name: str) -> Any:
    kept = (systems.store("auth-service").get("auth_credentials", slug_of(name)) or {"all": []})["all"]
    # Those before are kept as a record; a push repeated after a kill takes the place of its first.
    # What is over and cannot be renewed logs nobody in: it is how a login is put an end to.
    valid = [
        each
        for each in kept
        if "invalidatedAt" not in each and (each.get("refreshToken") or each["expiresAt"] > "2001")
    ]
    return [[each["accessToken"], each.get("refreshToken"), each["expiresAt"]] for each in valid]


def _totals(systems: Systems) -> Mapping[str, int]:
    kept = systems.store("auth-service").items("auth_credentials")
    return {"credentials": sum(len(each["all"]) for _, each in kept)}


def _push(systems: Systems, slug: str) -> None:
    token = another()
    body = {"accessToken": token, "refreshToken": token, "expiresAt": "2100-01-01T00:00:00Z"}
    systems.ask(AUTH_SERVICE, "POST", f"/projects/{slug}/credentials", body)


def _neighbour(name: str) -> str:
    return f"theirs-{slug_of(name)}"


def _their_credentials(systems: Systems, name: str) -> Look:
    _make_entry(systems, _neighbour(name))
    _push(systems, _neighbour(name))
    return lambda: systems.store("auth-service").get("auth_credentials", _neighbour(name))


SHOWN: Mapping[str, Shown] = {
    "settings": Shown(
        made=made(
            {"auth-service": _entries},
            lambda systems: {"entries": sum(1 for _ in systems.store("auth-service").items("auth_projects"))},
            {"entries": 1},
        ),
        foreign=Rival(_their_entry),
        more=lambda systems, name: _make_entry(systems, f"{slug_of(name)}-{another()}"),
        take_away=lambda systems, name: systems.store("auth-service").delete("auth_projects", slug_of(name)),
        left="the entry, marked as free, since no request deletes one",
    ),
    "credentials": Shown(
        made=made(
            # It takes out of Vault what it hands over.
            {
                "auth-service": _credentials,
                "vault": lambda systems, name: told(systems, LOGINS, slug_of(name)),
            },
            _totals,
            {"credentials": 1},
        ),
        foreign=Neighbour(
            no_rival="credentials have no name of their own; whose entry they are in is asked by `settings`",
            plant=_their_credentials,
            overwrite=lambda systems, name: _push(systems, _neighbour(name)),
        ),
        more=lambda systems, name: _push(systems, slug_of(name)),
        take_away=lambda systems, name: systems.store("auth-service").delete(
            "auth_credentials", slug_of(name)
        ),
        left="the record of credentials that were set aside, since no request deletes any",
    ),
}
