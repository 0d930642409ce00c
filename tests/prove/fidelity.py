"""Fidelity: adding our line to people's kustomizations, and taking it away, changes that line only.

`--folder` names a folder of real repositories; without it, generated trees and changed samples are tried.
Everything else stays as it was, byte for byte. What cannot be edited is refused with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

import yaml

from reconciler.git.yaml_edit import insert_entries
from reconciler.git.yaml_removal import remove_entries
from reconciler.model.errors import InvalidFile
from tests.fuzz import lists
from tests.fuzz.figures import Harm
from tests.fuzz.mutation import mutated
from tests.prove.figures import Figures
from tests.prove.ground import Ground
from tests.prove.judging import Wrong
from tests.support.kustomize_trees import kustomize_trees

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
CHANGED_SAMPLES, SHORT_SAMPLES = 4_000, 200
LARGEST = 4_000_000
_NOTHING = re.compile(rb"\s*(?:\[\s*\]|null|~)?\s*")


def jobs() -> list[str]:
    """Return the one job."""
    return ["kustomizations"]


def run(job: str, ground: Ground) -> Figures:
    """Edit every kustomization there is."""
    figures = Figures("fidelity", job, "files")
    found = _given(ground.given) if ground.given else _generated(ground)
    for name, content in found:
        value = ground.random.choice(lists.NEW)
        figures.judge(name, list(_wrong(content, value)))
    return figures


def _wrong(content: bytes, value: str) -> Iterator[Wrong]:
    try:
        list(lists.judge(content, value))
        after, inserted = insert_entries(lists.PATH, content, lists.KEY, [value])
    except InvalidFile:
        return
    except Harm as harm:
        yield "broken", str(harm)
        return
    except Exception as error:  # noqa: BLE001 - that nothing unforeseen is raised is what is tried
        yield "broken", f"{type(error).__name__}"
        return
    if inserted and not _in_one_place(content, after):
        yield "lost", "something else than our line was changed"
    if inserted:
        yield from _removed(content, after, value)


def _in_one_place(before: bytes, after: bytes) -> bool:
    """Tell whether one piece was put in, and nothing went but a list's way to say that it is empty."""
    same = next((n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(before))
    tail = 0
    while tail < len(before) - same and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    return _NOTHING.fullmatch(before[same : len(before) - tail]) is not None


def _removed(content: bytes, after: bytes, value: str) -> Iterator[Wrong]:
    """Return what is wrong with the file once our line was taken away again."""
    try:
        back, removed = remove_entries(lists.PATH, after, lists.KEY, [value])
    except InvalidFile as error:
        yield "stuck", f"our own line cannot be taken away: {error.message}"
        return
    if removed != {value}:
        yield "stuck", "our line is not found again"
    # A list that was said to be empty in another way, or was not there, may stay an empty list.
    if back != content and not _in_one_place(content, back) and not _in_one_place(back, content):
        yield "lost", "something else is another after our line was taken away"


def _given(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every kustomization under a folder, by its place there."""
    for path in sorted(folder.rglob("*")):
        if path.name in NAMES and path.is_file() and not path.is_symlink() and path.stat().st_size < LARGEST:
            yield str(path.relative_to(folder)), path.read_bytes()


def _generated(ground: Ground) -> Iterator[tuple[str, bytes]]:
    for name, tree in kustomize_trees().items():
        for path, content in tree.files.items():
            if path.rpartition("/")[2] in NAMES:
                yield f"{name}: {path}", content
    samples = yaml.safe_load((Path(lists.__file__).parent / "data" / "kustomizations.yaml").read_text())
    random = Random(ground.random.getrandbits(32))  # noqa: S311 - repeatable on purpose
    count = SHORT_SAMPLES if ground.short else CHANGED_SAMPLES
    for number in range(count):
        name, text = list(samples.items())[number % len(samples)]
        yield f"{number}: {name}", text.encode() if number < len(samples) else mutated(text.encode(), random)
