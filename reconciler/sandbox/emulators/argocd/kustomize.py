"""The objects of a directory of a git revision, built as kustomize builds them.

Covers what decides which objects there are: resources, bases, components, generators, namespace, name prefix
and suffix, links within the repository, and that patch files are there. It does not apply patches: they
change no object's identity.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pygit2
import yaml

KUSTOMIZATION_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_FIELDS = """
apiVersion kind metadata openapi resources components bases crds configurations generators transformers
validators namespace namePrefix nameSuffix labels commonLabels commonAnnotations images replicas patches
patchesJson6902 patchesStrategicMerge replacements vars configMapGenerator secretGenerator generatorOptions
helmCharts helmGlobals buildMetadata sortOptions imageTags
"""
FIELDS = frozenset(_FIELDS.split())
_CLUSTER_SCOPED = """
Namespace ClusterRole ClusterRoleBinding CustomResourceDefinition PersistentVolume StorageClass
ClusterSecretStore PriorityClass IngressClass
"""
CLUSTER_SCOPED = frozenset(_CLUSTER_SCOPED.split())
_LINK = 0o120000


class BuildError(Exception):
    """What `kustomize build` prints when it fails."""


@dataclass(frozen=True)
class Manifest:
    """One object as it would be applied; `content` is the digest of its document."""

    document: Mapping[str, Any]
    namespace: str
    name: str
    content: str

    @property
    def kind(self) -> str:
        """Its kind, as written."""
        return str(self.document["kind"])

    @property
    def group(self) -> str:
        """Its API group; empty for the core."""
        return str(self.document["apiVersion"]).rpartition("/")[0]

    @property
    def version(self) -> str:
        """Its API version without the group."""
        return str(self.document["apiVersion"]).rpartition("/")[2]

    @property
    def key(self) -> str:
        """What no two objects share: group/kind/namespace/name."""
        return f"{self.group}/{self.kind}/{self.namespace}/{self.name}"

    @cached_property
    def digest(self) -> str:
        """Equal for equal content, whatever the formatting."""
        return hashlib.sha1(f"{self.content}|{self.key}".encode(), usedforsecurity=False).hexdigest()


class _Loader(yaml.CSafeLoader):
    """Reads a kustomization, where the last of equal keys wins; leaves dates as text."""


class _Strict(_Loader):
    """Reads objects, where equal keys are refused."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key, _ in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else id(key)
        if name in seen:
            raise yaml.YAMLError(f'mapping key "{name}" already defined at line {node.start_mark.line + 1}')
        seen.add(name)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


