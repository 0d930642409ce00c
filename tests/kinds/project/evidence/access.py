"""Evidence of what GitHub and Vault hold together: the webhook with its secret, the deploy key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from reconciler.crypto import ssh_keys
from reconciler.kinds import KINDS
from reconciler.model.mark import Mark
from tests.kinds.project.evidence.item import another, made, number_of, owner_of, slug_of
from tests.kinds.project.evidence.repository import GITHUB
from tests.kinds.project.evidence.vault import ENVIRONMENTS, WEBHOOKS, told, write
from tests.support.evidence import Look, Neighbour, Rival, Shown
from tests.support.systems import Systems

THEIR_URL = "https://theirs.example/hook"


def _of_repository(systems: Systems, name: str, collection: str) -> list[tuple[str, dict[str, Any]]]:
    return list(systems.store("github").items(f"github.{collection}", f"{number_of(systems, name)}/"))


def _count(systems: Systems, collection: str) -> int:
    return sum(1 for _ in systems.store("github").items(f"github.{collection}"))


# -- webhook ---------------------------------------------------------------------------------------


def _hooks(systems: Systems, name: str) -> Any:
    found = systems.secret(f"{WEBHOOKS}/{slug_of(name)}")
    secret = found[0].get("secret") if found else None
    return [
        {
            **{key: hook[key] for key in ("events", "active")},
            **{key: hook["config"].get(key) for key in ("url", "content_type", "insecure_ssl")},
            "uses the secret in Vault": hook["config"].get("secret") == secret,
        }
        for _, hook in _of_repository(systems, name, "hooks")
    ]


def _note(systems: Systems, name: str) -> Any:
    """Return whether Vault has noted which webhook uses the secret."""
    found = systems.secret(f"{WEBHOOKS}/{slug_of(name)}")
    noted = str((found[1]["custom_metadata"] or {}).get("webhook", "")) if found else ""
    return [noted.startswith(f"{hook['id']}: ") for _, hook in _of_repository(systems, name, "hooks")]


def _create_hook(systems: Systems, name: str, url: str = "") -> int:
    config = {"url": url or f"https://{another()}.example/hook", "content_type": "json"}
    body = {"name": "web", "active": True, "events": ["push"], "config": config}
    answer = systems.ask(GITHUB, "POST", f"/repos/{owner_of(name)}/{name}/hooks", body)
    return int(answer["id"])


def _their_hook(systems: Systems, name: str) -> Look:
    _create_hook(systems, name, THEIR_URL)
    return lambda: [
        {key: value for key, value in hook.items() if key != "lastResponse"}
        for _, hook in _of_repository(systems, name, "hooks")
        if hook["config"]["url"].startswith(THEIR_URL)
    ]


def _overwrite_hook(systems: Systems, name: str) -> None:
    for _, hook in _of_repository(systems, name, "hooks"):
        if hook["config"]["url"] == THEIR_URL:
            body = {"active": False}
            systems.ask(GITHUB, "PATCH", f"/repos/{owner_of(name)}/{name}/hooks/{hook['id']}", body)


def _delete_all(systems: Systems, name: str, collection: str) -> None:
    for key, _ in _of_repository(systems, name, collection):
        systems.store("github").delete(f"github.{collection}", key)


# -- organization-webhook --------------------------------------------------------------------------


RECEIVER = f"{WEBHOOKS}/@@receiver"


def _organization(systems: Systems, name: str) -> str:
    found = systems.store("github").get("github.owners", owner_of(name))
    assert found is not None
    return f"org-{found['id']}/"


def _organizations_hooks(systems: Systems) -> int:
    return sum(1 for _ in systems.store("github").items("github.hooks", "org-"))


def _of_organization(systems: Systems, name: str) -> Any:
    found = systems.secret(RECEIVER)
    copy = found[0].get("secret") if found else None
    return [
        {
            **{key: hook[key] for key in ("events", "active")},
            **{key: hook["config"].get(key) for key in ("url", "content_type", "insecure_ssl")},
            "uses the secret whose copy is in Vault": hook["config"].get("secret") == copy,
        }
        for _, hook in systems.store("github").items("github.hooks", _organization(systems, name))
    ]


def copy_receivers_secret(systems: Systems) -> None:
    """Have Vault hold what the first project of an installation makes, and all others find."""
    secret = KINDS.sandbox_settings["webhook"]["organizationSecret"]
    kv = systems.vault.secrets.kv.v2
    kv.create_or_update_secret(RECEIVER, {"secret": secret})
    kv.update_metadata(RECEIVER, custom_metadata=Mark("secret-of", "webhook-receiver").words())


def _noted(systems: Systems, name: str) -> Any:
    """Return whether Vault has noted which webhook of the organization has which version of the secret."""
    path = f"{WEBHOOKS}/@{owner_of(name)}"
    if path.rpartition("/")[2] not in systems.secret_names(WEBHOOKS):
        return None
    about = systems.vault.secrets.kv.v2.read_secret_metadata(path)["data"]
    words = dict(about["custom_metadata"] or {})
    hooks = systems.store("github").items("github.hooks", _organization(systems, name))
    noted = words.pop("webhook", "")
    return {"marks": words, "noted": [noted.startswith(f"{hook['id']}: ") for _, hook in hooks]}


def _hook_of_organization(systems: Systems, name: str, url: str) -> None:
    body = {"name": "web", "active": True, "events": ["team"], "config": {"url": url, "content_type": "json"}}
    systems.ask(GITHUB, "POST", f"/orgs/{owner_of(name)}/hooks", body)


def _their_organization_hook(systems: Systems, name: str) -> Look:
    _hook_of_organization(systems, name, THEIR_URL)
    return lambda: [
        {key: value for key, value in hook.items() if key != "lastResponse"}
        for _, hook in systems.store("github").items("github.hooks", _organization(systems, name))
        if hook["config"]["url"].startswith(THEIR_URL)
    ]


def _overwrite_organization_hook(systems: Systems, name: str) -> None:
    for _, hook in systems.store("github").items("github.hooks", _organization(systems, name)):
        if hook["config"]["url"] == THEIR_URL:
            body = {"active": False}
            systems.ask(GITHUB, "PATCH", f"/orgs/{owner_of(name)}/hooks/{hook['id']}", body)


def _delete_organization_hooks(systems: Systems, name: str) -> None:
    github = systems.store("github")
    for key, _ in list(github.items("github.hooks", _organization(systems, name))):
        github.delete("github.hooks", key)


# -- git-access ------------------------------------------------------------------------------------


def _private_key(name: str) -> str:
    return f"{ENVIRONMENTS}/{slug_of(name)}.git-access"


def _deploy_keys(systems: Systems, name: str) -> Any:
    found = systems.secret(_private_key(name))
    private = found[0].get("privateKey") if found else None
    public = ssh_keys.public_half(SecretStr(private)).split()[:2] if private else None
    return [
        {
            "title": key["title"],
            "read only": key["readOnly"],
            "is the one in Vault": key["key"].split()[:2] == public,
        }
        for _, key in _of_repository(systems, name, "deploy-keys")
    ]


def _their_key(systems: Systems, name: str) -> Look:
    private = ssh_keys.generate().private.get_secret_value()
    write(systems, _private_key(name), privateKey=private)
    return lambda: systems.secret(_private_key(name))


def _add_key(systems: Systems, name: str) -> None:
    body = {"title": another(), "key": ssh_keys.generate().public, "read_only": True}
    systems.ask(GITHUB, "POST", f"/repos/{owner_of(name)}/{name}/keys", body)


SHOWN: Mapping[str, Shown] = {
    "webhook": Shown(
        made=made(
            {"github": _hooks, "vault": _note},
            lambda systems: {"hooks": _count(systems, "hooks") - _organizations_hooks(systems)},
            {"hooks": 1},
        ),
        foreign=Neighbour(
            no_rival="a webhook's URL is its identity: whatever calls mesh-six's receiver is mesh-six's",
            plant=_their_hook,
            overwrite=_overwrite_hook,
        ),
        more=lambda systems, name: (_create_hook(systems, name), None)[1],
        take_away=lambda systems, name: _delete_all(systems, name, "hooks"),
    ),
    "organization-webhook": Shown(
        made=made(
            {"github": _of_organization, "vault": _noted},
            lambda systems: {
                "organizations' hooks": _organizations_hooks(systems),
                "notes": sum(bool(re.match("@[^@]", each)) for each in systems.secret_names(WEBHOOKS)),
            },
            {"organizations' hooks": 1, "notes": 1},
        ),
        foreign=Neighbour(
            no_rival="a webhook's URL is its identity: whatever calls mesh-six's receiver is mesh-six's",
            plant=_their_organization_hook,
            overwrite=_overwrite_organization_hook,
        ),
        more=lambda systems, name: _hook_of_organization(systems, name, f"https://{another()}.example/hook"),
        take_away=_delete_organization_hooks,
    ),
    "git-access": Shown(
        made=made(
            {
                "github": _deploy_keys,
                "vault": lambda systems, name: told(systems, ENVIRONMENTS, slug_of(name), ".git-access"),
            },
            lambda systems: {
                "deploy keys": _count(systems, "deploy-keys"),
                "private keys": sum(
                    not each.endswith(".llm-key") for each in systems.secret_names(ENVIRONMENTS)
                ),
            },
            {"deploy keys": 1, "private keys": 1},
        ),
        foreign=Rival(_their_key),
        more=_add_key,
        take_away=lambda systems, name: _delete_all(systems, name, "deploy-keys"),
    ),
}
