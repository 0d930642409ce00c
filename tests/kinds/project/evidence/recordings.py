"""Evidence of the place for recordings."""

from __future__ import annotations

from collections.abc import Mapping

from tests.kinds.project.evidence.item import another, made, owner_of
from tests.support.evidence import Look, Neighbour, Shown
from tests.support.systems import Systems


def _prefix(name: str) -> str:
    return f"repos/{owner_of(name)}/{name}/"


def _recording(name: str) -> str:
    return f"{_prefix(name)}theirs.cast"


def _their_recording(systems: Systems, name: str) -> Look:
    systems.put_object(_recording(name), b"theirs")
    return lambda: systems.object(_recording(name))


def _delete(systems: Systems, name: str) -> None:
    for each in systems.objects(_prefix(name)):
        systems.forget_object(each)


SHOWN: Mapping[str, Shown] = {
    "recordings": Shown(
        made=made(
            {"s3": lambda systems, name: systems.objects(_prefix(name))},
            lambda systems: {"objects": len(systems.objects())},
            {"objects": 1},
        ),
        foreign=Neighbour(
            no_rival="the prefix is mesh-six's place for that repository, whoever wrote there first",
            plant=_their_recording,
            overwrite=lambda systems, name: systems.put_object(_recording(name), b"ours"),
        ),
        more=lambda systems, name: systems.put_object(f"{_prefix(name)}{another()}", b""),
        take_away=_delete,
    )
}
