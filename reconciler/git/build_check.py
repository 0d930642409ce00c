"""Our own look at a kustomize tree, where no kustomize can be run: paths, fields, object ids.

Covers what ends kustomize's whole build, so that one bad folder would break it for all: a missing path, a
file that is not YAML or no object, an unknown field of a kustomization, two objects of one id. It applies no
patch and fetches nothing. Whoever is refused here can deploy nothing, so only what kustomize
is certain to refuse is refused: what this cannot tell passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from reconciler.git.kustomize_paths import followed, is_within, joined, kustomization_of
from reconciler.git.kustomize_yaml import DEEPEST, first_document, listed, objects
from reconciler.git.tree import Draft, Entry, EntryKind
from reconciler.model.errors import BeyondBounds, InvalidFile

MOST_OBJECTS = 100_000
"""Of one kustomization; a list may hold the same list often."""
_FIELDS = """
apiVersion kind metadata openapi namePrefix nameSuffix namespace commonLabels labels
commonAnnotations patchesStrategicMerge patchesJson6902 patches images imageTags replacements
replicas vars sortOptions resources components crds bases configMapGenerator secretGenerator
helmGlobals helmCharts helmChartInflationGenerator generatorOptions configurations generators
transformers validators buildMetadata
"""
_KNOWN = frozenset(field.casefold() for field in _FIELDS.split())
_CHANGING_NAMES = ("transformers", "configurations", "replacements", "components")
# Of a patch: what takes an object away, or gives it another name, kind or namespace.
_CHANGES_ID = re.compile(
    r"""\$patch|/metadata(?!/(?:annotations|labels))|/kind|/apiVersion|path["']?\s*:\s*(?:""|'')"""
)
_NAMED_OTHERWISE = {"CustomResourceDefinition", "APIService", "Namespace"}
"""Kinds whose names follow other rules than a prefix in front."""

ObjectId: TypeAlias = tuple[str, str, str, str]
"""Version with its group, kind, namespace and name."""


@dataclass(frozen=True)
class Findings:
    """What is wrong, in one sentence, and whether the tree fetches something from elsewhere."""

    failure: str = ""
    remote: bool = False


class _Broken(Exception):
    """What would end a build."""


class Checker:
    """Looks at trees that differ little: what it once read it does not read again."""

    def __init__(self) -> None:
        self._read_before: dict[tuple[str, str, bool], Any] = {}
        self._remote = False
        self._built: dict[str, dict[ObjectId, str]] = {}

    def check(self, draft: Draft, path: str) -> Findings:
        """Look at the kustomization in a folder and all that it names."""
        self._remote = False
        self._built = {}
        try:
            self._objects(draft, followed(draft, path) or path, ())
        except _Broken as broken:
            return Findings(str(broken), self._remote)
        except InvalidFile as invalid:
            return Findings(f"{invalid.place}: {invalid.message}", self._remote)
        return Findings("", self._remote)

    def _objects(self, draft: Draft, folder: str, within: tuple[str, ...]) -> dict[ObjectId, str]:
        """Return what a kustomization builds, as far as it is certain: where an object comes from, by id."""
        if folder in within:
            raise _Broken(f"{folder}: names itself")
        if len(within) > DEEPEST:
            return {}
        if folder not in self._built:
            self._built[folder] = self._build(draft, folder, (*within, folder))
        return self._built[folder]

    def _build(self, draft: Draft, folder: str, within: tuple[str, ...]) -> dict[ObjectId, str]:
        path = _kustomization(draft, folder)
        if path is None:
            return {}
        fields = self._fields(draft, path)
        found: dict[ObjectId, str] = {}
        for entry in (*listed(path, fields, "resources"), *listed(path, fields, "bases")):
            for object_id, origin in self._named(draft, folder, entry, within):
                if object_id in found:
                    what = "/".join(part for part in object_id[1:] if part)
                    raise _Broken(f"{what} is in {found[object_id]} and again in {origin}")
                found[object_id] = origin
        for entry in listed(path, fields, "components"):
            # A component changes all that was found so far, so that nothing can be said of what it adds.
            for _ in self._named(draft, folder, entry, within):
                pass
        patches = list(self._patches(draft, folder, path, fields))
        if any(fields.get(field) for field in _CHANGING_NAMES) or any(map(_CHANGES_ID.search, patches)):
            return {}
        return dict(_renamed(found, fields))

    def _fields(self, draft: Draft, path: str) -> Mapping[str, Any]:
        """Return a kustomization's fields in lower case, as they may be written in any."""
        document = self._read(draft, path, as_objects=False)
        fields = {} if document is None else document
        if not isinstance(fields, Mapping):
            raise _Broken(f"{path}: is not a mapping")
        if unknown := sorted(field for field in fields if field.casefold() not in _KNOWN):
            raise _Broken(f"{path}: unknown field {unknown[0]}")
        return {field.casefold(): value for field, value in fields.items()}

    def _named(
        self, draft: Draft, folder: str, entry: str, within: tuple[str, ...]
    ) -> Iterator[tuple[ObjectId, str]]:
        found = self._find(draft, folder, entry, f"{folder}: lists {entry}")
        if found is None:
            return
        if found.kind is EntryKind.FOLDER:
            yield from self._objects(draft, found.path, within).items()
        elif not is_within(found.path, folder):
            raise _Broken(f"{folder}: lists {entry}, a file outside of its folder")
        else:
            count = 0
            for document in self._read(draft, found.path, as_objects=True) or ():
                for object_id in _ids(found.path, document, 0):
                    count += 1
                    if count > MOST_OBJECTS:
                        return
                    if object_id is not None:
                        yield object_id, found.path

    def _find(self, draft: Draft, folder: str, entry: str, said: str) -> Entry | None:
        """Return what a path names, behind links; None for what is elsewhere, where we cannot look."""
        named = joined(folder, entry)
        path = None if named is None else followed(draft, named)
        if named is not None and (path is None or _is_in_submodule(draft, path)):
            return None
        found = None if path is None else draft.entry(path)
        if found is None and _is_remote(entry):
            self._remote = True
        elif found is None:
            raise _Broken(f"{said}, which is not there")
        return found

    def _patches(self, draft: Draft, folder: str, path: str, fields: Mapping[str, Any]) -> Iterator[str]:
        """Yield the text of every patch that is there to be read."""
        patches = [*_list(fields.get("patches")), *_list(fields.get("patchesjson6902"))]
        strategic = [patch for patch in _list(fields.get("patchesstrategicmerge")) if isinstance(patch, str)]
        named = [patch for patch in strategic if "\n" not in patch]
        yield from (patch for patch in strategic if "\n" in patch)
        for patch in patches:
            if not isinstance(patch, Mapping):
                continue
            if patch.get("options"):
                yield "/kind"  # it may allow a patch to change names and kinds
            if isinstance(patch.get("patch"), str):
                yield patch["patch"]
            if isinstance(patch.get("path"), str) and patch["path"]:
                named.append(patch["path"])
        for name in named:
            found = self._find(draft, folder, name, f"{path}: names the patch {name}")
            if found and (found.kind is EntryKind.FOLDER or not is_within(found.path, folder)):
                raise _Broken(f"{path}: names the patch {name}, which is no file in its folder")
            try:
                content = draft.read(found.path) if found is not None else None
            except BeyondBounds:
                content = None
            # What cannot be read here may say anything.
            yield "/kind" if content is None else content.decode("utf-8", "replace")

    def _read(self, draft: Draft, path: str, *, as_objects: bool) -> Any:  # noqa: ANN401 - YAML's values
        """Return a file's objects, or a kustomization's document; None where nobody can say what it holds."""
        entry = draft.entry(path)
        if entry is None or not entry.regular:
            raise _Broken(f"{path}: is not a file")
        key = (path, entry.id, as_objects)
        if key not in self._read_before:
            try:
                read = objects if as_objects else first_document
                self._read_before[key] = read(path, draft.content(entry))
            except BeyondBounds:
                self._read_before[key] = None
        return self._read_before[key]