def _text(loader: _Loader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
for _loader in (_Loader, _Strict):
    _loader.add_constructor("tag:yaml.org,2002:timestamp", _text)


class Kustomize:
    """Builds directories of one bare repository; remembers what it parsed, by blob."""

    def __init__(self, repository: Path) -> None:
        self._path = repository
        self._parsed: dict[str, tuple[tuple[Mapping[str, Any], str], ...]] = {}

    def head(self, branch: str) -> str | None:
        """Return the branch's commit, or None when it or the repository is not there."""
        try:
            return str(pygit2.Repository(str(self._path)).references[f"refs/heads/{branch}"].peel().id)
        except (KeyError, pygit2.GitError):
            return None

    def commit(self, revision: str) -> str | None:
        """Return the full id of a commit that is named by id or branch, or None."""
        try:
            found = pygit2.Repository(str(self._path)).revparse_single(revision)
            return str(found.peel(pygit2.Commit).id)
        except (KeyError, ValueError, pygit2.GitError):
            return None

    def moved_at(self, branch: str) -> float | None:
        """Return when the branch last moved, in epoch seconds, as far as the file system tells."""
        try:
            return (self._path / "refs" / "heads" / branch).stat().st_mtime
        except OSError:
            return None

    def build(self, revision: str, path: str, namespace: str, name_prefix: str = "") -> dict[str, Manifest]:
        """Return the objects by key; those without a namespace get the given one. Raises BuildError.

        `name_prefix`: in place of the top kustomization's own, as `kustomize edit set nameprefix` sets it.
        """
        commit = pygit2.Repository(str(self._path))[revision].peel(pygit2.Commit)
        built: dict[str, Manifest] = {}
        for manifest in _Build(commit.tree, self._parse, name_prefix).directory(path):
            placed = manifest
            if not manifest.namespace and manifest.kind not in CLUSTER_SCOPED:
                placed = Manifest(manifest.document, namespace, manifest.name, manifest.content)
            built[placed.key] = placed
        return built

    def _parse(self, blob: pygit2.Blob, name: str) -> tuple[tuple[Mapping[str, Any], str], ...]:
        identity = str(blob.id)
        if identity not in self._parsed:
            try:
                loader = _Loader if posixpath.basename(name) in KUSTOMIZATION_NAMES else _Strict
                documents = [item for item in yaml.load_all(blob.data, Loader=loader) if item is not None]
            except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
                reason = " ".join(str(error).split())
                raise BuildError(f"MalformedYAMLError: yaml: {reason} in File: {name}") from error
            self._parsed[identity] = tuple((item, _content(item)) for item in documents)
        return self._parsed[identity]


class _Build:
    """One run over one tree. `kustomize` refuses files outside of a root, cycles, and equal ids."""

    def __init__(self, tree: pygit2.Tree, parse: Any, name_prefix: str) -> None:  # noqa: ANN401 - Kustomize._parse
        self._tree = tree
        self._parse = parse
        self._name_prefix = name_prefix

    def directory(
        self, path: str, seen: tuple[str, ...] = (), before: Sequence[Manifest] = ()
    ) -> list[Manifest]:
        """Return what is built there; of a component, with what was there `before`, which it changes too."""
        path = self._real(path)
        if path in seen:
            raise BuildError(f"cycle detected: candidate root '{path}' contains visited root '{path}'")
        kustomization = self._kustomization(path)
        if self._name_prefix and not seen:
            kustomization["namePrefix"] = self._name_prefix
        found = list(before)
        for entry in (*_entries(kustomization, "resources", path), *_entries(kustomization, "bases", path)):
            try:
                found += self._entry(path, str(entry), (*seen, path))
            except BuildError as error:
                raise BuildError(
                    "accumulating resources: accumulation err='accumulating resources from "
                    f"'{entry}': {error}'"
                ) from error
        found += list(_generated(kustomization))
        for entry in _entries(kustomization, "components", path):
            found = self.directory(posixpath.normpath(posixpath.join(path, str(entry))), (*seen, path), found)
        self._patches(kustomization, path)
        transformed = [_transformed(manifest, kustomization) for manifest in found]
        _refuse_equal_ids(transformed)
        return transformed

    def _entry(self, root: str, entry: str, seen: tuple[str, ...]) -> list[Manifest]:
        path = self._real(posixpath.normpath(posixpath.join(root, entry)))
        found = self._find(path)
        if isinstance(found, pygit2.Tree):
            return self.directory(path, seen)
        if not isinstance(found, pygit2.Blob):
            raise BuildError(f"open <path to cached source>/{path}: no such file or directory")
        if not _is_below(root, path):
            raise BuildError(f"security; file '{path}' is not in or below '{root}'")
        return list(self._manifests(found, path))

    def _manifests(self, blob: pygit2.Blob, path: str) -> Iterator[Manifest]:
        for document, content in self._parse(blob, path):
            if not isinstance(document, dict) or not document.get("kind"):
                raise BuildError(f"missing Resource metadata in File: {path}")
            metadata = document.get("metadata")
            if not isinstance(metadata, dict) or not metadata.get("name"):
                raise BuildError(f"missing metadata.name in object {document['kind']} in File: {path}")
            if not isinstance(document.get("apiVersion"), str):
                raise BuildError(f"apiVersion not set in object {document['kind']} in File: {path}")
            yield Manifest(document, str(metadata.get("namespace", "")), str(metadata["name"]), content)

    def _kustomization(self, path: str) -> dict[str, Any]:
        for name in KUSTOMIZATION_NAMES:
            real = self._real(f"{path}/{name}")
            found = self._find(real)
            if isinstance(found, pygit2.Blob) and _is_below(path, real):
                documents = self._parse(found, f"{path}/{name}")
                if len(documents) != 1 or not isinstance(documents[0][0], dict):
                    raise BuildError(f"{name} is empty or not one mapping in '{path}'")
                document = dict(documents[0][0])
                if unknown := sorted(set(document) - FIELDS):
                    raise BuildError(f'invalid Kustomization: json: unknown field "{unknown[0]}"')
                return document
        raise BuildError(
            f"unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in '{path}'"
        )

    def _patches(self, kustomization: Mapping[str, Any], root: str) -> None:
        named = [
            item.get("path") for item in _entries(kustomization, "patches", root) if isinstance(item, dict)
        ]
        named += [
            item for item in _entries(kustomization, "patchesStrategicMerge", root) if "\n" not in str(item)
        ]
        for path in filter(None, named):
            if not isinstance(self._find(posixpath.normpath(posixpath.join(root, str(path)))), pygit2.Blob):
                raise BuildError(f"failed to get the patch file from path({path}): no such file or directory")

    def _real(self, path: str) -> str:
        """Return the path with its links followed, as a checkout would have them."""
        done = ""
        parts = path.split("/")
        while parts:
            done = posixpath.normpath(posixpath.join(done, parts.pop(0)))
            found = self._find(done)
            if isinstance(found, pygit2.Blob) and found.filemode == _LINK:
                parts = [*posixpath.join(posixpath.dirname(done), found.data.decode()).split("/"), *parts]
                done = ""
        return done

    def _find(self, path: str) -> pygit2.Object | None:
        try:
            return self._tree[path]
        except (KeyError, ValueError):
            return None


def _is_below(root: str, path: str) -> bool:
    return root == "." or path.startswith(f"{root}/")


def _entries(kustomization: Mapping[str, Any], field: str, path: str) -> list[Any]:
    entries = kustomization.get(field) or []
    if not isinstance(entries, list):
        raise BuildError(f"invalid Kustomization: json: cannot unmarshal into field {field} in '{path}'")
    return entries


def _generated(kustomization: Mapping[str, Any]) -> Iterator[Manifest]:
    """Yield generated objects. The suffix is a digest as well, though not the one of kustomize."""
    common = kustomization.get("generatorOptions") or {}
    for field, kind in (("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret")):
        for item in _entries(kustomization, field, "."):
            options = {**common, **(item.get("options") or {})}
            suffix = "" if options.get("disableNameSuffixHash") else f"-{_content(item)[:10]}"
            name = f"{item['name']}{suffix}"
            document = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}
            yield Manifest(document, str(item.get("namespace", "")), name, _content(item))


def _transformed(manifest: Manifest, kustomization: Mapping[str, Any]) -> Manifest:
    namespace = manifest.namespace
    if kustomization.get("namespace") and manifest.kind not in CLUSTER_SCOPED:
        namespace = str(kustomization["namespace"])
    name = f"{kustomization.get('namePrefix', '')}{manifest.name}{kustomization.get('nameSuffix', '')}"
    overlay = {
        field: kustomization[field]
        for field in ("labels", "commonLabels", "images")
        if kustomization.get(field)
    }
    content = manifest.content + (_content(overlay) if overlay else "")
    return Manifest(manifest.document, namespace, name, content)


def _refuse_equal_ids(manifests: list[Manifest]) -> None:
    seen: set[str] = set()
    for manifest in manifests:
        if manifest.key in seen:
            identity = f"{manifest.kind}.{manifest.version}.{manifest.group or '[noGrp]'}/{manifest.name}"
            full = f"{identity}.{manifest.namespace or '[noNs]'}"
            raise BuildError(f"may not add resource with an already registered id: {full}")
        seen.add(manifest.key)


def _content(document: object) -> str:
    text = json.dumps(document, sort_keys=True, default=str)
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
