"""Argo CD's REST API (facts §4): one Application, its resource tree, and the two requests that move it.

Reads what GitOps clients need and nothing else; knows nothing of git, projects or manifests. Always names the
project, because without it a missing application is "permission denied". Two requests serve a whole pass,
however many projects there are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from reconciler.clients.http import JsonClient, fault_of
from reconciler.errors import ConfigurationError, Denied, Missing, Rejected
from reconciler.systems import Reader, Sections, Settings, Writer

REFRESH_TIMEOUT = 45.0
"""Seconds. A refresh answers only when the controller has compared (facts §4)."""
LONGEST_MESSAGE = 400
IN_FLIGHT = frozenset({"Running", "Terminating"})
FAILED = frozenset({"Failed", "Error"})

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")


class ArgoSettings(Settings):
    """Section `argocd`. `server` without a scheme means https; `namespace` is the Application's."""

    section: ClassVar[str] = "argocd"

    server: str | None = Field(None, validation_alias=AliasChoices("server", "ARGOCD_SERVER"))
    token: SecretStr | None = Field(None, validation_alias=AliasChoices("token", "ARGOCD_AUTH_TOKEN"))
    application: str = "mesh-six"
    project: str = "default"
    namespace: str | None = None

    def missing(self) -> str | None:
        """Off without a server."""
        return None if self.server else "ARGOCD_SERVER (argocd.server)"

    def check(self) -> None:
        """Refuse a server without a token."""
        if not self.token:
            raise ConfigurationError(
                "argocd.server is set, but there is no token",
                remedy="set ARGOCD_AUTH_TOKEN to a token of an account that may get and sync the application",
            )


class _Answer(BaseModel):
    """A part of an answer. Go writes absent things as null as well as not at all; both mean the default."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: object) -> object:
        if isinstance(value, Mapping):
            return {key: item for key, item in value.items() if item is not None}
        return value


class Health(_Answer):
    """`status`: Healthy, Suspended, Progressing, Missing, Degraded, Unknown; empty where it is not rated."""

    status: str = ""
    message: str = ""


class ObjectStatus(_Answer):
    """One object of the application as the comparison rated it. `status`: Synced, OutOfSync, Unknown."""

    group: str = ""
    kind: str
    namespace: str = ""
    name: str
    status: str = ""
    health: Health = Health()


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
    finished_at: datetime | None = None
    sync_result: SyncResult = SyncResult()


class Source(_Answer):
    """Where manifests come from."""

    path: str = ""


class _Automated(_Answer):
    enabled: bool = True


class _SyncPolicy(_Answer):
    automated: _Automated | None = None


class _Spec(_Answer):
    source: Source | None = None
    sources: tuple[Source, ...] = ()
    sync_policy: _SyncPolicy = _SyncPolicy()


class _Sync(_Answer):
    status: str = ""
    revision: str = ""
    revisions: tuple[str, ...] = ()


class Condition(_Answer):
    """A condition of the application: ComparisonError, SyncError, warnings."""

    type: str
    message: str = ""


class _Status(_Answer):
    sync: _Sync = _Sync()
    health: Health = Health()
    operation_state: OperationState | None = None
    reconciled_at: datetime | None = None
    resources: tuple[ObjectStatus, ...] = ()
    conditions: tuple[Condition, ...] = ()


class Application(_Answer):
    """The Application, cut to what decides whether a commit has been synced."""

    spec: _Spec
    operation: Mapping[str, Any] | None = None
    status: _Status = _Status()

    def revision(self, path: str) -> str:
        """Return what the manifests at that path were last compared with: a commit, or no commit at all.

        With several sources it is the entry of the source with our path. While the manifests cannot be
        built it is the branch's name.
        """
        return self._of_source(path, self.status.sync.revision, self.status.sync.revisions)

    def operation_revision(self, path: str) -> str:
        """Return the commit that the last operation was for; empty without one."""
        state = self.status.operation_state
        return self._of_source(path, state.sync_result.revision, state.sync_result.revisions) if state else ""

    @property
    def automated(self) -> bool:
        """Whether Argo CD syncs by itself."""
        automated = self.spec.sync_policy.automated
        return automated is not None and automated.enabled

    @property
    def busy(self) -> bool:
        """Whether an operation is asked for, runs, or has ended after the last comparison.

        Health read then is from before the apply: the rule of `argocd app wait` (facts §4 rule 2).
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

    def _of_source(self, path: str, single: str, several: Sequence[str]) -> str:
        if not self.spec.sources:
            return single
        ours = [place for place, source in enumerate(self.spec.sources) if _same(source.path, path)]
        return several[ours[0]] if ours and ours[0] < len(several) else ""


