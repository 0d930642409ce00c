"""All parts by name, in the order in which they are run and told.

A module of a part has `jobs()`, which returns the names of its jobs, and `run(job, ground)`, which does one
of them and returns its figures. Jobs need nothing of one another.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from tests.prove import clones, fault, fidelity, fuzz, git, kill, place, race, secrets

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
