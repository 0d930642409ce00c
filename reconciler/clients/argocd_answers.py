"""What Argo CD's API answers, cut to what tells whether a commit is deployed. Knows no HTTP.

How that is told from these answers is in docs/systems/argocd.md, "When a commit is deployed".
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass

LONGEST_MESSAGE = 400
LOOKED_AT = frozenset({"Pod", "StatefulSet"})
IN_FLIGHT = frozenset({"Running", "Terminating"})
FAILED = frozenset({"Failed", "Error"})

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")


def _without_nulls(value: object) -> object:
    if isinstance(value, dict) and None in value.values():
        return {key: item for key, item in value.items() if item is not None}
    return value


class _Answer(BaseModel):
    """A part of an answer. Go writes absent things as null as well as not at all; both mean the default."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: object) -> object:
        return _without_nulls(value)


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="ignore"))
class _Part:
    """The same for what there is a lot of: slotted, because a pass keeps several for every project."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: object) -> object:
        return _without_nulls(value)


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="ignore"))
class ObjectHealth(_Part):
    """`status`: Healthy, Suspended, Progressing, Missing, Degraded, Unknown; empty where it is not rated."""

    status: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="ignore", populate_by_name=True))
class ObjectStatus(_Part):
    """One object of the application as the comparison rated it. `status`: Synced, OutOfSync, Unknown.

    `requires_pruning`: it is live, and in no manifest any more.
    """

    group: str = ""
    kind: str
    namespace: str = ""
    name: str
    status: str = ""
    health: ObjectHealth = Field(default_factory=ObjectHealth)
    requires_pruning: bool = Field(False, alias="requiresPruning")


class ObjectResult(_Answer):
    """What became of one object in an operation. `status`: Synced, SyncFailed, Pruned, PruneSkipped."""

    kind: str
    name: str
    status: str = ""
    message: str = ""


class SyncResult(_Answer):
    """What an operation was for (a commit) and did."""

    revision: str = ""
    revisions: tuple[str, ...] = ()
    resources: tuple[ObjectResult, ...] = ()


class OperationState(_Answer):
    """The last operation. `phase`: Running, Terminating, Failed, Error, Succeeded."""

    phase: str = ""
    message: str = ""
    finished_at: AwareDatetime | None = None
    sync_result: SyncResult = SyncResult()


class KustomizeOptions(_Answer):
    """What Argo CD sets in the kustomization before it builds, in place of what that says."""

    name_prefix: str = ""
    name_suffix: str = ""


class AppSource(_Answer):
    """Where manifests come from. `chart`: of a Helm repository, without folders. `ref` alone lends files."""

    repo_url: str = Field("", alias="repoURL")
    path: str = ""
    chart: str = ""
    ref: str = ""
    target_revision: str = ""
    kustomize: KustomizeOptions = KustomizeOptions()

    @property
    def folder(self) -> str:
        """The path from the repository's top, in one form; empty for the top itself."""
        return posixpath.normpath(f"/{self.path}").lstrip("/")


class Compared(_Answer):
    """One source, the commit that it was last compared at, and that of the last operation.

    Either may be empty, and while the manifests cannot be built the former is the branch's name.
    """

    source: AppSource
    revision: str = ""
    operation_revision: str = ""


class _Automated(_Answer):
    enabled: bool = True
    prune: bool = False


class _SyncPolicy(_Answer):
    automated: _Automated | None = None


class _Spec(_Answer):
    source: AppSource | None = None
    sources: tuple[AppSource, ...] = ()
    sync_policy: _SyncPolicy = _SyncPolicy()


class _Sync(_Answer):
    status: str = ""
    revision: str = ""
    revisions: tuple[str, ...] = ()


class AppCondition(_Answer):
    """A condition of the application: ComparisonError, SyncError, warnings."""

    type: str
    message: str = ""


