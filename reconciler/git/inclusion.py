"""What the build of a folder includes: which folders of the tree, under which names, and listed where.

Follows kustomizations as kustomize does (`resources`, `bases`, `components`, links within the repository) and
looks at no object. What is deployed is what the tree builds, wherever people have put the line for it.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.git.kustomize_paths import followed, joined, kustomization_of, new_kustomization
from reconciler.git.kustomize_yaml import DEEPEST, kustomization_fields, listed
from reconciler.git.tree import Draft, EntryKind
from reconciler.git.yaml_edit import PLAIN_PATH
from reconciler.model.errors import InvalidFile

_SOURCES = (
    *("resources", "bases", "components", "generators"),
    *("configmapgenerator", "secretgenerator", "helmcharts", "helmchartinflationgenerator"),
)
"""The fields that bring objects, in lower case."""
LONGEST = 253
"""Characters of an object's name, at the most."""


@dataclass(frozen=True)
class Naming:
    """What kustomizations put around the names of objects."""

    prefix: str = ""
    suffix: str = ""

    def within(self, outer: Naming) -> Naming:
        """Return both together; the outer one is applied later."""
        return Naming(outer.prefix + self.prefix, self.suffix + outer.suffix)

    def named(self, own: str) -> str:
        """Return the name of the built object whose manifest says `own`."""
        return f"{self.prefix}{own}{self.suffix}"

    def own(self, name: str) -> str | None:
        """Return what the manifest of a built object says; None for an object of another naming."""
        fits = name.startswith(self.prefix) and name.endswith(self.suffix)
        return name[len(self.prefix) : len(name) - len(self.suffix)] if fits else None


@dataclass(frozen=True)
class Kustomization:
    """One kustomization, cut to what decides what is built.

    `path`: its file, behind links; empty for none. `empty`: it builds nothing, which ends a build.
    """

    path: str = ""
    resources: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    naming: Naming = Naming()
    empty: bool = True


class Kustomizations:
    """Reads the kustomizations of trees that differ little: what it once read it does not read again."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, str], Kustomization] = {}

    def at(self, draft: Draft, folder: str) -> Kustomization:
        """Return a folder's kustomization, without a path where none is; InvalidFile for a broken one."""
        path = kustomization_of(draft, folder)
        entry = draft.entry(path) if path is not None else None
        if path is None or entry is None:
            return Kustomization()
        if (path, entry.id) not in self._read:
            self._read[path, entry.id] = _kustomization(path, draft.content(entry))
        return self._read[path, entry.id]


