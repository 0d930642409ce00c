"""All parts by name, in the order in which they are run and told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Protocol

from tests.prove import clones, fault, fidelity, fuzz, git, kill, place, race, secrets
from tests.prove.figures import Figures
from tests.prove.ground import Ground


class Part(Protocol):
    """What a module of a part has beside its docstring."""

    def jobs(self) -> Sequence[str]:
        """Return its jobs, which need nothing of one another."""

    def run(self, job: str, ground: Ground) -> Figures:
        """Do one of them."""


PARTS: Mapping[str, ModuleType] = {
    "kill": kill,
    "clones": clones,
    "fault": fault,
    "git": git,
    "race": race,
    "place": place,
    "secrets": secrets,
    "fuzz": fuzz,
    "fidelity": fidelity,
}
