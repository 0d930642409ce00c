"""Evidence of what is in Vault alone: generated secrets, and a login on its way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.kinds.project.evidence.item import another, edit_status, made, slug_of
from tests.support.evidence import Look, Rival, Shown
from tests.support.systems import Systems

WEBHOOKS, ENVIRONMENTS, LOGINS = "mesh-six/webhooks", "mesh-six/envs", "mesh-six/oauth"
_POINTERS = {"public-key", "webhook"}
"""Metadata that say which other thing belongs to the secret, which is told where that thing is."""


def told(systems: Systems, folder: str, slug: str, ending: str = "") -> Any:
    """Describe the secrets of one sort that are a project's by their name."""
    return {
        name: _described(systems.secret(f"{folder}/{name}"))
        for name in systems.secret_names(folder)
        if name.startswith(slug) and name.endswith(ending)
    }


def _with_data(systems: Systems, folder: str) -> int:
    found = [systems.secret(f"{folder}/{name}") for name in systems.secret_names(folder)]
    return sum(1 for each in found if each and each[1]["versions"])


def write(systems: Systems, path: str, **data: str) -> None:
    """Write a secret as somebody else would: without our marks."""
    systems.vault_front.secrets.kv.v2.create_or_update_secret(path, data)


def forget(systems: Systems, path: str) -> None:
    """Delete a secret with all that is known of it."""
    systems.vault.secrets.kv.v2.delete_metadata_and_all_versions(path)


def _described(found: tuple[dict[str, str], dict[str, Any]] | None) -> Any:
    if found is None:
        return None
    data, about = found
    marks = {key: value for key, value in (about["custom_metadata"] or {}).items() if key not in _POINTERS}
    return {"keys": sorted(data), "versions": len(about["versions"]), "marks": marks}


def _planted(path: Callable[[str], str], **data: str) -> Callable[[Systems, str], Look]:
    def plant(systems: Systems, name: str) -> Look:
        write(systems, path(name), **data)
        return lambda: systems.secret(path(name))

    return plant


def _webhook(name: str) -> str:
    return f"{WEBHOOKS}/{slug_of(name)}"


def _llm_key(name: str) -> str:
    return f"{ENVIRONMENTS}/{slug_of(name)}.llm-key"


def _login(name: str) -> str:
    return f"{LOGINS}/{slug_of(name)}"


def _forget_login(systems: Systems, name: str) -> None:
    """Take the login from where it went, and from the status file, which would else vouch for it."""

    def edit(document: dict[str, Any]) -> None:
        del document["oauth"]
        del document["resources"]["oauth"]["outputs"]

    systems.store("auth-service").delete("auth_credentials", slug_of(name))
    edit_status(systems, name, edit)


SHOWN: Mapping[str, Shown] = {
    "webhook-secret": Shown(
        made=made(
            {"vault": lambda systems, name: told(systems, WEBHOOKS, slug_of(name))},
            lambda systems: {
                # The others are copies of organizations' secrets.
                "webhook secrets": sum(not each.startswith("@") for each in systems.secret_names(WEBHOOKS))
            },
            {"webhook secrets": 1},
        ),
        foreign=Rival(_planted(_webhook, secret="x" * 40)),
        more=lambda systems, name: write(systems, f"{_webhook(name)}-{another()}", secret="x" * 40),
        take_away=lambda systems, name: forget(systems, _webhook(name)),
    ),
    "llm-key": Shown(
        made=made(
            {"vault": lambda systems, name: told(systems, ENVIRONMENTS, slug_of(name), ".llm-key")},
            lambda systems: {
                "llm keys": sum(each.endswith(".llm-key") for each in systems.secret_names(ENVIRONMENTS))
            },
            {"llm keys": 1},
        ),
        foreign=Rival(_planted(_llm_key, key="sk-" + "x" * 40)),
        more=lambda systems, name: write(
            systems, f"{ENVIRONMENTS}/{slug_of(name)}-{another()}.llm-key", key="sk-" + "x" * 40
        ),
        take_away=lambda systems, name: forget(systems, _llm_key(name)),
    ),
    "oauth": Shown(
        made=made(
            {"vault": lambda systems, name: told(systems, LOGINS, slug_of(name))},
            # None is left of a settled project: `credentials` has handed it over. What stays says which
            # request was served, and has no data.
            lambda systems: {"logins": _with_data(systems, LOGINS)},
        ),
        foreign=Rival(_planted(_login, note="ours, keep off")),
        more=lambda systems, name: write(systems, f"{_login(name)}-{another()}", accessToken="x"),
        take_away=_forget_login,
    ),
}