@dataclass(frozen=True)
class Inclusions:
    """What a build includes. Paths are from the repository's top, behind links.

    `folders`, `files`: with the naming of their objects; files are those that a kustomization outside of
    their folder lists. `listing`: by folder, how many folders directly in it are listed by which
    kustomization, as its (folder, path). `named_in`: the same of each path that is brought
    in. `broken`: why some of it could not be looked into.
    """

    root: str
    folders: Mapping[str, Naming]
    files: Mapping[str, Naming]
    listing: Mapping[str, Counter[tuple[str, str]]]
    named_in: Mapping[str, tuple[str, str]]
    broken: InvalidFile | None

    def naming(self, draft: Draft, folder: str) -> Naming | None:
        """Return how the objects of a folder are named; None when they are not built.

        InvalidFile when nobody can tell, because a kustomization cannot be read.
        """
        path = followed(draft, folder)
        if path is not None and path in self.folders:
            return self.folders[path]
        if path is not None and (naming := self._file_by_file(draft, path)):
            return naming
        if self.broken is not None:
            raise self.broken
        if path is not None and any(posixpath.dirname(each) == path for each in self.files):
            remedy = "list the folder in place of its files: files of it come and go"
            raise InvalidFile(path, "is listed by some of its files, and not as a folder", remedy=remedy)
        return None

    def lines(self, draft: Draft, folder: str) -> dict[str, tuple[str, frozenset[str]]]:
        """Return what brings a folder in: by a kustomization's path, its folder and the paths it names."""
        path = followed(draft, folder)
        if path is None:
            return {}
        files = [each for each in self.files if posixpath.dirname(each) == path]
        own = [path] if path in self.folders else files
        found: dict[str, tuple[str, frozenset[str]]] = {}
        for each in own:
            if place := self.named_in.get(each):
                above, file = place
                found[file] = above, found.get(file, (above, frozenset()))[1] | {each}
        return found

    def naming_to_be(self, draft: Draft, folder: str) -> Naming:
        """Return how the objects of a folder will be named that is not built yet, once it is listed."""
        above, _, _ = self._place(draft, folder)
        return self.folders.get(above, Naming())

    def place(self, draft: Draft, folder: str) -> tuple[str, str]:
        """Return where to list a new folder, and as what: the path of a kustomization, and an entry.

        Where most of the folders beside it are listed, so that it gets what they get; else the root's own.
        """
        _, file, entry = self._place(draft, folder)
        return file, entry

    def _place(self, draft: Draft, folder: str) -> tuple[str, str, str]:
        path = followed(draft, folder) or folder
        beside = self.listing.get(posixpath.dirname(path), Counter())
        own = self.root, kustomization_of(draft, self.root) or new_kustomization(self.root)
        for above, file in (*(place for place, _ in beside.most_common()), own):
            ways = [posixpath.relpath(way, above or ".") for way in (path, folder)]
            entry = min(ways, key=lambda way: way.count(".."))
            if PLAIN_PATH.fullmatch(entry) and followed(draft, joined(above, entry) or "..") == path:
                return above, file, entry
        raise InvalidFile(own[1], f"does not list {folder}", remedy="add it to `resources` by hand")

    def _file_by_file(self, draft: Draft, folder: str) -> Naming | None:
        """Return the same where all files of a folder are listed one by one, and the folder is not."""
        listed = {path: naming for path, naming in self.files.items() if posixpath.dirname(path) == folder}
        own = kustomization_of(draft, folder) if listed else None
        rest = {f"{folder}/{name}" for name in draft.names(folder)} - {own}
        return next(iter(listed.values())) if listed and rest <= listed.keys() else None


def included(
    draft: Draft, root: str, reader: Kustomizations | None = None, over_root: Naming | None = None
) -> Inclusions:
    """Return what the build of a folder includes. `over_root`: what is set in place of the root's naming."""
    path = followed(draft, root) or root
    walk = _Walk(draft, path, reader or Kustomizations(), over_root or Naming())
    if draft.kind(path) is EntryKind.FOLDER:
        walk.visit(path, Naming())
    return Inclusions(path, walk.folders, walk.files, walk.listing(), walk.named_in, walk.broken)


