"""What the kind `lamp` shows of its resources."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pygit2

from reconciler.engine.cycle import Cycle
from reconciler.faces.sealed_entry import seal_for
from reconciler.git.status_text import dump_status, load_status
from reconciler.model.item import ItemId
from reconciler.model.status_file import status_path
from tests.kinds.lamp.resources import FOLDER
from tests.support.evidence import Evidence, Look, Made, MakesNothing, Neighbour, Rival, Shown
from tests.support.systems import GIT, Systems


def _files(systems: Systems) -> dict[str, str]:
    try:
        folder = systems.manifests.revparse_single("main:lamps")
    except KeyError:
        return {}
    assert isinstance(folder, pygit2.Tree)
    return {file.name or "": file.read_raw().decode() for file in folder}


def _write(systems: Systems, file: str, text: str | None = "by hand\n") -> None:
    systems.commit(systems.manifests, {f"lamps/{file}": text}, "By hand")


def _planted(file: Callable[[str], str]) -> Callable[[Systems, str], Look]:
    def plant(systems: Systems, name: str) -> Look:
        _write(systems, file(name))
        return lambda: _files(systems).get(file(name))

    return plant


def _file(ending: str, *, adoptable: bool) -> Shown:
    def of(systems: Systems, name: str) -> dict[str, str]:
        return {
            file.replace(name, "NAME"): text.replace(name, "NAME")
            for file, text in _files(systems).items()
            if file.startswith(name) and file.endswith(ending)
        }

    return Shown(
        made=Made(
            {GIT: of},
            lambda systems: {"files": sum(file.endswith(ending) for file in _files(systems))},
            {"files": 1},
        ),
        foreign=Rival(
            _planted(lambda name: f"{name}{ending}"),
            None if adoptable else lambda systems, name: _write(systems, f"{name}{ending}", "overwritten\n"),
        ),
        more=lambda systems, name: _write(systems, f"{name}-{secrets.token_hex(4)}{ending}"),
        take_away=lambda systems, name: _write(systems, f"{name}{ending}", None),
    )


def _bulbs(systems: Systems, name: str) -> Any:
    return {
        each.replace(name, "NAME"): [
            found[0], len(found[1]["versions"]), sorted(found[1]["custom_metadata"] or ())
        ]
        for each in systems.secret_names(FOLDER)
        if each.startswith(name) and (found := systems.secret(f"{FOLDER}/{each}"))
    }  # fmt: skip


def _their_bulb(systems: Systems, name: str) -> Look:
    _screw_in(systems, name)
    return lambda: systems.secret(f"{FOLDER}/{name}")


def _screw_in(systems: Systems, name: str) -> None:
    systems.vault_front.secrets.kv.v2.create_or_update_secret(f"{FOLDER}/{name}", {"watts": "100"})


def _forget_since_when_it_glows(systems: Systems, name: str) -> None:
    path = status_path(ItemId("lamp", name))
    document = load_status(path, systems.config.revparse_single(f"main:{path}").read_raw())
    del document["resources"]["glow"]["outputs"]
    systems.commit(systems.config, {path: dump_status(document).decode()}, "By hand")


def _bring_a_bulb(systems: Systems, cycle: Cycle, name: str) -> None:
    seal_for(cycle, f"lamp/{name}", b'{"watts": 7}', only_print=False)


EVIDENCE = Evidence(
    sample=lambda name: f"kind: lamp\nroom: {name}\nshade: {{colour: green}}\n",
    slug=lambda name: name,
    resources={
        "manifests": _file(".yaml", adoptable=True),
        "notice": _file(".txt", adoptable=False),
        "bulb": Shown(
            made=Made(
                {"vault": _bulbs},
                lambda systems: {"bulbs": len(systems.secret_names(FOLDER))},
                {"bulbs": 1},
            ),
            foreign=Rival(_their_bulb),
            more=lambda systems, name: _screw_in(systems, f"{name}-{secrets.token_hex(4)}"),
            take_away=lambda systems, name: systems.vault.secrets.kv.v2.delete_metadata_and_all_versions(
                f"{FOLDER}/{name}"
            ),
        ),
        "glow": Shown(
            made=MakesNothing("it looks whether the lamp's file is there"),
            foreign=Neighbour(
                no_rival="it makes nothing",
                plant=_planted(lambda name: f"{name}.md"),
                overwrite=lambda systems, name: _write(systems, f"{name}.md", "overwritten\n"),
            ),
            more=lambda systems, name: _write(systems, f"{name}-{secrets.token_hex(4)}.md"),
            take_away=_forget_since_when_it_glows,
        ),
    },
    people=_bring_a_bulb,
)