def _kustomization(draft: Draft, folder: str) -> str | None:
    """Return the path of a folder's kustomization; None where it cannot be looked at."""
    if _is_in_submodule(draft, folder):
        return None
    try:
        path = kustomization_of(draft, folder)
    except InvalidFile as error:
        raise _Broken(f"{folder}: {error.message}") from error
    if path is None:
        raise _Broken(f"{folder}: has no kustomization.yaml")
    if not is_within(path, folder):
        raise _Broken(
            f"{folder}: its kustomization is a link to {path}, and kustomize reads no file from outside"
        )
    return path


def _is_in_submodule(draft: Draft, path: str) -> bool:
    parts = path.split("/")
    return any(
        draft.kind("/".join(parts[:count])) is EntryKind.SUBMODULE for count in range(1, len(parts) + 1)
    )


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _renamed(found: Mapping[ObjectId, str], fields: Mapping[str, Any]) -> Iterator[tuple[ObjectId, str]]:
    """Yield the ids that objects have when a kustomization's namespace, prefix and suffix are in them."""
    prefix, suffix, namespace = (
        text if isinstance(text := fields.get(field), str) else ""
        for field in ("nameprefix", "namesuffix", "namespace")
    )
    for (version, kind, own, name), origin in found.items():
        if kind not in _NAMED_OTHERWISE or not (prefix or suffix or namespace):
            yield (version, kind, namespace or own, f"{prefix}{name}{suffix}"), origin


def _ids(path: str, document: object, depth: int) -> Iterator[ObjectId | None]:
    """Yield the id of an object, or of every object of a list; None for what has none."""
    if not isinstance(document, Mapping) or not document.get("kind"):
        raise _Broken(f"{path}: has a document that is no object, for it has no kind")
    kind = str(document["kind"])
    items = document.get("items")
    if kind.endswith("List") and items is not None:
        for item in _list(items) if depth < DEEPEST else ():
            yield from _ids(path, item, depth + 1)
        yield None  # a list of lists of nothing takes time, too
        return
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if isinstance(metadata, Mapping) and isinstance(name, str) and name:
        # An object without namespace is in this one.
        namespace = str(metadata.get("namespace") or "default")
        yield str(document.get("apiVersion") or ""), kind, namespace, name
    elif not kind.endswith("List"):
        raise _Broken(f"{path}: has a {kind} without metadata.name")


def _is_remote(entry: str) -> bool:
    """Tell whether kustomize would fetch that: a URL, an address for ssh, or a path after a host."""
    host = entry.split("/", 1)[0]
    return "://" in entry or "?ref=" in entry or "@" in host or ("." in host.strip(".") and "//" in entry)