class _Walk:
    """Goes through the kustomizations below a root, each of them once."""

    def __init__(self, draft: Draft, root: str, reader: Kustomizations, over_root: Naming) -> None:
        self._draft = draft
        self._root = root
        self._reader = reader
        self._over_root = over_root
        self.folders: dict[str, Naming] = {}
        self.files: dict[str, Naming] = {}
        self.named_in: dict[str, tuple[str, str]] = {}
        self._listed_in: dict[str, tuple[str, str]] = {}
        self._changes: dict[str, Naming] = {}
        self.broken: InvalidFile | None = None

    def visit(self, folder: str, outer: Naming, depth: int = 0) -> None:
        """Note a folder and what its kustomization names; `outer` is what becomes of its objects after it."""
        try:
            _check_depth(folder, depth)
            read = self._read(folder)
            components = self._paths(folder, read.components)
            changes = [self._changes_of(path, (folder,)) for path in components]
        except InvalidFile as error:
            self.folders.setdefault(folder, outer)
            self.broken = self.broken or error
            return
        outer = read.naming.within(outer)
        # A component changes all that was there before it, and the kustomization itself changes all of it.
        for place, path in enumerate(components):
            self._note(folder, read.path, path, _together(changes[place + 1 :]).within(outer), depth)
        outer = _together(changes).within(outer)
        self.folders.setdefault(folder, outer)
        for path in self._paths(folder, read.resources):
            self._note(folder, read.path, path, outer, depth)

    def listing(self) -> dict[str, Counter[tuple[str, str]]]:
        """Return how many folders of a folder are listed where, without those that only list others."""
        listers = {folder for folder, _ in self._listed_in.values()}
        counted: dict[str, Counter[tuple[str, str]]] = {}
        for path, place in self._listed_in.items():
            if path not in listers:
                counted.setdefault(posixpath.dirname(path), Counter())[place] += 1
        return counted

    def _note(self, folder: str, file: str, path: str, outer: Naming, depth: int) -> None:
        """Note what one entry of a kustomization names."""
        if path in self.folders:
            return
        self.named_in.setdefault(path, (folder, file))
        above = posixpath.dirname(path)
        kind = self._draft.kind(path)
        if kind in {EntryKind.FILE, EntryKind.EXECUTABLE}:
            if above != folder:
                self.files.setdefault(path, outer)
            return
        self._listed_in[path] = folder, file
        if kind is EntryKind.FOLDER:
            self.visit(path, outer, depth + 1)
        else:
            # What is listed and not there takes no second entry: it takes the thing itself.
            self.folders[path] = outer

    def _changes_of(self, component: str, within: Sequence[str]) -> Naming:
        """Return what a component does to the names of what was there before it."""
        if component in within:
            raise InvalidFile(component, "names itself", remedy="take that entry out of its components")
        _check_depth(component, len(within))
        if component not in self._changes:
            read = self._read(component)
            nested = self._paths(component, read.components)
            changes = [self._changes_of(path, (*within, component)) for path in nested]
            self._changes[component] = _checked(component, _together([*changes, read.naming]))
        return self._changes[component]

    def _read(self, folder: str) -> Kustomization:
        read = self._reader.at(self._draft, folder)
        if folder == self._root and (read.path or not self._holds_manifests(folder)):
            over = self._over_root
            naming = Naming(over.prefix or read.naming.prefix, over.suffix or read.naming.suffix)
            return replace(read, naming=naming)
        if not read.path:
            # Even at the top: a new one that lists the environments alone would have all else pruned.
            raise InvalidFile(folder, "has no kustomization.yaml", remedy="restore it from its last commit")
        return read

    def _holds_manifests(self, folder: str) -> bool:
        """Tell whether a folder holds what a kustomization of its would have listed."""
        paths = [posixpath.join(folder, name) for name in self._draft.names(folder)]
        return any(
            path.endswith((".yaml", ".yml")) or kustomization_of(self._draft, path) is not None
            for path in paths
        )

    def _paths(self, folder: str, entries: Sequence[str]) -> list[str]:
        """Return the paths of entries; what is fetched from elsewhere has none, and holds nothing of ours."""
        named = [joined(folder, entry) for entry in entries]
        real = [followed(self._draft, path) for path in named if path is not None]
        return [path for path in real if path is not None]


def _checked(folder: str, naming: Naming) -> Naming:
    """Return it; InvalidFile when no object could have such a name: components of components add up."""
    if len(naming.prefix) + len(naming.suffix) > LONGEST:
        remedy = "take what names it twice out of it"
        raise InvalidFile(folder, f"puts more than {LONGEST} characters around names", remedy=remedy)
    return naming


def _check_depth(folder: str, depth: int) -> None:
    if depth > DEEPEST:
        remedy = "list what is below it further up"
        raise InvalidFile(folder, f"is more than {DEEPEST} kustomizations deep", remedy=remedy)


def _together(namings: Sequence[Naming]) -> Naming:
    found = Naming()
    for naming in namings:
        found = found.within(naming)
    return found


def _kustomization(path: str, content: bytes) -> Kustomization:
    try:
        fields = kustomization_fields(path, content)
    except InvalidFile as error:
        remedy = "mend it as its last good commit had it; what it lists stays deployed until then"
        raise InvalidFile(path, error.message, line=error.line, column=error.column, remedy=remedy) from error
    return Kustomization(
        path,
        (*listed(path, fields, "resources"), *listed(path, fields, "bases")),
        listed(path, fields, "components"),
        Naming(str(fields.get("nameprefix") or ""), str(fields.get("namesuffix") or "")),
        empty=not any(fields.get(key) for key in _SOURCES),
    )
