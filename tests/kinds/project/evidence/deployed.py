"""Evidence of the environment: its manifests in git, and what Argo CD makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import httpx
import pygit2

from tests.kinds.project.evidence.item import another, made, slug_of
from tests.support.evidence import Look, MakesNothing, Neighbour, Rival, Shown
from tests.support.systems import GIT, Door, Systems

ARGOCD = Door("ARGOCD_SERVER", "ARGOCD_AUTH_TOKEN")
APPLICATION = "/api/v1/applications/mesh-six"
BASE = "k8s/base"
KUSTOMIZATION = f"{BASE}/kustomization.yaml"


def _environment(name: str) -> str:
    return f"env-{slug_of(name)}"


def _folder(name: str) -> str:
    return f"{BASE}/envs/{slug_of(name)}"


def _tree(systems: Systems, path: str, revision: str = "main") -> pygit2.Tree | None:
    try:
        found = systems.manifests.revparse_single(f"{revision}:{path}")
    except KeyError:
        return None
    return found if isinstance(found, pygit2.Tree) else None


def _kustomization(systems: Systems) -> str:
    return systems.manifests.revparse_single(f"main:{KUSTOMIZATION}").read_raw().decode()


def _lines(systems: Systems) -> list[str]:
    return [_entry(line) for line in _kustomization(systems).splitlines() if line.strip().startswith("- ")]


def _entry(line: str) -> str:
    return line.strip(" -'\"\n")


# -- manifests -------------------------------------------------------------------------------------


def _manifests(systems: Systems, name: str) -> Any:
    folders = [each.name or "" for each in _tree(systems, f"{BASE}/envs") or ()]
    return {
        "folders": {
            folder: {
                file.name: file.read_raw().decode() for file in _tree(systems, f"{BASE}/envs/{folder}") or ()
            }
            for folder in folders
            if folder.startswith(slug_of(name))
        },
        "listed": sum(line == f"envs/{slug_of(name)}" for line in _lines(systems)),
    }


def _totals(systems: Systems) -> Mapping[str, int]:
    return {
        "environments": len(_tree(systems, f"{BASE}/envs") or ()),
        "lines": len(_lines(systems)),
    }


def _by_hand(systems: Systems, folder: str, text: str = "# made by hand\n") -> None:
    systems.commit(systems.manifests, {f"{folder}/statefulset.yaml": text}, "By hand")


def _their_folder(systems: Systems, name: str, folder: str = "") -> Look:
    _by_hand(systems, folder or _folder(name))

    def look() -> Any:
        found = _tree(systems, folder or _folder(name))
        return found and str(found.id)

    return look


def _remove(systems: Systems, name: str) -> None:
    lines = _kustomization(systems).splitlines(keepends=True)
    text = "".join(line for line in lines if _entry(line) != f"envs/{slug_of(name)}")
    files = [f"{_folder(name)}/{file.name}" for file in _tree(systems, _folder(name)) or ()]
    systems.commit(systems.manifests, {**dict.fromkeys(files), KUSTOMIZATION: text}, "Remove it")


# -- sync, pod-health ------------------------------------------------------------------------------


def _deployed(systems: Systems, name: str) -> Any:
    """Return the live objects, and what Argo CD was last asked to do."""
    argocd, environment = systems.store("argocd"), _environment(name)
    live = [each for _, each in argocd.items("argocd-live") if each["name"].startswith(environment)]
    state = argocd.get("argocd", "state") or {}
    operation = state.get("operation") or {}
    return {
        "objects": sorted(f"{each['kind']}/{each['name']}" for each in live),
        "operation": {
            **{key: operation.get(key) for key in ("automated", "prune", "resources")},
            "has its manifests": _has(systems, name, operation.get("revision")),
        },
        "was shown its manifests": _has(systems, name, (state.get("compared") or {}).get("revision")),
    }


def _has(systems: Systems, name: str, revision: str | None) -> bool:
    return bool(revision) and _tree(systems, _folder(name), str(revision)) is not None


def _ask_to_sync(systems: Systems, _: str) -> None:
    with suppress(httpx.HTTPStatusError):  # another operation is in progress
        systems.ask(ARGOCD, "POST", f"{APPLICATION}/sync", {"revision": "main", "prune": True})


def _ask_to_look(systems: Systems, _: str) -> None:
    systems.ask(ARGOCD, "GET", f"{APPLICATION}?refresh=normal")


def _neighbour(name: str) -> str:
    return f"{BASE}/envs/theirs-{slug_of(name)}"


def _degrade(systems: Systems, thing: str) -> None:
    fault = {"object": thing, "status": "Degraded", "message": "taken away"}
    systems.sandbox.emulator("argocd", "POST", "/_emulator/fault", fault)


_NEIGHBOUR = Neighbour(
    no_rival="it makes nothing of its own: Argo CD deploys what `manifests` made",
    plant=lambda systems, name: _their_folder(systems, name, _neighbour(name)),
    overwrite=lambda systems, name: _by_hand(systems, _neighbour(name), "# overwritten\n"),
)

SHOWN: Mapping[str, Shown] = {
    "manifests": Shown(
        made=made({GIT: _manifests}, _totals, {"environments": 1, "lines": 1}),
        foreign=Rival(_their_folder),
        more=lambda systems, name: _by_hand(systems, f"{_folder(name)}-{another()}"),
        take_away=_remove,
    ),
    "sync": Shown(
        # What is deployed for whom and when depends on everybody's commits, so there is nothing to count.
        made=made({"argocd": _deployed}, lambda systems: {}),
        foreign=_NEIGHBOUR,
        more=_ask_to_sync,
        take_away=lambda systems, name: _degrade(systems, f"ExternalSecret/{_environment(name)}"),
        left="the volumes",
    ),
    "pod-health": Shown(
        made=MakesNothing("it waits for the pod"),
        foreign=_NEIGHBOUR,
        more=_ask_to_look,
        take_away=lambda systems, name: _degrade(systems, f"Pod/{_environment(name)}-0"),
    ),
}
