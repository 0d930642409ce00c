"""Argo CD's REST API: one Application, its resource tree, and the two requests that move it.

Reads what GitOps clients need and nothing else; knows nothing of git, projects or manifests. Always names the
project, because without it a missing application is "permission denied". Two requests serve a whole pass,
however many projects there are. What is known of Argo CD is in docs/systems/argocd.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

from pydantic import AliasChoices, Field, ValidationError

from reconciler.clients.answers import body_of, object_in
from reconciler.clients.argocd_answers import Application, ObjectStatus, ResourceTree
from reconciler.clients.http import JsonClient
from reconciler.model.errors import ConfigurationError, Denied, Missing, Senseless
from reconciler.settings.giving import HeaderSecret, HostOrWebAddress, Reader, Sections, Settings, Writer

REFRESH_TIMEOUT = 45.0
"""Seconds. So many, because a refresh answers only when the controller has compared."""


class ArgoSettings(Settings):
    """The Argo CD that deploys the environments, and its one application."""

    section: ClassVar[str] = "argocd"

    server: HostOrWebAddress | None = Field(None, validation_alias=AliasChoices("server", "ARGOCD_SERVER"))
    """Its address; without a scheme, https."""
    token: HeaderSecret | None = Field(None, validation_alias=AliasChoices("token", "ARGOCD_AUTH_TOKEN"))
    """A token of an account that may get and sync the application."""
    application: str = "mesh-six"
    """The application that deploys the manifest repository."""
    project: str = "default"
    """Its Argo CD project."""
    namespace: str | None = None
    """The application's namespace, if it is not Argo CD's own."""

    def missing(self) -> str | None:
        """Off without a server."""
        return None if self.server else "argocd.server (ARGOCD_SERVER)"

    def check(self) -> None:
        """Refuse a server without a token."""
        if not self.token:
            raise ConfigurationError(
                "argocd.server is set, but there is no token",
                remedy="set ARGOCD_AUTH_TOKEN to a token of an account that may get and sync the application",
            )


class ArgoCD(Reader):
    """Reads one application; both answers are remembered for the pass."""

    system: ClassVar[str] = "Argo CD"
    settings: ClassVar[type[Settings]] = ArgoSettings

    def __init__(self, settings: ArgoSettings) -> None:
        token = settings.token.get_secret_value() if settings.token else ""
        self._settings = settings
        headers = {"Authorization": f"Bearer {token}"}
        self._http = JsonClient(self.system, settings.server or "", own=_is_own, headers=headers)

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
            tree = ResourceTree.model_validate(answer)
        except ValidationError as error:
            raise Senseless(self.system, "the resource tree makes no sense") from error
        if not answer.get("nodes") and self._application.status.deployed:
            # Argo CD leaves empty lists out, so that anybody's `{}` looks like a tree without an object.
            raise Senseless(self.system, "the resource tree is empty, and the application has live objects")
        return tree

    def _read_application(self, **options: Any) -> Application:  # noqa: ANN401 - httpx's own
        return self._application_in(self._get("", **options))

    def _application_in(self, answer: object) -> Application:
        try:
            application = Application.model_validate(answer)
        except ValidationError as error:
            raise Senseless(self.system, "the application makes no sense") from error
        if application.metadata.name != self._settings.application:
            raise Senseless(self.system, "told of another application than the one it was asked for")
        return application

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

    def sync(self, objects: Sequence[ObjectStatus], *, prune: bool = False) -> bool:
        """Ask for a sync of those objects only; False when another operation is in progress.

        Names no revision, so that it is allowed on an automated application as well. `prune`: those that are
        in no manifest any more are deleted; else nothing is.
        """
        chosen = [
            {"group": item.group, "kind": item.kind, "namespace": item.namespace, "name": item.name}
            for item in objects
        ]
        body = {"name": self._settings.application, **self._scope(), "prune": prune, "resources": chosen}
        path = self._path("/sync")
        response = self._http.send("POST", path, json=body)
        if response.status_code == 400 and "another operation" in str(
            object_in(response.content).get("message")
        ):
            return False
        if fault := self._http.fault_of("POST", path, response):
            if isinstance(fault, Denied):
                raise Denied(
                    self.system,
                    "syncing the application is not allowed now",
                    remedy="allow the token to sync it, or wait for the end of the sync window",
                )
            raise fault
        content_type = response.headers.get("content-type", "")
        self._application_in(body_of(self.system, f"POST {path}", response.content, content_type))
        return True


def _is_own(status: int, path: str, error: Mapping[str, Any]) -> bool:
    """Tell whether it is how Argo CD refuses: with the code that gRPC has for it, which is 5 for a 404."""
    code = error.get("code")
    return isinstance(code, int) and isinstance(error.get("message"), str) and (status != 404 or code == 5)