class _Status(_Answer):
    sync: _Sync = _Sync()
    health: ObjectHealth = Field(default_factory=ObjectHealth)
    operation_state: OperationState | None = None
    reconciled_at: AwareDatetime | None = None
    resources: tuple[ObjectStatus, ...] = ()
    conditions: tuple[AppCondition, ...] = ()

    @property
    def deployed(self) -> bool:
        """Whether it says that at least one object of the application is in the cluster as it should be."""
        return any(each.status == "Synced" for each in self.resources)


class _Metadata(_Answer):
    name: str


class Application(_Answer):
    """The Application, cut to what decides whether a commit has been synced."""

    metadata: _Metadata
    spec: _Spec
    operation: Mapping[str, Any] | None = None
    status: _Status = _Status()

    @property
    def compared(self) -> tuple[Compared, ...]:
        """What brings manifests: its one source, or those of its several that do more than lend files."""
        state = self.status.operation_state
        ran = state.sync_result if state else SyncResult()
        if not self.spec.sources:
            source = self.spec.source or AppSource()
            return (
                Compared(source=source, revision=self.status.sync.revision, operation_revision=ran.revision),
            )
        return tuple(
            Compared(source=source, revision=revision, operation_revision=operation)
            for source, revision, operation in zip_longest(
                self.spec.sources, self.status.sync.revisions, ran.revisions, fillvalue=""
            )
            if isinstance(source, AppSource) and (source.path or not source.ref)
        )

    @property
    def automated(self) -> bool:
        """Whether Argo CD syncs by itself."""
        automated = self.spec.sync_policy.automated
        return automated is not None and automated.enabled

    @property
    def prunes(self) -> bool:
        """Whether it also deletes by itself what is in no manifest any more."""
        automated = self.spec.sync_policy.automated
        return automated is not None and automated.enabled and automated.prune

    @property
    def busy(self) -> bool:
        """Whether an operation is asked for, runs, or has ended after the last comparison.

        Health read then is from before the apply, so it says nothing of what was just applied. It is the rule
        by which `argocd app wait` waits, too.
        """
        state = self.status.operation_state
        if self.operation is not None:
            return True
        if state is None:
            return False
        if state.finished_at is None or state.phase in IN_FLIGHT:
            return True
        return self.status.reconciled_at is None or self.status.reconciled_at < state.finished_at

    @property
    def comparison_error(self) -> str:
        """Return why the manifests could not be compared; empty when they could."""
        return next(
            (sanitised(item.message) for item in self.status.conditions if item.type == "ComparisonError"), ""
        )


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="ignore"))
class Node(_Part):
    """One object of the resource tree, with what belongs to it by ownership."""

    kind: str
    namespace: str = ""
    name: str
    health: ObjectHealth = Field(default_factory=ObjectHealth)
    info: tuple[Mapping[str, str], ...] = ()

    def fact(self, name: str) -> str:
        """Return one of its facts, such as `Status Reason` or `Containers`; empty without it."""
        return next((item.get("value", "") for item in self.info if item.get("name") == name), "")


class ResourceTree(_Answer):
    """The live objects of the application that are of a kind in `LOOKED_AT`; most are not."""

    nodes: tuple[Node, ...] = ()

    @field_validator("nodes", mode="before")
    @classmethod
    def _looked_at(cls, value: object) -> object:
        if not isinstance(value, list):
            return value
        return [node for node in value if not isinstance(node, Mapping) or node.get("kind") in LOOKED_AT]

    def of_kind(self, kind: str) -> dict[str, Node]:
        """Return the objects of one kind by name."""
        return {node.name: node for node in self.nodes if node.kind == kind}


def sanitised(text: str) -> str:
    """Return foreign words as one bounded line without control characters or credentials of URLs."""
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() else " " for sign in text)
    line = " ".join(text.split())
    line = _CREDENTIALS.sub("", line)
    return line if len(line) <= LONGEST_MESSAGE else f"{line[: LONGEST_MESSAGE - 1]}…"