class Node(_Answer):
    """One object of the resource tree, with what belongs to it by ownership."""

    kind: str
    namespace: str = ""
    name: str
    health: Health = Health()
    info: tuple[Mapping[str, str], ...] = ()

    def fact(self, name: str) -> str:
        """Return one of its facts, such as `Status Reason` or `Containers`; empty without it."""
        return next((item.get("value", "") for item in self.info if item.get("name") == name), "")


class ResourceTree(_Answer):
    """All objects of the application, live."""

    nodes: tuple[Node, ...] = ()

    def of_kind(self, kind: str) -> dict[str, Node]:
        """Return the objects of one kind by name."""
        return {node.name: node for node in self.nodes if node.kind == kind}


class ArgoCD(Reader):
    """Reads one application; both answers are remembered for the pass."""

    system: ClassVar[str] = "Argo CD"
    settings: ClassVar[type[Settings]] = ArgoSettings

    def __init__(self, settings: ArgoSettings) -> None:
        token = settings.token.get_secret_value() if settings.token else ""
        self._settings = settings
        self._http = JsonClient(
            self.system, _url(settings.server or ""), headers={"Authorization": f"Bearer {token}"}
        )

    @classmethod
    def connect(cls, sections: Sections) -> Self:
        """Make a client from the section `argocd`, without any request."""
        return cls(sections.get(ArgoSettings))

    def close(self) -> None:
        """Give back the connections."""
        self._http.close()

    def application(self) -> Application:
        """Return the application; Missing when it is not there or the token may not see it."""
        return self._application

    def resource_tree(self) -> ResourceTree:
        """Return every object of the application and what those own."""
        return self._tree

    @cached_property
    def _application(self) -> Application:
        return self._read_application()

    @cached_property
    def _tree(self) -> ResourceTree:
        answer = self._get("/resource-tree")
        try:
            return ResourceTree.model_validate(answer)
        except ValidationError as error:
            raise Rejected(self.system, "the resource tree makes no sense") from error

    def _read_application(self, **options: Any) -> Application:  # noqa: ANN401 - httpx's own
        answer = self._get("", **options)
        try:
            return Application.model_validate(answer)
        except ValidationError as error:
            raise Rejected(self.system, "the application makes no sense") from error

    def _get(self, below: str, *, params: Mapping[str, str] | None = None, **options: Any) -> Any:  # noqa: ANN401 - JSON
        try:
            return self._http.get(self._path(below), params={**self._scope(), **(params or {})}, **options)
        except Missing as error:
            raise Missing(
                self.system,
                f"there is no application {self._settings.application} in project {self._settings.project}",
                remedy="check argocd.application and argocd.project, and that the token may get it",
            ) from error

    def _path(self, below: str) -> str:
        return f"/api/v1/applications/{self._settings.application}{below}"

    def _scope(self) -> dict[str, str]:
        scope = {"project": self._settings.project}
        return {**scope, "appNamespace": self._settings.namespace} if self._settings.namespace else scope


class ArgoCDWriter(ArgoCD, Writer):
    """Moves the application along. Its reads are fresh."""

    _refreshed = False

    def application(self) -> Application:
        """Return the application as it is now."""
        return self._read_application()

    def refresh(self) -> None:
        """Ask for a comparison with the branch as it is now, once in a pass however many projects want it.

        Repeatable. A write: Argo CD marks the Application, and may sync as a consequence.
        """
        if not self._refreshed:
            self._read_application(params={"refresh": "normal"}, timeout=REFRESH_TIMEOUT)
            self._refreshed = True

    def sync(self, objects: Sequence[ObjectStatus]) -> bool:
        """Ask for a sync of those objects only; False when another operation is in progress.

        Names no revision, so that it is allowed on an automated application as well. Prunes nothing.
        """
        chosen = [
            {"group": item.group, "kind": item.kind, "namespace": item.namespace, "name": item.name}
            for item in objects
        ]
        body = {"name": self._settings.application, **self._scope(), "prune": False, "resources": chosen}
        path = self._path("/sync")
        response = self._http.send("POST", path, json=body)
        if response.status_code == 400 and "another operation" in response.text:
            return False
        if fault := fault_of(self.system, "POST", path, response):
            if isinstance(fault, Denied):
                raise Denied(
                    self.system,
                    "syncing the application is not allowed now",
                    remedy="allow the token to sync it, or wait for the end of the sync window",
                )
            raise fault
        return True


def sanitised(text: str) -> str:
    """Return foreign words as one bounded line without control characters or credentials of URLs."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    line = _CREDENTIALS.sub("", line)
    return line if len(line) <= LONGEST_MESSAGE else f"{line[: LONGEST_MESSAGE - 1]}…"


def _url(server: str) -> str:
    return server.rstrip("/") if "://" in server else f"https://{server.rstrip('/')}"


def _same(one: str, other: str) -> bool:
    return one.strip("./") == other.strip("./")
