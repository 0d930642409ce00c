"""Takes folders out of what the build of a folder includes: the lines that name them, wherever they are.

The opposite of `inclusion.Inclusions.place`. Touches no file of the folders themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.git.inclusion import Inclusions, included
from reconciler.git.kustomize_paths import followed, joined
from reconciler.git.tree import Draft
from reconciler.git.yaml_edit import entries
from reconciler.git.yaml_removal import remove_entries
from reconciler.model.errors import Collision, InvalidFile

_KEYS = ("resources", "bases", "components")


def exclude(draft: Draft, root: str, folders: Iterable[str]) -> Mapping[str, bool | InvalidFile | Collision]:
    """Take the folders out; by folder, whether anything had to change, or why it could not be.

    The tree is gone through once before and once after, and not for each of a thousand folders.
    """
    asked = list(dict.fromkeys(folders))
    before = included(draft, root)
    answers: dict[str, bool | InvalidFile | Collision] = {}
    named: dict[str, tuple[str, set[str]]] = {}
    for folder in asked:
        try:
            answers[folder] = before.naming(draft, folder) is not None
        except InvalidFile as error:
            answers[folder] = error
            continue
        for file, (above, paths) in before.lines(draft, folder).items():
            named.setdefault(file, (above, set()))[1].update(paths)
    failed: dict[tuple[str, str], InvalidFile | Collision] = {}
    for file, (above, several) in named.items():
        try:
            errors: Mapping[str, InvalidFile | Collision] = _remove_lines(draft, file, above, several)
        except (InvalidFile, Collision) as error:
            errors = dict.fromkeys(several, error)
        failed.update({(file, path): error for path, error in errors.items()})
    return {**answers, **_still_there(draft, root, before, answers, failed)} if named else answers


def _remove_lines(draft: Draft, file: str, above: str, paths: set[str]) -> dict[str, InvalidFile]:
    """Take the lines that lead to these paths out of one file; by path, why one of them had to stay."""
    content = draft.read(file)
    if content is None:
        return {}
    failed: dict[str, InvalidFile] = {}
    for key in _KEYS:
        leading = {name: _leads_to(draft, above, name) for name in sorted(entries(file, content, key))}
        values = [name for name, path in leading.items() if path in paths]
        content, errors = _without(file, content, key, values)
        failed.update({path: errors[name] for name, path in leading.items() if path and name in errors})
    draft.put(file, content)
    return failed


def _without(
    file: str, content: bytes, key: str, values: Sequence[str]
) -> tuple[bytes, dict[str, InvalidFile]]:
    """Take entries out; return, too, why some stay that only people can take out."""
    try:
        return remove_entries(file, content, key, values)[0], {}
    except InvalidFile as error:
        if len(values) <= 1:
            return content, dict.fromkeys(values, error)
    half = len(values) // 2
    # Each half from the text as it is in the file, so that a place is one there.
    stuck = {
        name: error
        for part in (values[:half], values[half:])
        for name, error in _without(file, content, key, part)[1].items()
    }
    return remove_entries(file, content, key, (name for name in values if name not in stuck))[0], stuck


def _leads_to(draft: Draft, above: str, entry: str) -> str | None:
    path = joined(above, entry)
    return None if path is None else followed(draft, path)


def _still_there(
    draft: Draft,
    root: str,
    before: Inclusions,
    answers: Mapping[str, bool | InvalidFile | Collision],
    failed: Mapping[tuple[str, str], InvalidFile | Collision],
) -> dict[str, InvalidFile | Collision]:
    """Return what is built all the same, and why."""
    after = included(draft, root)
    left: dict[str, InvalidFile | Collision] = {}
    for folder, answer in answers.items():
        if answer is not True:
            continue
        files = before.lines(draft, folder)
        lines = ((file, path) for file, (_, paths) in files.items() for path in paths)
        reason = next((failed[line] for line in lines if line in failed), None)
        try:
            built = after.naming(draft, folder) is not None
        except InvalidFile as error:
            left[folder] = error
            continue
        if built:
            file = next(iter(files), root)
            remedy = f"take the line that names {folder} out of it by hand"
            left[folder] = reason or InvalidFile(file, f"goes on naming {folder}", remedy=remedy)
    return left
